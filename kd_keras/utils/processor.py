"""The number formats in which this machine's processor computes fast."""

import pathlib


def has_bfloat16():
    """Whether the processor has instructions for bfloat16: bool.

    False if the system does not tell, such as outside of Linux.
    """
    return any(name in _flags() for name in ("amx_bf16", "avx512_bf16"))


def is_faster_in_bfloat16():
    """Whether the processor trains faster in bfloat16 than in float32: bool.

    AVX512-BF16 alone does not decide: it is faster on AMD's processors, not
    on Intel's (compare `examples_per_second` in `metrics.jsonl`).
    """
    flags = _flags()
    return "amx_bf16" in flags or (
        "avx512_bf16" in flags and "AuthenticAMD" in flags
    )


def _flags():
    try:
        return pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
