"""The specialist stage: records, resume, refusals."""

import json

import numpy as np
import pytest
import tensorflow as tf
from stage_runs import (
    Interrupted,
    interrupt_after_batches,
    save_every_minute,
    weights_of,
)

from kd_keras import config as config_lib
from kd_keras.distillation import specialists
from kd_keras.teachers import loading
from kd_keras.training import checkpoints, fitting, runs
from kd_keras.utils import locks


def small_config(**overrides):
    config = config_lib.default_config()
    config.name = "small"
    config.data.validation_examples = 100
    config.teacher.model = "mlp"
    config.teacher.widths = (16,)
    config.teacher.augment.translate = 1
    config.teacher.epochs = config.specialist.epochs = 2
    config.teacher.batch_size = config.specialist.batch_size = 64
    config.teacher.optimizer.learning_rate = 1e-2
    config.specialist.num_specialists = 2
    config.specialist.num_classes = 4
    config.student.epochs = 1
    config.update_from_flattened_dict(overrides)
    return config


@pytest.fixture(scope="module")
def run(small_mnist, tmp_path_factory):
    """Runs a stage; all tests share the exports of one generalist."""
    folder = tmp_path_factory.mktemp("specialists")

    def run(
        stage,
        *,
        workdir="work",
        savedmodels="models",
        restart=False,
        **overrides,
    ):
        return runs.run(
            small_config(**overrides),
            stages=[stage],
            workdir=folder / workdir,
            savedmodels=folder / savedmodels,
            dataset=small_mnist,
            restart=restart,
        )[0]

    run.folder = folder
    run("teacher")
    return run


@pytest.fixture(scope="module")
def report(run):
    return run("specialist")


@pytest.mark.slow
def test_the_stage_writes_its_records(run, report, small_mnist):
    folder = run.folder / "work" / "specialist"
    assert json.loads((folder / "report.json").read_text()) == report
    images, labels = small_mnist.test.images, small_mnist.test.labels

    cards = {}

    def logits(name):
        path = run.folder / "models" / f"small_{name}"
        cards[name] = (path / "model_card.md").read_text()
        return loading.load_teacher(path)(tf.constant(images)).numpy()

    # The export combines the specialists' own exports by eq. 5.
    sets, generalist = report["class_sets"], logits("teacher")
    assert [len(classes) for classes in sets] == [4, 4]
    members = [logits(f"specialist_{m}") for m in range(2)]
    together = logits("specialists")
    assert f"the classes {sets}, as one prediction" in cards["specialists"]
    np.testing.assert_allclose(
        together,
        specialists.combine(
            generalist,
            [specialists.with_dustbin(z, c) for z, c in zip(members, sets)],
            sets,
        ),
        atol=1e-4,
    )
    assert report["test_errors"] == (together.argmax(-1) != labels).sum()
    assert report["by_coverage"]["test"] == specialists.accuracy_by_coverage(
        labels=labels,
        generalist_logits=generalist,
        logits=together,
        class_sets=sets,
    )
    rows = report["by_coverage"]["validation"]
    assert sum(row["examples"] for row in rows) == 100
    for m, classes in enumerate(sets):
        own = json.loads((folder / str(m) / "report.json").read_text())
        assert own["classes"] == classes
        assert f"on the classes {classes}, and held" in cards[f"specialist_{m}"]
        lines = (folder / str(m) / "metrics.jsonl").read_text().splitlines()
        soft = [json.loads(line)["soft_loss"] for line in lines]
        assert len(soft) == 2 and min(soft) > 0
        # They began as the generalist, and learnt.
        assert not np.allclose(members[m], generalist, atol=1e-2)
        assert np.mean(members[m].argmax(-1) == generalist.argmax(-1)) > 0.5


@pytest.mark.slow
def test_a_student_learns_from_the_combination(run, report):
    path = run.folder / "models" / "small_specialists"
    student = run("student", **{"teacher.path": str(path)})
    assert 0.2 < student["agreement"] <= 1


@pytest.mark.slow
def test_a_specialist_that_another_process_trains_is_refused(run, report):
    for held, only in (("small_specialist_1", 1), ("small_specialist_0", -1)):
        with (
            locks.holding(run.folder / "models", part=held),
            pytest.raises(locks.HeldError, match=f"{held} in it"),
        ):
            run("specialist", workdir="cut", **{"specialist.only": only})


@pytest.mark.slow
def test_an_interruption_within_a_specialist_ends_in_the_same_bits(run, report):
    # Another process may train another specialist meanwhile.
    with locks.holding(run.folder / "models", part="small_specialist_0"):
        alone = run("specialist", workdir="cut", **{"specialist.only": 1})
    assert alone["classes"] == report["class_sets"][1]
    folder = run.folder / "cut" / "specialist"
    assert [path.name for path in folder.iterdir()] == ["1"]

    with pytest.MonkeyPatch.context() as patch:
        save_every_minute(patch)
        interrupt_after_batches(patch, 4)
        with pytest.raises(Interrupted):
            run("specialist", workdir="cut", checkpoint_minutes=2.0)
    saved = checkpoints.saved_positions(folder / "0" / "checkpoints")
    assert saved == [(0, 2), (0, 4)]
    again = run("specialist", workdir="cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "fit", None)
        # Finished specialists are not trained again.
        assert run("specialist", workdir="cut") == again
    for key in ("class_sets", "test_errors", "by_coverage"):
        assert again[key] == report[key]
    for m in (0, 1):
        file = f"specialist/{m}/specialist.keras"
        for a, b in zip(
            weights_of(run.folder / "work" / file),
            weights_of(run.folder / "cut" / file),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    # Another configuration is refused, of all and of one.
    for only in (-1, 1):
        with pytest.raises(ValueError, match=r"temperature \(was 4.0, is 2"):
            run(
                "specialist",
                workdir="cut",
                **{"specialist.temperature": 2.0, "specialist.only": only},
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"name": "none"}, "kd-keras train --stage=teacher first"),
        ({"teacher.path": "MODELS,MODELS"}, "start from one generalist"),
        ({"teacher.widths": (17,)}, "whose weights are of another network"),
        ({"data.validation_examples": 450}, "logits differ by"),
        ({"specialist.num_classes": 10}, "Received: num_classes=10"),
        ({"specialist.batch_size": 401}, "specialist.batch_size must be"),
        ({"specialist.num_specialists": 1}, "num_specialists must be >= 2"),
        ({"specialist.only": 2}, "specialist.only must be -1"),
        ({"specialist.special_share": 1.0}, r"special_share must be > 0 and"),
        ({"specialist.soft_loss_weight": -1.0}, "soft_loss_weight must be"),
        ({"specialist.temperature": 0.0}, "specialist.temperature must be"),
        ({"specialist.optimizer.name": "adam"}, "Did you mean 'adamw'"),
    ],
)
def test_invalid_fields_are_refused_before_anything_is_written(
    run, overrides, message
):
    path = str(run.folder / "models" / "small_teacher")
    if "name" not in overrides:
        overrides = {"teacher.path": path, **overrides}
    overrides = {
        key: value.replace("MODELS", path) if isinstance(value, str) else value
        for key, value in overrides.items()
    }
    with pytest.raises(ValueError, match=message):
        run("specialist", workdir="refused", savedmodels="none", **overrides)
    assert not (run.folder / "refused").exists()
