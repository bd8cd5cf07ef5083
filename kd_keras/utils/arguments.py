"""Reads the arguments of a command: flags, and fields of a configuration.

absl reads the flags. Fields, such as `--config.student.epochs=3`, are taken
out before and kept as text: the configuration knows their names and types.
"""

import os
import re

from absl import flags

from kd_keras.utils import suggestions

# Line breaks and other control characters of ASCII and Unicode, such as
# characters that change the direction of text.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_FIELD = re.compile(r"--?(no)?(\w+)\.([^=]*)(=)?(.*)", re.DOTALL)
_WORDS = {
    flags.BooleanParser: "true or false",
    flags.IntegerParser: "a whole number",
    flags.FloatParser: "a number",
}
_declared = {}


class Fields:
    """The arguments `--<flag>.<name>=<text>` of a command line.

    Attributes:
        flag: str.
        texts: dict of full names to texts; None for a name without a value.
    """

    def __init__(self, flag):
        self.flag = flag
        self.texts = {}

    def add(self, name, text):
        if name in self.texts:
            raise ValueError(
                "each flag must be given once. Received: "
                f"--{self.flag}.{name} twice"
            )
        self.texts[name] = text


def define_fields(flag):
    """Declares that a command takes fields: `--<flag>.<name>=<value>`.

    Returns:
        `Fields`, empty until the command line is read.
    """
    _declared[flag] = Fields(flag)
    return _declared[flag]


class SectionParser(flags.ArgumentParser):
    """Refuses a value for a flag that has only fields.

    Args:
        example: str, how a field is given.
    """

    def __init__(self, example):
        super().__init__()
        self.example = example

    def parse(self, argument):
        raise ValueError(f"given field by field, such as {self.example}")


def parse(argv, known):
    """Reads a command line into absl's flags and the declared `Fields`.

    Args:
        argv: list of str, the program first.
        known: list of `absl.flags.Flag`, the command's own.

    Returns:
        List of str: the program, and the arguments that are no flags.

    Raises:
        ValueError: if the command line cannot be used.
    """
    names = [flag.name for flag in known]
    for flag in known:
        flag.allow_overwrite = False
    argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    _check_text(argv)
    try:
        rest = flags.FLAGS(_take_fields(argv))
    except flags.UnrecognizedFlagError as error:
        raise ValueError(_unknown(error.flagname, names)) from error
    except flags.IllegalFlagValueError as error:
        raise ValueError(_wrong_value(error)) from error
    except flags.Error as error:
        missing = re.search("Missing value for flag (.+)", str(error))
        if not missing:
            raise
        raise ValueError(
            f"{missing[1]} must have a value. Received: none"
        ) from error
    for flag in known:
        if flag.present:
            _check_not_empty(flag)
    return rest


def _check_text(argv):
    """Raises a ValueError for text that files and logs cannot hold.

    TensorFlow's paths are UTF-8; it would fail only when it writes.
    """
    for text in (*argv, os.getcwd()):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "arguments and the working directory must be UTF-8 text. "
                f"Received: {text!r}"
            ) from error
        if _CONTROL.search(text):
            raise ValueError(
                "arguments must have no line breaks and other control "
                f"characters. Received: {text!r}"
            )


def _take_fields(argv):
    """The arguments without the fields, which are added to their `Fields`."""
    rest, waiting = [argv[0]], list(argv[1:])
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*rest, argument, *waiting]
        field = _FIELD.fullmatch(argument)
        if not field or field[2] not in _declared:
            rest.append(argument)
            continue
        negated, flag, name, equals, text = field.groups()
        if negated and equals:
            raise ValueError(
                f"--no{flag}.{name} must have no value. Received: {argument}"
            )
        if not equals:
            text = "false" if negated else None
            if not negated and waiting and _is_value(waiting[0]):
                text = waiting.pop(0)
        _declared[flag].add(name, text)
    return rest


def _is_value(argument):
    """Whether an argument can be the value of the flag before it."""
    return not argument.startswith("-") or argument[1:2].isdigit()


def _unknown(name, names):
    close = suggestions.did_you_mean(f"--{name}", [f"--{x}" for x in names])
    if name.partition(".")[0] in _declared:
        close = ""
    return f"flags must be those that --help shows. Received: --{name}.{close}"


def _wrong_value(error):
    """The error line for a value that absl refused."""
    message, reason = str(error), error.__context__
    name = re.match("flag --([^=]+)=", message)[1]
    if reason is None:
        return f"each flag must be given once. Received: --{name} twice"
    value = message[len(f"flag --{name}=") : -len(f": {reason}")]
    parser = flags.FLAGS[name].parser
    words = next(
        (words for kind, words in _WORDS.items() if isinstance(parser, kind)),
        str(reason),
    )
    if isinstance(parser, flags.EnumParser):
        words = f"one of {', '.join(parser.enum_values)}"
    words += _bounds(parser)
    return f"--{name} must be {words}. Received: {value!r}"


def _bounds(parser):
    """The range of a number, such as ` from 1 to 9` or ` of at least 1`."""
    least = getattr(parser, "lower_bound", None)
    most = getattr(parser, "upper_bound", None)
    if least is None:
        return ""
    if most is None:
        return f" of at least {least:,}"
    return f" from {least:,} to {most:,}"


def _check_not_empty(flag):
    empty = flag.value == "" or flag.value == []
    if empty or (isinstance(flag.value, list) and not all(flag.value)):
        raise ValueError(
            f"--{flag.name} must have no empty value. Received: "
            f"{','.join(flag.value)!r}"
        )
