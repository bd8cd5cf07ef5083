"""Classes are recorded with models, and compared with the data's."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from stage_runs import small_config

from kd_keras.data import datasets
from kd_keras.deployment import exporting
from kd_keras.evaluation import comparison
from kd_keras.teachers import ensemble, loading
from kd_keras.training import runs

pytestmark = pytest.mark.slow
NAMES = ["cat", "dog", "owl"]
OTHERS = [["dog", "cat", "owl"], ["cat", "dog", "rat"]]
WORDS = "must be those of .*{}.*: cat, dog, owl. Received: (cat|dog), "


def make_dataset(names=NAMES):
    """Images of one brightness, which is the class."""

    def examples(count):
        labels = np.arange(count) % 3
        images = np.zeros((count, 4, 4, 1), "uint8") + 100
        images += (50 * labels).astype("uint8")[:, None, None, None]
        return datasets.Examples(images, labels, num_classes=3)

    return datasets.Dataset(
        "greys", examples(60), examples(30), source="made", class_names=names
    )


def run(folder, dataset, *stages, workdir="runs", **overrides):
    config = small_config(
        **{
            "data.validation_examples": 0,
            "data.augment.translate": 0,
            "teacher.model": "mlp",
            "teacher.widths": (8,),
            "student.model": "mlp",
            "student.widths": (8,),
            "teacher.epochs": 8,
            "student.epochs": 1,
            "teacher.batch_size": 10,
            "student.batch_size": 20,
            **overrides,
        }
    )
    return runs.run(
        config,
        stages=stages,
        workdir=folder / workdir,
        savedmodels=folder / "models",
        dataset=dataset,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a teacher and a store of its logits."""
    folder = tmp_path_factory.mktemp("greys")
    run(folder, make_dataset(), "teacher")
    run(folder, make_dataset(), "student", **{"store.path": "auto"})
    return folder


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", None)


def test_a_model_has_the_classes_of_its_data(trained):
    exported = trained / "models/small_teacher"
    for path in (exported, trained / "runs/teacher/teacher.keras"):
        assert loading.load_teacher(path).class_names == NAMES
        assert loading.load_classifier(path).class_names == NAMES
    card = (exported / "model_card.md").read_text()
    assert "of the classes cat, dog, owl" in card


@pytest.mark.parametrize("names", OTHERS)
def test_a_model_is_not_measured_on_other_classes(trained, names):
    path = trained / "models/small_teacher"
    with pytest.raises(ValueError, match=WORDS.format("")):
        comparison.evaluate_model(path, data=make_dataset(names))


def test_models_of_other_classes_are_not_compared(trained):
    mine = loading.load_classifier(trained / "models/small_teacher")
    other = loading.load_classifier(trained / "models/small_teacher")
    other.class_names, other.path = OTHERS[0], "other"
    names = ensemble.common_class_names
    unknown = {"x": None}
    assert names({"m": NAMES, **unknown}) == NAMES and names(unknown) is None
    with pytest.raises(ValueError, match=WORDS.format("")):
        ensemble.combine([mine, other])


@pytest.mark.parametrize("names", OTHERS)
@pytest.mark.parametrize("path", ["", "auto"])
def test_a_student_of_other_classes_is_refused(trained, tmp_path, path, names):
    fields = {
        "teacher.path": str(trained / "models/small_teacher"),
        "store.path": path,
    }
    with pytest.raises(ValueError, match=WORDS.format("the teacher")):
        run(tmp_path, make_dataset(names), "student", **fields)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", OTHERS)
def test_a_store_of_other_classes_is_refused(trained, tmp_path, names):
    fields = {"store.path": str(trained / "runs/store")}
    with pytest.raises(ValueError, match=WORDS.format("the store")):
        run(tmp_path, make_dataset(names), "student", **fields)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", OTHERS)
def test_a_run_is_not_resumed_with_other_classes(trained, names):
    with pytest.raises(ValueError, match=WORDS.format("the run")):
        run(trained, make_dataset(names), "teacher")


def test_classes_without_names_are_served(trained, tmp_path, no_training):
    unnamed = make_dataset(None)
    run(trained, unnamed, "teacher")
    path = trained / "models/small_teacher"
    results = comparison.evaluate_model(path, data=unnamed)
    assert results["models"]["model"]["examples"] == 30


def test_a_student_of_images_without_labels_has_the_teacher_s(
    trained, tmp_path
):
    labelled = make_dataset()
    unlabelled = dataclasses.replace(
        labelled,
        train=datasets.Examples(labelled.train.sample(60)),
        test=None,
        class_names=None,
    )
    teacher = {"teacher.path": str(trained / "models/small_teacher")}
    (report,) = run(tmp_path, unlabelled, "student", **teacher)
    assert report["class_names"] == NAMES


def test_exports_have_the_classes_of_their_model(trained, tmp_path):
    exporting.export(
        trained / "models/small_teacher",
        formats=["onnx"],
        output=tmp_path,
        data=make_dataset(),
        calibration_examples=10,
    )
    path = tmp_path / "small_teacher.onnx"
    assert loading.load_classifier(path).class_names == NAMES
    record = json.loads((tmp_path / "exports.json").read_text())
    assert record["formats"][1]["class_names"] == NAMES
