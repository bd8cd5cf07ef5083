"""Declares fields: name, default, description, and the rule of their values.

ml_collections, which holds the values and reads the command line, has no
place for descriptions and rules.
"""

import dataclasses
import math
from collections.abc import Callable

import ml_collections

from kd_keras.utils import suggestions


@dataclasses.dataclass(frozen=True)
class Rule:
    """A condition on a value.

    Attributes:
        text: str that follows "must be" in the error: `> 0`.
        holds: function of the value -> bool.
        choices: tuple of the allowed values, where these are names.
    """

    text: str
    holds: Callable[[object], bool]
    choices: tuple = ()


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of the configuration.

    Attributes:
        name: str.
        default: value; None for a field that has `same_as`.
        description: str, for the reference.
        rule: `Rule`, or None where the configuration alone cannot tell
            whether a value is right, such as the name of a network.
        same_as: str, full name of another field, `data.augment.mirror`:
            this one follows it until it is set itself.
        used_with: None, or `(name, rule)`: the field has an effect only if
            another field, of the same section or with its full name, obeys
            the rule.
        kind: type, the only one that the field accepts; by default the type
            of the default value.
    """

    name: str
    default: object
    description: str
    rule: Rule | None = None
    same_as: str = ""
    used_with: tuple | None = None
    kind: type | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """Fields and subsections under one name.

    Attributes:
        name: str; empty for the section of everything.
        description: str, for the reference.
        entries: tuple of `Field` and `Section`.
        check: function of the whole configuration that raises a ValueError
            if several fields do not fit together; or None.
        recipe: function of a name -> dict of fields of the section, which
            `--config.<section>=<name>` sets together; or None.
    """

    name: str
    description: str
    entries: tuple
    check: Callable | None = None
    recipe: Callable | None = None

    @property
    def fields(self):
        """The fields that are directly in this section."""
        return [entry for entry in self.entries if isinstance(entry, Field)]


def sections(section, prefix=""):
    """Yields `(full name, section)` of a section and all below it."""
    yield prefix, section
    for entry in section.entries:
        if isinstance(entry, Section):
            yield from sections(entry, join(prefix, entry.name))


def build(section, config, root):
    """Adds a section's defaults to `config`, a part of `root`."""
    for entry in section.entries:
        if isinstance(entry, Section):
            config[entry.name] = ml_collections.ConfigDict()
            build(entry, config[entry.name], root)
        elif entry.same_as:
            parent, _, name = entry.same_as.rpartition(".")
            # `identity` makes a new reference, so that setting this field
            # does not change the other one.
            config[entry.name] = lookup(root, parent).get_ref(name).identity()
        elif entry.kind:
            config[entry.name] = ml_collections.FieldReference(
                entry.default, field_type=entry.kind
            )
        else:
            config[entry.name] = entry.default


def check(rule, name, value):
    """Raises a ValueError unless the value of a field obeys its rule."""
    if rule.choices:
        suggestions.check_choice(value, rule.choices, what=name)
    elif not rule.holds(value):
        raise ValueError(f"{name} must be {rule.text}. Received: {value!r}")


def check_type(name, value, default, kind=None):
    """Raises a ValueError unless a value has the type of the default.

    `kind`, if given, replaces the type of the default.
    """
    if not is_of_type(value, kind or type(default)):
        raise ValueError(
            f"{name} must be of the type of its default, {default!r}. "
            f"Received: {value!r}"
        )


def require(holds, config, name, text):
    """Raises a ValueError for a field that does not fit other fields."""
    if not holds:
        raise ValueError(
            f"{name} must be {text}. Received: {lookup(config, name)!r}"
        )


def lookup(config, name):
    """Returns the value with a full name: `student.optimizer.momentum`."""
    for part in filter(None, name.split(".")):
        config = config[part]
    return config


def join(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def number(*, least=-math.inf, above=-math.inf, most=math.inf, below=math.inf):
    """Rule: a number lies between bounds.

    Args:
        least, most: bounds that are allowed themselves.
        above, below: bounds that are not.
    """
    bounds = ((">=", least), (">", above), ("<=", most), ("<", below))
    text = " and ".join(
        f"{sign} {bound:,}" for sign, bound in bounds if math.isfinite(bound)
    )

    def holds(value):
        # Comparisons with NaN are False.
        return least <= value <= most and above < value < below

    return Rule(text, holds)


# Upper bounds lie far above any use: they catch slips.
COUNT = number(least=1, most=1_000_000)
COUNT_OR_ZERO = number(least=0, most=1_000_000)
AMOUNT = number(least=0, most=10**9)
PIXELS = number(least=0, most=10_000)
SEED = number(least=0, most=2**31 - 1)
WEIGHT = number(least=0, most=1_000_000)
UP_TO_ONE = number(least=0, most=1)
SHARE_OR_COUNT = Rule(
    "a share >= 0 and < 1, or a whole number <= 1,000,000,000",
    lambda value: (
        0 <= value < 1 or (isinstance(value, int) and 0 < value <= 10**9)
    ),
)


def one_of(choices):
    """Rule: the value is one of these names."""
    return Rule(
        f"one of {', '.join(filter(None, choices))}"
        f"{', or empty' if '' in choices else ''}",
        lambda value: value in choices,
        choices,
    )


def names(choices):
    """Rule: a tuple of some of these names, each once at most."""

    def holds(values):
        # Checked first, since a set cannot hold values of every type.
        known = all(value in choices for value in values)
        return known and len(set(values)) == len(values)

    return Rule(f"a tuple of some of {', '.join(choices)}, each once", holds)


def each(kind, rule, *, most=100):
    """Rule: a tuple holds at most `most` numbers, which all obey a rule.

    Args:
        kind: `int` or `float`, which takes whole numbers, too.
        rule: `Rule`.
        most: int.
    """
    words = "whole numbers" if kind is int else "numbers"

    def holds(values):
        return len(values) <= most and all(
            is_of_type(value, kind) and rule.holds(value) for value in values
        )

    return Rule(f"a tuple of at most {most:,} {words} {rule.text}", holds)


def range_of(rule, *, empty=False):
    """Rule: a tuple holds the lower and the upper end of a range.

    Args:
        rule: `Rule` of both numbers.
        empty: bool, whether an empty tuple is allowed, too.
    """
    numbers = each(float, rule)

    def holds(values):
        if empty and not values:
            return True
        return (
            len(values) == 2
            and numbers.holds(values)
            and values[0] <= values[1]
        )

    text = f"a tuple (low, high) of numbers {rule.text}"
    return Rule(f"empty or {text}" if empty else text, holds)


def is_of_type(value, kind):
    """Whether a value has a field's type; a float may be a whole number."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
