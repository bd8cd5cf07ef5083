"""No command removes or replaces what it did not write, whatever its paths.

Each path flag of each command gets a folder, a file, and links to both; all
in a scratch directory.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from scratch import KINDS, occupy, tree

HERE = pathlib.Path(__file__).parent
MODEL = str(HERE.parents[1] / "savedmodels" / "mnist_student")
TRAIN = ("train", "--stage=teacher", "--config.teacher.epochs=1")
LABEL = (
    "label",
    f"--config.teacher.path={MODEL}",
    "--config.data.max_train_examples=500",
)
EXPORT = (
    "export",
    f"--model={MODEL}",
    "--data.name=mnist",
    "--formats=litert",
)

# Command, path flag, and what of the given path the command would write.
TARGETS = [
    (("evaluate", f"--model={MODEL}"), "--output", ""),
    (("latency", f"--models={MODEL}"), "--output", ""),
    (("report", "--name=mnist"), "--output", ""),
    (EXPORT, "--output", "mnist_student.tflite"),
    (EXPORT, "--output", "model_card.md"),
    (EXPORT, "--output", "exports.json"),
    (TRAIN, "--workdir", "teacher"),
    ((*TRAIN, "--restart"), "--workdir", "teacher"),
    (TRAIN, "--savedmodels", "mnist_teacher"),
    ((*TRAIN, "--restart"), "--savedmodels", "mnist_teacher"),
    (LABEL, "--workdir", "store"),
    (EXPORT, "--output", ""),
]


def run(command, flag, directories):
    """The answers of a command, with its flag `given`, in directories."""
    module, *flags = command
    cases = [[str(d), [*flags, f"{flag}=given"]] for d in directories]
    result = subprocess.run(
        [sys.executable, str(HERE.parent / "forked_commands.py"), module],
        input=json.dumps(cases),
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(("command", "flag", "inside"), TARGETS)
def test_nothing_of_somebody_else_is_touched(tmp_path, command, flag, inside):
    kinds = KINDS
    if not inside and command is EXPORT:
        # Exported files may lie beside other files in a folder.
        kinds = ("file", "link_to_file")
    for kind in kinds:
        occupy(tmp_path / kind / "given" / inside, kind)
    before = tree(tmp_path)
    answers = run(command, flag, [tmp_path / kind for kind in kinds])
    assert tree(tmp_path) == before
    for code, errors in answers:
        lines = [x for x in errors.splitlines() if x.startswith("error: ")]
        assert code == 1 and len(lines) == 1, errors
        assert "Received: " in lines[0] and "given" in lines[0]
        assert "Traceback" not in errors
