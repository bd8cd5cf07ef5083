"""Devices and precision."""

import pytest

from kd_keras.training import devices


@pytest.mark.parametrize(
    ("cpuinfo", "precision"),
    [
        ("AuthenticAMD avx512f avx512_bf16", "mixed_bfloat16"),
        ("GenuineIntel avx512f avx512_bf16", "float32"),
        ("GenuineIntel avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("AuthenticAMD avx2", "float32"),
    ],
)
def test_auto_precision_is_bfloat16_where_it_is_faster(
    cpuinfo, precision, monkeypatch
):
    monkeypatch.setattr(devices.pathlib.Path, "read_text", lambda path: cpuinfo)
    assert devices.resolve_precision("auto") == precision
    assert devices.resolve_precision("float32") == "float32"
