"""Calibration of int8: the best of several models, without labels."""

import types

import numpy as np
import pytest

from kd_keras.data import datasets
from kd_keras.deployment import calibration, exporting


def test_the_closest_of_several_models_is_kept(monkeypatch):
    """An image in one part of the images may make all steps coarse."""
    images = np.arange(300)
    parts = []

    def convert(source, part):
        parts.append(part)
        return bytes([len(parts)])

    def load(path):
        error = {b"\1": 0.5, b"\2": 0.1, b"\3": 0.3}[path.read_bytes()]
        return lambda images: np.array([[error, 0.0]] * len(images))

    monkeypatch.setattr(calibration.litert_int8, "convert", convert)
    monkeypatch.setattr(calibration.loading, "load_classifier", load)
    calibrated = calibration.Calibration(
        types.SimpleNamespace(rounds=False),
        lambda images: np.zeros((len(images), 2)),
        images,
    )
    assert calibrated.int8_model == b"\2"
    assert sorted(np.concatenate(parts)) == images.tolist()
    assert {len(part) for part in parts} == {100}


def test_a_model_that_rounds_needs_no_images(monkeypatch):
    rounding = types.SimpleNamespace(rounds=True)
    monkeypatch.setattr(
        calibration.litert_int8, "convert", lambda *given: given
    )
    assert calibration.Calibration(rounding, None, None).int8_model == (
        rounding,
    )


@pytest.mark.slow
def test_labels_do_not_matter(saved_digits, output, data, tmp_path):
    unlabelled = datasets.Dataset(
        name="digits",
        train=datasets.Examples(data.train.images),
        test=data.test,
        source="",
        class_names=[],
    )
    exporting.export(
        saved_digits,
        formats=["litert_int8"],
        output=tmp_path,
        data=unlabelled,
        calibration_examples=50,
    )
    name = "digits_int8.tflite"
    assert (tmp_path / name).read_bytes() == (output / name).read_bytes()
