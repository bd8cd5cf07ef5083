"""Any value of any field is accepted and valid, or refused in one line."""

import json
import pathlib
import tempfile
import unicodedata

import hypothesis
import ml_collections
import pytest
from absl import flags
from hypothesis import strategies as st

from kd_keras import config as config_lib
from kd_keras.config import field, overrides, schema
from kd_keras.utils import arguments

# Nothing is written into the checkout.
hypothesis.configuration.set_hypothesis_home_dir(
    pathlib.Path(tempfile.gettempdir()) / "kd_keras_hypothesis"
)
SETTINGS = {"derandomize": True, "database": None, "deadline": None}
DEFAULTS = config_lib.flatten(config_lib.default_config())
RULES = {
    field.join(prefix, entry.name): entry.rule
    for prefix, section in field.sections(schema.SCHEMA)
    for entry in section.fields
}

# Categories of Unicode: control characters, halves of characters, line breaks.
CONTROL = {"Cc", "Cs", "Zl", "Zp"}
NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.integers(),
    st.sampled_from([2**31 - 1, 2**31, 10**9, 10**23, 10**400]),
    st.floats(),
    st.floats(0, 1),
    st.sampled_from([1e-300, 1e300, 1e-3, 1e5]),
)
CHOICES = sorted({x for rule in RULES.values() if rule for x in rule.choices})
TEXTS = st.one_of(
    st.sampled_from([*CHOICES, "auto", "1", "64", "..", "a*", "os:system"]),
    st.text(st.characters(exclude_categories=[]), max_size=12),
    st.text("a/\\\n\x00\x1b ²é\u202e\udce9", max_size=4),
    st.just("a" * 300),
)
SCALARS = st.one_of(NUMBERS, TEXTS, st.booleans(), st.none(), st.binary())
TUPLES = st.one_of(
    st.lists(st.one_of(SCALARS, st.tuples(SCALARS)), max_size=3).map(tuple),
    st.just((1,) * 1000),
)
VALUES = st.one_of(
    SCALARS,
    TUPLES,
    st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2),
    st.lists(SCALARS, max_size=2),
)
# All types are equally frequent.
NAMES = st.sampled_from([int, float, str, bool, list]).flatmap(
    lambda kind: st.sampled_from(
        [name for name, value in DEFAULTS.items() if type(value) is kind]
    )
)


@st.composite
def values_of_fields(draw):
    """One to three fields, most values of the right type: `{name: value}`."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3))
    right = {
        int: NUMBERS.filter(lambda x: isinstance(x, int)),
        float: NUMBERS.map(float_or_infinity),
        str: TEXTS,
        bool: st.booleans(),
        list: st.one_of(TUPLES, st.lists(NUMBERS, max_size=3).map(tuple)),
    }
    return {
        name: draw(st.one_of(right[type(DEFAULTS[name])], VALUES))
        for name in names
    }


def float_or_infinity(number):
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def set_fields(config, values):
    """Sets fields without the checks of ml_collections."""
    for name, value in values.items():
        parent, _, last = name.rpartition(".")
        section = field.lookup(config, parent)
        with section.ignore_type():
            if isinstance(value, dict):
                value = ml_collections.ConfigDict(value)
            try:
                section[last] = value
            except OverflowError:  # of a whole number in a field of floats
                hypothesis.reject()


def check_accepted(config):
    """Asserts what must be true of every configuration that is accepted."""
    resolved = config.copy_and_resolve_references()
    config_lib.validate(resolved)
    flat = config_lib.flatten(resolved)
    assert flat.keys() == DEFAULTS.keys()
    text = json.dumps(flat, allow_nan=False)
    assert json.loads(text) == flat
    for name, value in flat.items():
        value = tuple(value) if isinstance(value, list) else value
        assert RULES[name] is None or RULES[name].holds(value)


def check_refused(error):
    """Asserts that an error is one line and has the received value."""
    assert len(str(error).splitlines()) == 1 and "Received: " in str(error)
    assert not CONTROL & set(map(unicodedata.category, str(error)))


@pytest.mark.slow
@hypothesis.settings(max_examples=200, **SETTINGS)
@hypothesis.given(values=values_of_fields())
def test_a_configuration_is_valid_or_refused_in_one_line(values):
    config = config_lib.default_config()
    set_fields(config, values)
    try:
        config_lib.validate(config)
    except ValueError as error:
        check_refused(error)
    else:
        check_accepted(config)


ARGUMENTS = st.tuples(
    st.one_of(st.sampled_from([*DEFAULTS]), TEXTS),
    st.one_of(VALUES.map(str), TEXTS, st.none()),
)


@pytest.fixture(scope="module")
def flag_values():
    values = flags.FlagValues()
    flags.DEFINE_string("stage", "all", "Stage.", flag_values=values)
    return values


@pytest.mark.slow
@hypothesis.settings(max_examples=100, **SETTINGS)
@hypothesis.given(given=st.lists(ARGUMENTS, min_size=1, max_size=3))
def test_a_command_line_is_valid_or_refused_in_one_line(flag_values, given):
    argv = [
        f"--config.{name}" + ("" if text is None else f"={text}")
        for name, text in given
    ]
    config = config_lib.default_config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flags, "FLAGS", flag_values)
        patch.setattr(arguments, "_declared", {})
        fields = arguments.define_fields("config")
        try:
            arguments.parse(["train", *argv], [])
            overrides.apply(config, fields)
            config_lib.validate(config)
            overrides.check_used(config, fields.texts)
        except ValueError as error:
            check_refused(error)
        else:
            check_accepted(config)
