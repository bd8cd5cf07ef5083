"""Images of another range than 0 to 255, from training to other runtimes."""

import dataclasses
import json

import numpy as np
import pytest
import stage_runs
import tensorflow as tf

from kd_keras.data import datasets, joining
from kd_keras.deployment import exporting
from kd_keras.evaluation import comparison
from kd_keras.teachers import loading
from kd_keras.training import runs

CLASSES = 3


def dark_blocks(count=240):
    """Dark images in [0, 1] of two channels; a bright row shows the class."""
    labels = np.arange(count) % CLASSES
    images = np.full((count, 6, 6, 2), 0.1)
    for label in range(CLASSES):
        images[labels == label, 2 * label : 2 * label + 2] = 0.3
    images += np.random.default_rng(0).normal(0, 0.02, images.shape)
    return np.clip(images, 0, 1).astype("float32"), labels


def dataset(transform=lambda images: images):
    images, labels = dark_blocks()
    images = transform(images)
    parts = [
        datasets.Examples(images[part], labels[part], num_classes=CLASSES)
        for part in (slice(0, 120), slice(120, None))
    ]
    return datasets.Dataset("blocks", *parts, source="made")


def as_bytes(images):
    return np.round(255 * images).astype("uint8")


def config(**overrides):
    return stage_runs.small_config(
        **{
            "data.validation_examples": 0,
            "data.augment.translate": 0,
            "teacher.model": "mlp",
            "teacher.widths": (16,),
            "student.model": "mlp",
            "student.widths": (16,),
            "teacher.epochs": 4,
            "student.epochs": 4,
            "teacher.batch_size": 20,
            "student.batch_size": 20,
            **overrides,
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a teacher and a student of dark images, and reports."""
    folder = tmp_path_factory.mktemp("dark")
    reports = runs.run(
        config(),
        stages=["teacher", "student"],
        workdir=folder / "runs",
        savedmodels=folder / "models",
        dataset=dataset(),
    )
    return folder, reports


@pytest.mark.slow
def test_a_student_learns_from_the_export_of_its_teacher(trained):
    """Rounded to integers, all of these images would be black."""
    _, reports = trained
    assert [report["test_errors"] for report in reports] == [0, 0]


@pytest.mark.slow
def test_the_export_takes_floats_and_records_their_range(trained):
    folder, _ = trained
    path = folder / "models/small_student"
    signatures = tf.saved_model.load(str(path)).signatures
    for name in ("serving_default", "float_images"):
        ((_, spec),) = signatures[name].structured_input_signature[1].items()
        assert spec.dtype == tf.float32
    measured = dataset().train.image_spec
    assert 0 <= measured.low < 0.1 and 0.3 < measured.high < 0.5
    recorded = json.loads((path / "report.json").read_text())["images"]
    assert recorded == measured.record()
    assert "float32 `[batch" in (path / "model_card.md").read_text()
    for model in (path, folder / "runs/student/student.keras"):
        assert loading.load_teacher(model).image_spec == measured


@pytest.mark.slow
@pytest.mark.parametrize(
    "transform", [as_bytes, lambda images: 255 * images, lambda x: 8 * x - 4]
)
def test_data_of_another_range_are_refused(trained, tmp_path, transform):
    folder, _ = trained
    other = dataset(transform)
    path = folder / "models/small_teacher"
    with pytest.raises(ValueError, match="range of values that .*teacher"):
        runs.run(
            config(**{"teacher.path": str(path)}),
            stages=["student"],
            workdir=tmp_path / "runs",
            savedmodels=tmp_path / "models",
            dataset=other,
        )
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="range of values that .*teacher"):
        comparison.evaluate_model(path, data=other)
    with pytest.raises(ValueError, match="range of values that .*teacher"):
        exporting.export(
            path, formats=["litert"], output=tmp_path / "out", data=other
        )
    assert not list(tmp_path.rglob("*.tflite"))


@pytest.mark.slow
def test_a_teacher_of_bytes_refuses_floats_in_0_to_1(tmp_path):
    path = tmp_path / "teacher"
    stage_runs.export_dummy_teacher(path, shape=(6, 6, 2), classes=CLASSES)
    with pytest.raises(ValueError, match="takes: uint8 .*: float32 from"):
        comparison.evaluate_model(path, data=dataset())


@pytest.mark.slow
def test_other_runtimes_take_the_same_range(trained, tmp_path):
    folder, reports = trained
    rows = exporting.export(
        folder / "models/small_student",
        formats=["litert", "litert_int8", "onnx"],
        output=tmp_path,
        data=dataset(),
        calibration_examples=100,
    )
    measured = dataset().train.image_spec
    for row in rows:
        assert row["errors"] == 0
        assert row["images"] == measured.record()
    quantized = loading.load_classifier(tmp_path / "small_student_int8.tflite")
    assert quantized.image_spec == measured
    # Without its record, the range comes from the file itself: 0 and more.
    (tmp_path / "exports.json").unlink()
    quantized = loading.load_classifier(tmp_path / "small_student_int8.tflite")
    step = (measured.high - measured.low) / 255
    assert quantized.image_spec.low == 0
    assert quantized.image_spec.high == pytest.approx(measured.high, abs=step)
    card = (tmp_path / "model_card.md").read_text()
    assert "float32 `[batch" in card and "take such images, too" in card


def test_a_cutout_needs_images_from_0_to_255(tmp_path):
    with pytest.raises(ValueError, match="cutout .* grey of 128.*: float32"):
        runs.run(
            config(**{"data.augment.cutout": 2}),
            stages=["teacher"],
            workdir=tmp_path / "runs",
            savedmodels=tmp_path / "models",
            dataset=dataset(),
        )


def test_training_and_test_images_are_of_one_range():
    of_bytes, of_floats = dataset(as_bytes), dataset()
    for train, test in ((of_bytes, of_floats), (of_floats, of_bytes)):
        with pytest.raises(ValueError, match="test images must have the range"):
            dataclasses.replace(train, test=test.test)


def test_datasets_of_two_ranges_are_not_joined():
    named = dataclasses.replace(dataset(), class_names=["a", "b", "c"])
    other = dataclasses.replace(
        dataset(as_bytes), name="bytes", class_names=["d", "e", "f"]
    )
    with pytest.raises(ValueError, match="images of bytes .* uint8"):
        joining.join([named, other])
