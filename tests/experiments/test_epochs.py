"""Trainings of several numbers of epochs: chosen, measured and written."""

import pytest
from shipped import REPOSITORY, SHIPPED

from experiments.epochs import document, runner
from experiments.epochs.runner import Experiment
from experiments.paper import results

# Changed fields of all runs, on MNIST, so that they take seconds, not hours.
TINY = {
    "data.augment.mirror": "none",
    "store.views": 1,
    "student.model": "mlp",
    "student.widths": (16,),
    "student.batch_size": 100,
    "student.optimizer.name": "adamw",
    "student.optimizer.kernel_learning_rate": 0.0,
    "baseline.optimizer.name": "adamw",
    "baseline.optimizer.kernel_learning_rate": 0.0,
}


def line(network, stage, epochs, errors, seed=0):
    return {
        "experiment": Experiment(network, stage, epochs).name,
        "seed": seed,
        "errors": errors,
        "test_examples": 10_000,
        "seconds": 360.0,
        "hardware": "a processor, 2 threads",
        "precision": "float32",
        "commit": "abc",
    }


def test_short_trainings_come_first_and_once():
    chosen = runner.choose(["resnet8"], ["baseline"], ["20", "5", "20"])
    assert [x.name for x in chosen] == [
        "resnet8_baseline_5",
        "resnet8_baseline_20",
    ]
    assert not runner.choose(["resnet8"], ["student"], ["none"])


@pytest.mark.parametrize(
    "networks, stages, epochs, message",
    [
        (["resnet9"], ["student"], ["1"], "Did you mean 'resnet8'"),
        (["resnet8"], ["students"], ["1"], "--stages must be one of"),
        (
            ["resnet8"],
            ["student"],
            ["0"],
            "whole numbers from 1. Received: '0'",
        ),
        (["resnet8"], ["student"], ["1.5"], "Received: '1.5'"),
    ],
)
def test_unknown_experiments_are_refused(networks, stages, epochs, message):
    with pytest.raises(ValueError, match=message):
        runner.choose(networks, stages, epochs)


@pytest.mark.parametrize("network", runner.NETWORKS)
@pytest.mark.parametrize("epochs, warmup", [(10, 2.0), (100, 5.0)])
def test_both_stages_have_the_same_epochs_and_warm_up(
    network, epochs, warmup, tmp_path
):
    lab = runner.Lab(workdir=tmp_path, results_path=tmp_path / "results")
    config = lab.config(Experiment(network, "student", epochs), seed=3)
    assert config.student.model == network and config.seed == 3
    assert config.student.epochs == epochs
    assert config.student.optimizer.warmup_epochs == warmup
    assert config.baseline.optimizer.warmup_epochs == warmup


@pytest.mark.slow
def test_runs_are_measured_once(small_mnist, tmp_path, caplog):
    caplog.set_level("INFO")
    lab = runner.Lab(
        workdir=tmp_path / "work",
        results_path=tmp_path / "epochs.jsonl",
        changes={**TINY, "teacher.path": str(SHIPPED / "mnist_teacher")},
        dataset=small_mnist,
    )
    experiments = runner.choose(["resnet8"], ["student", "baseline"], ["1"])
    lab.run(experiments, [0])
    assert "2 of 2: resnet8_baseline_1, seed 0" in caplog.text
    student, baseline = lab.lines
    assert student["epochs"] == baseline["epochs"] == 1
    assert "agreement" in student and "agreement" not in baseline
    assert student["errors"] < 0.9 * student["test_examples"]
    caplog.clear()
    lab.run(experiments, [0])
    assert not caplog.text
    assert lab.lines == [student, baseline]


def test_the_document_shows_means_and_differences(tmp_path):
    path = tmp_path / "docs" / document.NAME
    lines = [
        line("resnet8", "student", 20, 1000),
        line("resnet8", "student", 20, 1200, seed=1),
        line("resnet8", "baseline", 20, 1400),
        line("resnet8", "baseline", 5, 2000),
    ]
    document.write(lines, path)
    text = path.read_text()
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in text.splitlines()
        if row.startswith("|") and row[2].isdigit()
    ]
    assert rows == [
        ["5", "-", "80.00", "-"],
        ["20", "89.00 ± 1.41", "86.00", "+3.00"],
    ]
    assert "ResNet-8" in text and "ResNet-20" not in text
    assert "4 results, 0.4 hours" in text
    document.write([], path)
    assert "No result yet." in path.read_text()


def test_the_page_is_written_from_the_results(tmp_path):
    path = REPOSITORY / "results" / "cifar10_epochs.jsonl"
    document.write(results.Results(path).lines, tmp_path / document.NAME)
    page = REPOSITORY / "docs" / "results" / document.NAME
    assert (tmp_path / document.NAME).read_text() == page.read_text()
