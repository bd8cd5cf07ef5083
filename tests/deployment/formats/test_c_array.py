"""The C header, compiled, and its memory."""

import subprocess

import pytest

from kd_keras.deployment.formats import c_array
from kd_keras.teachers import loading


@pytest.fixture
def row(exported):
    return next(row for row in exported[2] if row["format"] == "c_array")


@pytest.fixture
def model(output):
    return (output / "digits_int8.tflite").read_bytes()


@pytest.mark.parametrize("language", ["c", "c++"])
def test_a_compiler_reads_the_int8_model(
    output, row, model, tmp_path, language
):
    header = output / "digits_int8.h"
    assert row["bytes"] == len(model) == loading.size(header)
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "{header}"\n'
        "int main() {\n"
        "  fwrite(digits_int8, 1, DIGITS_INT8_BYTES, stdout);\n"
        '  fprintf(stderr, "%d", DIGITS_INT8_ARENA_BYTES);\n'
        "  return (int)((unsigned long)digits_int8 % 16);\n}\n"
    )
    program = tmp_path / "program"
    compiled = subprocess.run(
        ["gcc", "-x", language, "-Wall", "-Werror", "-o", program]
        + [tmp_path / "main.c"],
        capture_output=True,
        text=True,
    )
    assert compiled.returncode == 0, compiled.stderr
    ran = subprocess.run([program], capture_output=True)
    assert ran.returncode == 0 and ran.stdout == model
    assert int(ran.stderr) == row["arena_bytes"]


def test_the_arena_is_the_smallest_that_runs(row, model):
    assert c_array.fits(model, row["arena_bytes"])
    assert not c_array.fits(model, row["arena_bytes"] - 1024)
