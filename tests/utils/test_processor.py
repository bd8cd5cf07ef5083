"""A processor's support for bfloat16, by its flags."""

import pytest

from kd_keras.utils import processor


@pytest.mark.parametrize(
    ("flags", "has", "is_faster"),
    [
        ("GenuineIntel avx512f", False, False),
        ("GenuineIntel avx512_bf16", True, False),
        ("AuthenticAMD avx512_bf16", True, True),
        ("GenuineIntel amx_bf16 avx512_bf16", True, True),
        ("", False, False),
    ],
)
def test_processors_by_their_flags(flags, has, is_faster, monkeypatch):
    monkeypatch.setattr(processor, "_flags", lambda: flags)
    assert processor.has_bfloat16() is has
    assert processor.is_faster_in_bfloat16() is is_faster
