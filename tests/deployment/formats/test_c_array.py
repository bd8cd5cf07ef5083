"""The C header, compiled, and its memory."""

import re
import subprocess

import pytest

from kd_keras.deployment.formats import c_array
from kd_keras.teachers import loading, micro


@pytest.fixture
def row(exported):
    return next(row for row in exported[2] if row["format"] == "c_array")


@pytest.fixture
def model(output):
    return (output / "digits_int8.tflite").read_bytes()


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "text",
    [
        "int main() {}",
        "#define A_BYTES 1\nstatic const unsigned char a[1] = {\n0x12,\n};",
        "#define A_ARENA_BYTES 9\nchar a[2] = {\n0x12,\n};",
        "#define A_ARENA_BYTES 9\nchar a[2] = {\n0x12,0x1",
        "#define A_ARENA_BYTES 9\nchar a[1] = {\n0xzz,\n};",
    ],
    ids=["none", "no arena", "short", "cut off", "no digits"],
)
def test_a_damaged_header_is_told_as_such(tmp_path, text):
    path = tmp_path / "a.h"
    path.write_text(text)
    for read in (loading.load_classifier, loading.size):
        with pytest.raises(ValueError, match="whole array of kd-keras export"):
            read(path)


@pytest.mark.slow
def test_the_arena_is_the_smallest_that_runs(row, model):
    with micro.Trials(model) as trials:
        assert trials.failure(row["arena_bytes"]) is None
        assert trials.failure(row["arena_bytes"] - 1024) is not None


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("digits_int8", "digits_int8"),
        ("net_0.25_int8", "net_0_25_int8"),
        ("3-layers", "model_3_layers"),
        ("_Reserved", "model__Reserved"),
        ("模型", "u6a21u578b"),
        ("Größe", "Gruf6udfe"),
        ('"; int x = "', "model____int_x____"),
        ("", "model_"),
    ],
)
def test_any_name_makes_an_identifier_of_c(name, identifier):
    assert c_array.identifier(name) == identifier
    assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", identifier)
