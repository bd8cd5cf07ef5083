"""All fields: their defaults as a `ConfigDict`, and their checks."""

import functools

import ml_collections

from kd_keras.config import (
    cluster,
    data,
    distill,
    field,
    general,
    specialist,
    store,
    student,
    teacher,
    transfer,
)
from kd_keras.config.flat import flatten
from kd_keras.utils.suggestions import did_you_mean

SCHEMA = field.Section(
    "",
    "The whole experiment.",
    (
        *general.FIELDS,
        data.SECTION,
        teacher.SECTION,
        student.SECTION,
        student.BASELINE,
        transfer.SECTION,
        distill.SECTION,
        specialist.SECTION,
        store.SECTION,
        cluster.SECTION,
    ),
)


def default_config():
    """Returns the configuration with every default, as a `ConfigDict`."""
    config = ml_collections.ConfigDict()
    field.build(SCHEMA, config, config)
    return config


@functools.cache
def _defaults():
    return flatten(default_config())


@functools.cache
def _kinds():
    """The types that fields declare, or None: dict by full name."""
    return {
        field.join(prefix, entry.name): entry.kind
        for prefix, section in field.sections(SCHEMA)
        for entry in section.fields
    }


def check_shape(config):
    """Raises a ValueError for missing, unknown and wrongly typed fields."""
    defaults, values = _defaults(), flatten(config)
    for name in values:
        if name not in defaults:
            raise ValueError(
                "fields of the configuration must be those that kd-keras train "
                f"--help-config shows. Received: {name}."
                f"{did_you_mean(name, defaults)}"
            )
    for name in defaults:
        if name not in values:
            raise ValueError(
                "a configuration must have all fields, as default_config() "
                f"does. Received: one without {name}"
            )
    check_types(config)


def check_types(config):
    """Raises a ValueError if a field does not have its type."""
    values = flatten(config)
    for name, default in _defaults().items():
        field.check_type(name, values.get(name), default, _kinds()[name])


def validate(config):
    """Raises a ValueError that names a field that is not allowed."""
    check_shape(config)
    for prefix, section in field.sections(SCHEMA):
        for entry in section.fields:
            name = field.join(prefix, entry.name)
            if entry.rule:
                field.check(entry.rule, name, field.lookup(config, name))
        if section.check:
            section.check(config)
