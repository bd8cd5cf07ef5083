"""Devices and precision."""

import pytest

from kd_keras.training import devices


@pytest.mark.parametrize(
    ("is_faster", "precision"),
    [(True, "mixed_bfloat16"), (False, "float32")],
)
def test_auto_precision_is_bfloat16_where_it_is_faster(
    is_faster, precision, monkeypatch
):
    monkeypatch.setattr(
        devices.processor, "is_faster_in_bfloat16", lambda: is_faster
    )
    assert devices.resolve_precision("auto") == precision
    assert devices.resolve_precision("float32") == "float32"
    of_teacher = "bfloat16" if is_faster else "float32"
    assert devices.teacher_precision(is_graph=True) == of_teacher
    assert devices.teacher_precision(is_graph=False) == "float32"
