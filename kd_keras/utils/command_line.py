"""What the command lines share: errors in one line, a quiet start."""

import logging
import os
import re
import shlex
import sys

from absl import app, flags
from absl import logging as absl_logging

_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")


def run(main, *, default_config=None):
    """Runs `main()` as the program; its errors are one line, exit code 1.

    Args:
        main: function of nothing.
        default_config: path of the configuration where `--config` is not
            given; None for a program that has no such flag.
    """
    _prepare_environment()
    app.run(
        lambda argv: _guarded(main, argv),
        flags_parser=lambda argv: _parse_flags(argv, default_config),
    )


def command(module):
    """What was typed, for the record."""
    arguments = " ".join(shlex.quote(argument) for argument in sys.argv[1:])
    return f"python -m {module} {arguments}".rstrip()


def _parse_flags(argv, default_config):
    if default_config:
        argv = _with_config_file(argv, default_config)
    try:
        return flags.FLAGS(argv)
    except SystemExit:
        # absl's --help exits with 1; asking for help is no failure.
        sys.exit(0)
    except (KeyError, AttributeError) as error:
        _fail(_unknown_field(str(error.args[0]), argv))
    except (flags.Error, TypeError, ValueError, OSError) as error:
        _fail(_one_line(error))


def _with_config_file(argv, default):
    """The arguments with a configuration file that is there."""
    for argument, following in zip(argv, [*argv[1:], ""]):
        flag, _, value = argument.partition("=")
        if flag in ("--config", "-config"):
            path = (value or following).partition(":")[0]
            if not os.path.isfile(path):
                _fail(
                    "--config must be a Python file with get_config(). "
                    f"Received: {path!r}, which is no file"
                )
            return argv
    # Not the flag's default, which is loaded with the overrides at once,
    # where no error could be caught.
    return [argv[0], f"--config={default}", *argv[1:]]


def _unknown_field(message, argv):
    """What ml_collections says of a name, with the flag that has it."""
    name = re.search(r"\w+", message)[0]
    flag = next(
        (x.partition("=")[0] for x in argv if re.search(rf"\.{name}\b", x)),
        name,
    )
    close = re.search(r'Did you mean "(\w+)"', message)
    hint = f" Did you mean {close[1]!r}?" if close else ""
    return (
        "fields of the configuration must be those of kd_keras/config.py. "
        f"Received: {flag}.{hint}"
    )


def _one_line(error):
    text = str(error) or repr(error)
    if "Traceback (most recent call last)" in text:
        # Of a configuration file, all of which is put into one error.
        text = f"configuration file: {text.strip().splitlines()[-1]}"
    if isinstance(error, OSError) and error.filename:
        text = (
            "files must be there to read and free to write. Received: "
            f"{error.strerror}: {error.filename}"
        )
    # TensorFlow puts the place in its graph before the words.
    text = re.sub(r"^\{\{.*?\}\} ?", "", text.strip())
    return " ".join(text.split())


def _fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _guarded(main, argv):
    """`main`, with errors in one line: what must hold, what was received."""
    _log_to_stderr()
    try:
        if len(argv) > 1:
            raise ValueError(
                "every argument must be a flag, --name=value. Received: "
                f"{argv[1]!r}"
            )
        main()
    except KeyboardInterrupt:
        print(
            "\ninterrupted; the same command goes on where it was",
            file=sys.stderr,
        )
        sys.exit(130)
    except Exception as error:
        if _DEBUG.value or not _is_expected(error):
            raise
        _fail(_one_line(error))


def _is_expected(error):
    """Whether an error is about what the user gave, not about this code."""
    if isinstance(error, (ValueError, OSError)):
        return True
    # A full disk, from TensorFlow's own writers; asked for by name, since
    # TensorFlow need not have been imported.
    return type(error).__module__.startswith("tensorflow") and any(
        base.__name__ == "OpError" for base in type(error).__mro__
    )


def _log_to_stderr():
    """Our lines, plain; of TensorFlow's only the errors."""
    absl_logging.set_verbosity(absl_logging.ERROR)
    logger = logging.getLogger("kd_keras")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False


def _prepare_environment():
    # Before TensorFlow is imported. oneDNN's kernels are about twice as fast
    # on CPUs where TensorFlow leaves them off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
