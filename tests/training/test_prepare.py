"""Data of a run: folders of images, and the transfer set."""

import pytest
import tensorflow as tf
from stage_runs import export_dummy_teacher, read_metrics, small_config

from kd_keras.data import splits
from kd_keras.training import callbacks, cluster, prepare
from kd_keras.utils import tf_config

# Networks that are quick to trace.
DENSE = {
    "teacher.model": "mlp",
    "teacher.widths": (16,),
    "student.model": "mlp",
    "student.widths": (16,),
}


def flat_folder(tmp_path, images, name="images"):
    folder = tmp_path / name
    folder.mkdir()
    for i, image in enumerate(images):
        (folder / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    return folder


@pytest.mark.slow
def test_the_student_learns_from_a_flat_folder_without_labels(
    run, tmp_path, small_mnist
):
    export_dummy_teacher(tmp_path / "teacher")
    folder = flat_folder(tmp_path, small_mnist.train.images[:100])
    config = small_config(
        **{
            **DENSE,
            "name": "own",
            "data.name": "folder",
            "data.data_dir": str(folder),
            "data.channels": 1,
            "teacher.path": str(tmp_path / "teacher"),
        }
    )
    (report,) = run("student", config=config, workdir="own", dataset=None)
    assert report["test_errors"] is None and report["test_examples"] == 0
    lines = read_metrics(tmp_path / "own/student/metrics.jsonl")
    assert lines[1]["loss"] < lines[0]["loss"]
    with pytest.raises(ValueError, match="the teacher stage needs labels"):
        run("teacher", config=config, workdir="own", dataset=None)


@pytest.mark.slow
def test_all_stages_run_from_a_folder_with_classes(run, tmp_path, small_mnist):
    for name in ("0", "1", "2"):
        which = small_mnist.train.labels == int(name)
        (tmp_path / "sorted").mkdir(exist_ok=True)
        flat_folder(
            tmp_path / "sorted", small_mnist.train.images[which][:30], name
        )
    config = small_config(
        **{
            **DENSE,
            "data.name": "folder",
            "data.data_dir": str(tmp_path / "sorted"),
            "data.channels": 1,
            "data.validation_examples": 0,
            "teacher.batch_size": 16,
            "student.batch_size": 16,
        }
    )
    reports = run("teacher", "student", "baseline", config=config, dataset=None)
    assert [report["test_examples"] for report in reports] == [9, 9, 9]


@pytest.mark.slow
def test_student_and_baseline_learn_from_the_transfer_set(
    run, tmp_path, small_mnist, monkeypatch
):
    config = small_config(
        **{**DENSE, "transfer.omit_classes": (3,), "transfer.fraction": 0.5}
    )
    sizes, log = {}, callbacks.MetricsLog.__init__

    def spy(self, run_dir, *, num_examples, **options):
        sizes[run_dir.stage] = num_examples
        log(self, run_dir, num_examples=num_examples, **options)

    monkeypatch.setattr(callbacks.MetricsLog, "__init__", spy)
    reports = run("teacher", "student", "baseline", config=config)
    # 400 are left of the validation split.
    train, _ = splits.split_off(small_mnist.train, 100)
    half = round((train.labels != 3).sum() / 2)
    assert sizes == {"teacher": 400, "student": half, "baseline": half}
    # Tested on all the classes, and the card tells the size.
    assert [report["test_examples"] for report in reports] == [300] * 3
    card = (tmp_path / "models" / "small_student" / "model_card.md").read_text()
    assert f"{half} training examples" in card
    # Students and baselines depend on the transfer set, teachers do not.
    config.transfer.fraction = 0.4
    run("teacher", config=config)
    for stage in ("student", "baseline"):
        with pytest.raises(ValueError, match=r"transfer\.fraction \(was 0.5"):
            run(stage, config=config)


def test_workers_meet_with_what_they_must_share(monkeypatch):
    met = []
    monkeypatch.setattr(
        cluster,
        "meet",
        lambda workers, facts, *, failure, patience_seconds: met.append(
            (facts, failure)
        ),
    )
    workers = tf_config.Workers(("a:1", "b:1"), 1)
    config = small_config(**{"data.name": "folder", "store.path": "auto"})

    def check(config):
        if config.student.model == "nope":
            raise ValueError("an unknown network")

    def meet(**fields):
        config.update_from_flattened_dict(fields)
        prepare._meet(config, workers, {"--restart": False}, check)
        return met[-1][0]

    facts = meet(**{"data.data_dir": "/first"})
    assert facts == meet(**{"data.data_dir": "/second"})
    assert facts["--restart"] is False
    assert "version of tensorflow" in facts
    assert facts != meet(seed=7)
    assert meet(**{"store.path": ""})["store.path"] is False

    # A refused worker still meets the others, and then ends.
    with pytest.raises(ValueError, match="network"):
        meet(**{"student.model": "nope"})
    assert met.pop()[1] == "an unknown network"
    with pytest.raises(ValueError, match="epochs"):
        meet(**{"teacher.epochs": -1})
    assert [bool(failure) for _, failure in met] == [False] * 4 + [True]
    assert "epochs" in met[-1][1]
