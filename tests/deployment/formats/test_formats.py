"""The table of formats, and each format's file compared with the model."""

import subprocess
import sys

import numpy as np
import pytest

from kd_keras.deployment.formats import FORMATS
from kd_keras.teachers import loading


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_computes_what_the_model_does(exported, output, data, name):
    student, _, rows = exported
    (row,) = (row for row in rows if row["format"] == name)
    expected = student.predict(data.test.images, verbose=0)
    errors = int((expected.argmax(-1) != data.test.labels).sum())
    assert errors < 100
    classifier = loading.load_classifier(output / row["file"])
    assert classifier.image_shape == (8, 8, 1)
    assert classifier.num_classes == 10
    logits = classifier(data.test.images)
    assert logits.dtype == np.float32
    count = row["examples"]
    agree = logits.argmax(-1) == expected.argmax(-1)
    assert row["agreement"] == pytest.approx(agree[:count].mean())
    wrong = logits[:count].argmax(-1) != data.test.labels[:count]
    assert row["errors"] == wrong.sum()
    if FORMATS[name].tolerance:
        np.testing.assert_allclose(logits, expected, atol=1e-3)
        assert row["errors"] == errors
    else:
        assert agree.mean() > 0.95
        step = 1.5 * np.abs(expected).max() / 127
        np.testing.assert_allclose(logits, expected, atol=6 * step)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("name", FORMATS)
def test_logits_do_not_depend_on_the_batch_size(output, data, name, batch):
    path = output / f"digits{FORMATS[name].suffix}"
    images = data.test.images[:50]
    logits = loading.load_classifier(path)(images)
    few = loading.load_classifier(path)(images[:batch])
    np.testing.assert_allclose(few, logits[:batch], atol=1e-4)


def test_the_help_lists_the_formats_without_tensorflow():
    code = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # cannot be imported
sys.argv = ["export", "--help"]
from kd_keras import export
export.cli()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    for format in FORMATS.values():
        assert [format.name, format.description] in lines
