"""A teacher and a student of other sizes than the images of the data."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from stage_runs import small_config

from kd_keras import store
from kd_keras.data import datasets
from kd_keras.evaluation import comparison
from kd_keras.teachers import loading
from kd_keras.training import runs

pytestmark = pytest.mark.slow

CLASSES = 3
SIZE, TEACHER_SIZE, STUDENT_SIZE = 12, 16, 6


def stripes(count, seed):
    """Images with a bright third, whose place is the class."""
    labels = np.arange(count) % CLASSES
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, SIZE, SIZE, 3))
    for label in range(CLASSES):
        images[labels == label, 4 * label : 4 * label + 4] += 150
    return images.astype("uint8"), labels


@pytest.fixture(scope="module")
def dataset():
    parts = [
        datasets.Examples(*stripes(count, seed), num_classes=CLASSES)
        for seed, count in enumerate((120, 60))
    ]
    return datasets.Dataset("stripes", *parts, source="made")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A `.keras` file of another size, which knows the stripes."""
    path = tmp_path_factory.mktemp("teacher") / "large.keras"
    inputs = keras.Input((TEACHER_SIZE, TEACHER_SIZE, 3))
    outputs = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(inputs))
    network = keras.Model(inputs, outputs, name="large")
    rows = np.arange(TEACHER_SIZE) * CLASSES // TEACHER_SIZE
    kernel = rows[:, None] == np.arange(CLASSES)
    kernel = np.repeat(kernel, TEACHER_SIZE * 3, axis=0) / 5000
    network.set_weights([kernel, np.zeros(CLASSES)])
    network.save(path)
    return path


def config(teacher, **overrides):
    return small_config(
        **{
            "data.validation_examples": 0,
            "data.augment.translate": 0,
            "teacher.path": str(teacher),
            "teacher.image_size": TEACHER_SIZE,
            "student.image_size": STUDENT_SIZE,
            "student.model": "mlp",
            "student.widths": (8,),
            "student.epochs": 3,
            "student.batch_size": 20,
            **overrides,
        }
    )


def run(folder, dataset, config, *stages):
    return runs.run(
        config,
        stages=stages,
        workdir=folder / "runs",
        savedmodels=folder / "models",
        dataset=dataset,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset, teacher):
    """The folder of a student of a live teacher, and its report."""
    folder = tmp_path_factory.mktemp("live")
    (report,) = run(folder, dataset, config(teacher), "student")
    return folder, report


def test_a_student_learns_from_a_teacher_of_another_size(trained):
    _, report = trained
    assert report["test_errors"] == 0 and report["agreement"] == 1
    # Of 3 channels to 6 columns, then to 6 rows; and the two dense layers.
    products = 3 * 12 * 12 * 6 + 3 * 6 * 12 * 6
    assert report["macs"] == products + 6 * 6 * 3 * 8 + 8 * 3


def test_the_export_takes_the_data_and_resizes_them(trained, dataset):
    folder, report = trained
    path = folder / "models/small_student"
    assert loading.load_teacher(path).image_shape == (SIZE, SIZE, 3)
    results = comparison.evaluate_model(path, data=dataset)
    assert results["models"]["model"]["errors"] == report["test_errors"]
    card = (path / "model_card.md").read_text()
    assert "12 x 12 x 3" in card and "the resizing to 6 x 6 are inside" in card
    # The network alone takes its own size.
    saved = keras.models.load_model(folder / "runs/student/student.keras")
    assert saved.layers[-1].input_shape == (None, STUDENT_SIZE, STUDENT_SIZE, 3)


def test_the_run_is_known_by_the_size_of_its_teacher(
    trained, dataset, teacher, monkeypatch
):
    folder, report = trained
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run(folder, dataset, config(teacher), "student") == [report]
    for name, value in {
        "teacher.image_size": 8,
        "student.image_size": 8,
        "teacher.preprocess": "0-1",
        "teacher.resize": "bicubic",
    }.items():
        with pytest.raises(ValueError, match=rf"{name} \(was"):
            run(folder, dataset, config(teacher, **{name: value}), "student")


def test_a_store_holds_the_logits_of_resized_images(
    trained, dataset, teacher, tmp_path
):
    """So the student equals the live teacher's student."""
    _, live = trained
    fields = config(teacher, **{"store.path": "auto", "store.dtype": "float32"})
    (report,) = run(tmp_path, dataset, fields, "student")
    assert report["test_nll"] == pytest.approx(live["test_nll"], rel=1e-3)
    opened = store.LogitStore.open(tmp_path / "runs/store")
    assert opened.manifest["teacher"]["image_size"] == TEACHER_SIZE
    images = tf.image.resize(
        dataset.test.images[:5], (TEACHER_SIZE, TEACHER_SIZE), antialias=True
    )
    expected = keras.models.load_model(teacher)(images)
    found = opened.logits(np.arange(5), part="test")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, r"teacher \(16, 16, 3\), data \(12, 12, 3\) \(teacher.image_size"),
        (
            8,
            "teacher.image_size must be .*, 16 x 16. Received: 8 x 8 for",
        ),
    ],
)
def test_a_teacher_of_another_size_is_refused(
    dataset, teacher, tmp_path, size, words
):
    fields = config(teacher, **{"teacher.image_size": size})
    with pytest.raises(ValueError, match=words):
        run(tmp_path, dataset, fields, "student")
    assert not list(tmp_path.iterdir())


def test_models_are_measured_at_their_own_sizes(trained, dataset, teacher):
    folder, _ = trained
    saved = keras.models.load_model(folder / "runs/student/student.keras")
    models = {"teacher": teacher, "baseline": saved.layers[-1]}
    with pytest.raises(ValueError, match="evaluate --resize for each"):
        comparison.evaluate_model(saved, data=dataset, **models)
    results = comparison.evaluate_model(
        saved, data=dataset, resize=True, **models
    )
    assert {row["errors"] for row in results["models"].values()} == {0}
    assert results["against_teacher"]["agreement"] == 1
    members = [teacher, folder / "models/small_student"]
    results = comparison.evaluate_model(members, data=dataset, resize=True)
    assert results["models"]["model"]["errors"] == 0


def test_a_teacher_is_trained_at_its_own_size(dataset, tmp_path):
    """Later stages use its export as it is."""
    fields = config(
        "",
        **{
            "teacher.model": "mlp",
            "teacher.widths": (8,),
            "teacher.epochs": 3,
            "teacher.batch_size": 20,
            "student.epochs": 1,
        },
    )
    teacher, student = run(tmp_path, dataset, fields, "teacher", "student")
    assert teacher["test_errors"] == 0
    network = 16 * 16 * 3 * 8 + 8 * 3
    assert teacher["macs"] == 3 * (12 * 12 * 16 + 16 * 12 * 16) + network
    exported = tmp_path / "models/small_teacher"
    assert loading.load_teacher(exported).image_shape == (SIZE, SIZE, 3)
    record = json.loads((tmp_path / "runs/student/config.json").read_text())
    assert "teacher.image_size" not in record["depends_on"]
