"""Runs a command: quiet start, help, and errors in one line."""

import codecs
import contextlib
import gc
import importlib
import locale
import logging
import os
import re
import shlex
import sys
import textwrap

from absl import app, flags
from absl import logging as absl_logging

from kd_keras.utils import (
    arguments,
    error_lines,
    help_text,
    interruption,
    processes,
    quiet,
)

_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
_IMPORT = flags.DEFINE_list(
    "import",
    [],
    "Modules of your own, imported before models are loaded: their classes, "
    "registered by keras.saving.register_keras_serializable, are then known.",
)
_HELP_FLAGS = ("--help", "-help", "-h", "-?")
_LINE_WIDTH = 79


def run(main, *, on_error=lambda line: None):
    """Runs `main()` with the flags of the command line, then exits.

    The exit code is 0, 1 after an error, or 130 after an interruption; a
    termination (SIGTERM) ends the process by its signal.
    Errors about the user's input are one line; others keep their traceback.

    Args:
        main: function without arguments. `--help` shows the docstring of its
            module and the module's flags.
        on_error: function that is called with the line of an error. If the
            user caused the error, the line has been printed before.
    """
    _prepare_environment()
    _check_encoding()
    if any(argument in _HELP_FLAGS for argument in sys.argv[1:]):
        help_text.show(_help(main))
        sys.exit(0)
    with (
        interruption.announcing_termination(),
        processes.ending_at_once(),
    ):
        app.run(
            lambda argv: _guarded(main, argv, on_error),
            flags_parser=lambda argv: _parse_flags(argv, main, on_error),
        )


@contextlib.contextmanager
def importing():
    """Context for TensorFlow's imports: silent, and interruptible at once.

    See `quiet` and `interruption`. Python does not search for garbage
    meanwhile, nor later among the objects that TensorFlow's import made: that
    would take more than a second of each command, and find hardly any.
    """
    is_first = "tensorflow" not in sys.modules
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with interruption.exiting_at_once(), quiet.without_messages():
            yield
    finally:
        if is_first:
            gc.freeze()
        if was_enabled:
            gc.enable()


def command(module):
    """Returns the command as it was typed, for records.

    Args:
        module: str, the name after `python -m` if the module was run
            directly. The program `kd-keras` puts its own name and the
            command's into `sys.argv[0]`.
    """
    dispatched = sys.argv[0].startswith(("kd-keras ", "python -m "))
    program = sys.argv[0] if dispatched else f"python -m {module}"
    arguments = " ".join(shlex.quote(argument) for argument in sys.argv[1:])
    return f"{program} {arguments}".rstrip()


def _help(main):
    """Returns the docstring of a command's module, and its flags."""
    names = {_flag_name(flag): flag for flag in _key_flags(main)}
    width = max(map(len, names), default=0) + 4
    lines = [
        textwrap.fill(
            _flag_help(names[name]),
            _LINE_WIDTH,
            initial_indent=f"  {name}".ljust(width),
            subsequent_indent=" " * width,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for name in sorted(names, key=lambda name: names[name].name)
    ]
    docstring = sys.modules[main.__module__].__doc__.strip()
    return "\n".join([docstring, "", "Flags:", *lines])


def _key_flags(main):
    """The flags of a command, without the flags of libraries."""
    module = main.__module__
    # absl files the flags of the main module under the program's path.
    name = sys.argv[0] if module == "__main__" else module
    return flags.FLAGS.get_key_flags_for_module(name)


def _flag_name(flag):
    return f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"


def _flag_help(flag):
    default = flag.default
    if isinstance(default, list):
        default = ",".join(default)
    # A configuration has too many fields to show.
    shown = isinstance(default, (str, int, float)) and default != ""
    if not shown or default is False:
        return flag.help
    return f"{flag.help} (default: {default})"


def _parse_flags(argv, main, on_error):
    try:
        return arguments.parse(argv, _key_flags(main))
    except SystemExit:
        # absl's --helpfull exits with 1; asking for help is no failure.
        sys.exit(0)
    except Exception as error:
        if "--debug" in argv:
            raise
        _log_to_stderr()
        _fail(one_line(error), on_error)


def one_line(error):
    """The message of an error, in one line."""
    text = str(error) or repr(error)
    if isinstance(error, OSError) and error.filename:
        text = (
            "files must exist and be readable, or be free to write. Received: "
            f"{error.strerror}: {error.filename}"
        )
    # If our code raises an error while TensorFlow reads a batch, TensorFlow
    # adds its own words before it and the traceback behind it.
    ours = re.search(r"\w+Error: (.+)\nTraceback \(most recent", text)
    if ours:
        text = ours[1]
    # TensorFlow puts the node of its graph before its own message.
    text = re.sub(r"^\{\{.*?\}\} ?", "", text.strip())
    return " ".join(text.split())


def _fail(message, on_error=lambda line: None):
    error_lines.write(f"error: {message}")
    on_error(message)
    sys.exit(1)


def _guarded(main, argv, on_error):
    """Runs `main()` and turns an expected error into one line."""
    _log_to_stderr()
    try:
        interruption.raise_error()
        if len(argv) > 1:
            raise ValueError(
                "every argument must be a flag, --name=value. Received: "
                f"{argv[1]!r}"
            )
        _import_modules()
        main()
    except KeyboardInterrupt:
        _end_interrupted()
    except Exception as error:
        if interruption.has_happened():
            _end_interrupted()
        if _DEBUG.value or not is_expected(error):
            on_error(one_line(error))
            raise
        _fail(one_line(error), on_error)


def _end_interrupted():
    interruption.exit_at_once()
    error_lines.write(f"\n{interruption.MESSAGE}")
    sys.exit(interruption.EXIT_CODE)


def imported():
    """The names of the modules that `--import` has imported: list of str."""
    return list(_IMPORT.value)


def _import_modules():
    """Imports the modules that `--import` names."""
    if _IMPORT.value and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in _IMPORT.value:
        try:
            with importing():
                importlib.import_module(name)
        except Exception as error:
            raise ValueError(
                "--import must name modules that can be imported, such as "
                f"my_layers for my_layers.py. Received: {name!r}, "
                f"{type(error).__name__}: {error}"
            ) from error


def is_expected(error):
    """Returns whether an error is about the input and not about this code."""
    if isinstance(error, (ValueError, OSError)):
        return True
    # TensorFlow's own writers raise an OpError when a disk is full. Compared
    # by name, since TensorFlow may not have been imported.
    return type(error).__module__.startswith("tensorflow") and any(
        base.__name__ == "OpError" for base in type(error).__mro__
    )


def _log_to_stderr():
    """Logs the package's own lines plainly, and TensorFlow's errors alone."""
    absl_logging.set_verbosity(absl_logging.ERROR)
    logger = logging.getLogger("kd_keras")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False


def _check_encoding():
    """Refuses a locale in which our UTF-8 files would be written wrongly."""
    for stream in (sys.stdout, sys.stderr):
        # A name that a terminal cannot show is shown with escapes.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")
    encoding = locale.getpreferredencoding(False)
    if codecs.lookup(encoding).name != "utf-8":
        _fail(
            "Python must read and write UTF-8: set PYTHONUTF8=1. Received: a "
            f"locale with {encoding}"
        )


def _prepare_environment():
    # TensorFlow reads these when it is imported. oneDNN's kernels are about
    # twice as fast on CPUs where TensorFlow leaves them off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
