"""The program `kd-keras`: runs one of the package's commands."""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import importlib
import os
import pathlib
import sys

import kd_keras
from kd_keras.utils import help_text, suggestions

# Each command's module and the first line of its docstring. Written out here:
# importing the modules would make --help slow.
COMMANDS = {
    "train": "Trains a teacher on labels, and a student from it without labels",
    "label": "Stores a teacher's predictions, to train many students from them",
    "evaluate": "Measures a model against its teacher and a baseline",
    "export": "Exports a model to LiteRT, ONNX or a C array",
    "latency": "Times models of any format side by side on this machine",
    "report": "Writes one HTML page that compares a student with its teacher",
    "launch": "Trains in several processes of one machine, to try out clusters",
    "views": "Shows the augmented views of a configuration in one image",
}
USAGE_ERROR = 2


def main():
    """Runs the command that the first argument names.

    Returns:
        int, the exit code: 0, or 2 where no command was found. The command
        itself exits with 0, 1 or 130.
    """
    with interruption.exiting_at_once():
        return _run()


def _run():
    program = _program()
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first in ("--help", "-help", "-h", "-?", "help"):
        help_text.show(_help(program))
        return 0
    if first == "--version":
        print(f"kd_keras {kd_keras.__version__}")
        return 0
    if first == "--help-config":
        # Imported here: it takes longer than all else.
        from kd_keras.config import reference

        help_text.show(reference.text())
        return 0
    if first not in COMMANDS:
        received = repr(first) if first else "none"
        print(
            f"error: the command must be one of {', '.join(COMMANDS)}. "
            f"Received: {received}.{suggestions.did_you_mean(first, COMMANDS)} "
            f"See {program} --help",
            file=sys.stderr,
        )
        return USAGE_ERROR
    # As with `python -m`: a module:function may be in this directory.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    # The first entry is what a record shows as the program.
    sys.argv = [f"{program} {first}", *sys.argv[2:]]
    importlib.import_module(f"kd_keras.{first}").cli()
    return 0


def _program():
    """Returns the program's name as it was typed."""
    name = pathlib.Path(sys.argv[0]).stem
    return "python -m kd_keras" if name == "__main__" else name


def _help(program):
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            f"Usage: {program} COMMAND [--FLAG=VALUE ...]",
            "",
            f"{kd_keras.__doc__.strip()}",
            "",
            "Commands:",
            *lines,
            "",
            f"{program} COMMAND --help shows the flags of a command.",
            f"{program} --help-config shows every field of a configuration.",
            f"{program} --version shows the version.",
            "",
            "Exit codes: 0 success, 1 error, 2 no or unknown command, "
            "130 interrupted.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
