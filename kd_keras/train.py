"""Trains a teacher on labels, and a student from it without labels.

Stages:
  teacher   trains the teacher on labels
  student   trains the student on the frozen teacher's softened predictions
  baseline  trains the student's network on labels, to compare
  all       the three in a row, and a table (the default)

Examples:
  python -m kd_keras.train
  python -m kd_keras.train --stage=teacher --config=configs/cifar10.py
  python -m kd_keras.train --stage=student --config=configs/cifar10.py \\
      --config.distill.temperature=8 --config.student.epochs=20
  python -m kd_keras.train --stage=student --config.teacher.path=teacher \\
      --config.data.name=folder --config.data.data_dir=pictures

A stage works in <workdir>/<stage>/ and exports a SavedModel to
<savedmodels>/<config name>_<stage>/. The same command goes on after an
interruption, and does nothing where a stage is finished. kd_keras/config.py
documents every field of the configuration.
"""

import contextlib
import difflib
import logging
import os
import pathlib
import re
import shlex
import sys

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from kd_keras import config as config_lib

_DEFAULT_CONFIG = pathlib.Path(__file__).parent.parent / "configs" / "mnist.py"

_STAGE = flags.DEFINE_string(
    "stage", "all", f"One of {', '.join(config_lib.STAGES)}, all."
)
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file (default: configs/mnist.py); --config.field=value "
    "overrides one of its fields.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where runs are kept (default: runs/<config name>)."
)
_SAVEDMODELS = flags.DEFINE_string(
    "savedmodels", "savedmodels", "Where exported models go."
)
_RESTART = flags.DEFINE_bool(
    "restart", False, "Begin anew: removes what the stages have left before."
)
_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")


def main(argv):
    if len(argv) > 1:
        raise ValueError(
            "every argument must be a flag, --name=value. Received: "
            f"{argv[1]!r}"
        )
    stages = _stages(_STAGE.value)
    config = _CONFIG.value
    config_lib.validate(config)
    workdir = _WORKDIR.value or f"runs/{config.name}"

    with _without_start_up_messages():
        from kd_keras import stages as stages_lib

    reports = stages_lib.run(
        config,
        stages=stages,
        workdir=workdir,
        savedmodels=_SAVEDMODELS.value,
        restart=_RESTART.value,
        command=_command(),
    )
    print(_summary(reports, config, workdir))


def _stages(name):
    if name == "all":
        return list(config_lib.STAGES)
    if name in config_lib.STAGES:
        return [name]
    choices = [*config_lib.STAGES, "all"]
    close = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"--stage must be one of {', '.join(choices)}. "
        f"Received: {name!r}.{hint}"
    )


def _command():
    arguments = " ".join(shlex.quote(argument) for argument in sys.argv[1:])
    return f"python -m kd_keras.train {arguments}".rstrip()


def _summary(reports, config, workdir):
    """A table of the stages, and where their results lie."""

    def cell(value, form):
        return "-" if value is None else format(value, form)

    lines = [
        "",
        f"{'':10}{'parameters':>12}{'MACs':>14}{'test errors':>17}"
        f"{'agreement':>11}{'seconds':>9}",
    ]
    for report in reports:
        errors = cell(report["test_errors"], ",")
        if report["test_examples"]:
            errors += f" of {report['test_examples']:,}"
        lines.append(
            f"{report['stage']:10}{report['parameters']:>12,}"
            f"{report['macs']:>14,}{errors:>17}"
            f"{cell(report.get('agreement'), '.2%'):>11}"
            f"{report['seconds']:>9.0f}"
        )
    exported = pathlib.Path(_SAVEDMODELS.value) / (
        f"{config.name}_{reports[-1]['stage']}"
    )
    if any(report["stage"] == "student" for report in reports):
        exported = exported.with_name(f"{config.name}_student")
    lines += [
        "",
        f"SavedModel       {exported}",
        "  import tensorflow as tf",
        f"  model = tf.saved_model.load({str(exported)!r})",
        "  model.signatures['serving_default'](images=uint8_images)['logits']",
        f"TensorBoard logs {workdir}/<stage>/tensorboard",
        f"  {_python()} -m tensorboard.main --logdir {workdir}",
    ]
    return "\n".join(lines)


def _python():
    """This interpreter, as one would type it here."""
    relative = os.path.relpath(sys.executable)
    return sys.executable if relative.startswith("..") else relative


def _parse_flags(argv):
    if not any(re.match(r"--?config(=|$)", argument) for argument in argv):
        # Not the flag's default, which is loaded with the overrides at once,
        # where no error could be caught.
        argv = [argv[0], f"--config={_DEFAULT_CONFIG}", *argv[1:]]
    try:
        return flags.FLAGS(argv)
    except SystemExit:
        # absl's --help exits with 1; asking for help is no failure.
        sys.exit(0)
    except (KeyError, AttributeError) as error:
        _fail(f"unknown field of the configuration: {_one_line(error.args[0])}")
    except (flags.Error, TypeError, ValueError, OSError) as error:
        _fail(_one_line(error))


def _one_line(error):
    text = str(error) or repr(error)
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


def _guarded_main(argv):
    """`main`, with errors in one line: what must hold, what was received."""
    _log_to_stderr()
    try:
        main(argv)
    except KeyboardInterrupt:
        print(
            "\ninterrupted; the same command goes on from the last epoch",
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


@contextlib.contextmanager
def _without_start_up_messages():
    """TensorFlow's import writes some lines whatever its log level is."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _prepare_environment():
    # Before TensorFlow is imported. oneDNN's kernels are about twice as fast
    # on CPUs where TensorFlow leaves them off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


if __name__ == "__main__":
    _prepare_environment()
    app.run(_guarded_main, flags_parser=_parse_flags)
