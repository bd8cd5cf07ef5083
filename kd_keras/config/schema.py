"""All fields: their defaults as a `ConfigDict`, and their checks."""

import ml_collections

from kd_keras.config import (
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
    ),
)


def default_config():
    """Returns the configuration with every default, as a `ConfigDict`."""
    config = ml_collections.ConfigDict()
    field.build(SCHEMA, config, config)
    return config


def validate(config):
    """Raises a ValueError that names a field that is not allowed."""
    names = flatten(default_config())
    for name in flatten(config):
        if name not in names:
            raise ValueError(
                "fields of the configuration must be those that --help-config "
                f"shows. Received: {name}.{did_you_mean(name, names)}"
            )
    for prefix, section in field.sections(SCHEMA):
        for entry in section.fields:
            name = field.join(prefix, entry.name)
            if entry.rule:
                field.check(entry.rule, name, field.lookup(config, name))
        if section.check:
            section.check(config)
