"""Sets fields of a configuration from the command line."""

import ast
import numbers
import re

from absl import flags

from kd_keras.config import field, schema
from kd_keras.config.flat import flatten
from kd_keras.utils.suggestions import did_you_mean

# A tuple of names, without the quotes that a shell would need: mirror,cutout.
_NAMES = re.compile(r"[a-z]\w*(,[a-z]\w*)*")


def apply(config, fields):
    """Sets the fields that a command line gives.

    Args:
        config: `ConfigDict`, or a section of one; it is changed.
        fields: `arguments.Fields`.

    Raises:
        ValueError: if a field is unknown, or a text does not have its type.
    """
    names = flatten(config)
    recipes = {
        name: section.recipe
        for name, section in field.sections(schema.SCHEMA)
        if section.recipe
    }
    # Recipes first, wherever they stand: single fields override them.
    for name in sorted(fields.texts, key=lambda name: name not in recipes):
        text, flag = fields.texts[name], f"--{fields.flag}.{name}"
        if name in recipes:
            values = recipes[name](_value(flag, text, str), what=flag)
            field.lookup(config, name).update(values)
            continue
        if name not in names:
            raise ValueError(_unknown(config, fields.flag, name))
        parent, _, last = name.rpartition(".")
        section = field.lookup(config, parent)
        section[last] = _value(flag, text, section.get_type(last))


def check_used(config, names):
    """Raises a ValueError for a field that has no effect.

    Args:
        config: the whole configuration.
        names: iterable of str, full names of fields that somebody has set.
    """
    for prefix, section in field.sections(schema.SCHEMA):
        for entry in section.fields:
            name = field.join(prefix, entry.name)
            if name not in names or not entry.used_with:
                continue
            chooser, rule = entry.used_with
            if "." not in chooser:
                chooser = field.join(prefix, chooser)
            choice = field.lookup(config, chooser)
            if not rule.holds(choice):
                raise ValueError(
                    f"{name} has no effect unless {chooser} is {rule.text}. "
                    f"Received: {name}={field.lookup(config, name)!r} with "
                    f"{chooser}={choice!r}"
                )


def _unknown(config, flag, name):
    """The error message for a name that is no field."""
    names = flatten(config)
    inside = [full for full in names if full.startswith(f"{name}.")]
    if inside:
        return (
            f"--{flag}.{name} must be given field by field, such as "
            f"--{flag}.{inside[0]}. Received: a section"
        )
    return (
        "fields of the configuration must be those that kd-keras train "
        f"--help-config shows. Received: --{flag}.{name}."
        f"{did_you_mean(name, names)}"
    )


def _value(flag, text, kind):
    if text is None and kind is bool:
        return True
    if text is None:
        raise ValueError(f"{flag} must have a value. Received: none")
    words, convert = _CONVERTERS[kind]
    try:
        return convert(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(
            f"{flag} must be {words}. Received: {text!r}"
        ) from None


def _number(text):
    try:
        return int(text)
    except ValueError:
        return float(text)


def _tuple(text):
    if _NAMES.fullmatch(text):
        return tuple(text.split(","))
    value = ast.literal_eval(text)
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


_CONVERTERS = {
    bool: ("true or false", flags.BooleanParser().parse),
    int: ("a whole number", int),
    float: ("a number", float),
    numbers.Real: ("a number", _number),
    str: ("text", str),
    tuple: ("a tuple, such as (1, 2)", _tuple),
}
