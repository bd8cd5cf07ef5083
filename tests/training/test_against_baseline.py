"""The comparison of a trained student with its baseline."""

import types

import numpy as np
import pytest
from stage_runs import export_dummy_teacher

from kd_keras.teachers import loading
from kd_keras.training import against_baseline


def ended(name, directory, test, **fields):
    """A stage as it is after its training."""
    values = {
        "name": name,
        "model_name": f"small_{name}",
        "context": types.SimpleNamespace(savedmodels=directory),
        "parts": {"test": test} if test else {},
        "train": range(7),
        "uses_labels": name == "baseline",
        "has_logits": True,
    }
    return types.SimpleNamespace(**{**values, **fields})


@pytest.mark.slow
def test_the_exported_models_are_compared(small_mnist, tmp_path):
    test = small_mnist.test
    export_dummy_teacher(tmp_path / "small_student")
    # Of more classes: its weights are random.
    export_dummy_teacher(tmp_path / "small_baseline", classes=11)
    right = {
        name: np.mean(
            loading.load_classifier(tmp_path / f"small_{name}")(
                test.images
            ).argmax(-1)
            == test.labels
        )
        for name in ("student", "baseline")
    }
    compared = against_baseline.entries(
        [
            ended("baseline", tmp_path, test, train=range(3)),
            ended("student", tmp_path, test),
            ended("teacher", tmp_path, None, train=range(5), uses_labels=True),
        ]
    )
    gain = compared["only_right"] - compared["only_other_right"]
    assert compared["difference"] == gain / len(test) > 0.3
    assert np.isclose(
        compared["difference"], right["student"] - right["baseline"]
    )
    assert compared["p_value"] < 1e-6
    assert compared["student"] == {"examples": 7, "labelled": False}
    assert compared["baseline"] == {"examples": 3, "labelled": True}
    assert compared["teacher"] == {"examples": 5, "labelled": True}


def test_nothing_is_said_without_both_or_labels(small_mnist, tmp_path):
    test = small_mnist.test
    teacher = ended("teacher", tmp_path, test)
    assert against_baseline.entries([ended("student", "", test), teacher]) == {}
    for fields in ({"parts": {}}, {"has_logits": False}):
        student = ended("student", tmp_path, test, **fields)
        baseline = ended("baseline", tmp_path, test)
        assert against_baseline.entries([student, baseline]) == {}
