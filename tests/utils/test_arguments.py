"""Arguments of a command: flags of absl, and fields kept as text."""

import pytest
from absl import flags

from kd_keras.utils import arguments


@pytest.fixture
def read(monkeypatch):
    """A function that reads a command line: `(flags, texts, rest)`."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    monkeypatch.setattr(arguments, "_declared", {})
    options = {"flag_values": values}
    flags.DEFINE_integer("start", 0, "Number.", **options)
    flags.DEFINE_integer("task", None, "Task.", lower_bound=0, **options)
    flags.DEFINE_integer("jobs", 1, "Jobs.", 1, upper_bound=64, **options)
    flags.DEFINE_float("scale", 1.0, "Factor.", **options)
    flags.DEFINE_bool("twice", False, "Whether.", **options)
    flags.DEFINE_enum("mean", "none", ["none", "square"], "Kind.", **options)
    flags.DEFINE_list("numbers", ["1"], "Numbers.", **options)
    flags.DEFINE_string("output", None, "File.", **options)
    parser = arguments.SectionParser("--size.height=3")
    flags.DEFINE(parser, "size", None, "Size.", **options)
    fields = arguments.define_fields("size")
    known = [values[name] for name in values]

    def read(*argv):
        rest = arguments.parse(["add", *argv], known)
        return values, fields.texts, rest[1:]

    return read


def test_flags_and_fields_are_read_in_any_order(read):
    values, texts, rest = read(
        "--size.height=3", "--start=2", "--size.name", "a b", "--size.unit.x=",
        "--nosize.round", "--size.full", "--output", "c", "-size.low", "-1",
        "more", "--size.last",
    )  # fmt: skip
    assert (values.start, values.output, rest) == (2, "c", ["more"])
    assert texts == {
        "height": "3",
        "name": "a b",
        "unit.x": "",
        "round": "false",
        "full": None,
        "low": "-1",
        "last": None,
    }


def test_nothing_is_a_flag_behind_two_dashes(read):
    _, texts, rest = read("--start=1", "--", "--size.height=3", "--start=2")
    assert texts == {} and rest == ["--size.height=3", "--start=2"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--start=x"], "--start must be a whole number. Received: 'x'"),
        (["--start=1.5"], "--start must be a whole number. Received: '1.5'"),
        (["--task=-1"], "whole number of at least 0. Received: '-1'"),
        (["--jobs=0"], "--jobs must be a whole number from 1 to 64. Rec"),
        (["--scale=x"], "--scale must be a number. Received: 'x'"),
        (["--twice=x"], "--twice must be true or false. Received: 'x'"),
        (["--mean=sqare"], "--mean must be one of none, square. Received: "),
        (["--output="], "--output must have no empty value. Received: ''"),
        (["--numbers=1,,2"], "--numbers must have no empty value. Received: "),
        (["--numbers="], "--numbers must have no empty value. Received: ''"),
        (["--strat=1"], "Received: --strat. Did you mean '--start'?"),
        # Of another library's flags, which --help does not show.
        (["--stderrthreshol=1"], "Received: --stderrthreshol."),
        (["--start=1", "--start=1"], "given once. Received: --start twice"),
        (["--size=3"], "--size must be given field by field, such as --size.h"),
        (["--size.a=1", "--size.a", "2"], "once. Received: --size.a twice"),
        (["--size.a", "--nosize.a"], "once. Received: --size.a twice"),
        (["--nosize.a=1"], "--nosize.a must have no value. Received: "),
        (["--output=a\udce9"], r"UTF-8 text. Received: '--output=a\udce9'"),
        (["--size.a=b\x1b"], r"control characters. Received: '--size.a=b\x1b"),
        (["--output=a\u2028b"], r"control characters. Received: '--output=a\u"),
        (["--output=a\u202eb"], r"control characters. Received: '--output=a\u"),
        (["--output=a\nb"], r"line breaks and other control characters. Rec"),
        (["--output"], "--output must have a value. Received: none"),
    ],
)
def test_a_wrong_argument_is_refused(read, argv, message):
    with pytest.raises(ValueError) as error:
        read(*argv)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_working_directory_that_is_not_utf_8_is_refused(read, monkeypatch):
    monkeypatch.setattr("os.getcwd", lambda: "/a\udce9")
    with pytest.raises(ValueError, match="the working directory must be UTF"):
        read()
