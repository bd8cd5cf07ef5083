"""The reference of all fields, as text for a terminal and as Markdown."""

import html
import shutil
import textwrap

from kd_keras.config import field
from kd_keras.config.schema import SCHEMA
from kd_keras.utils import tables

_USE = (
    "A recipe in configs/ sets fields, and --config.student.epochs=3 overrides "
    "one on the command line."
)
# Least width of the descriptions, in columns of a terminal.
_LEAST_ROOM = 20


def text():
    """Returns all fields with defaults and descriptions, in columns."""
    parts = [textwrap.fill(_USE, _width())]
    for name, section in field.sections(SCHEMA):
        parts += [_heading(name, section), *_columns(name, section)]
    return "\n\n".join(parts)


def markdown():
    """Returns all fields as a Markdown page, with one table per section."""
    # The section of optimizers, for example, stands in four others.
    names = {}
    for name, section in field.sections(SCHEMA):
        names.setdefault(id(section), (section, []))[1].append(name)
    parts = ["# Configuration reference", _USE]
    for section, places in names.values():
        titles = [f"`{name}`" if name else "General" for name in places]
        parts += [f"## {', '.join(titles)}", _escaped(section.description)]
        rows = [
            [f"`{entry.name}`", f"`{_default(entry)}`", _escaped(_help(entry))]
            for entry in section.fields
        ]
        if rows:
            header = ["Field", "Default", "Description"]
            parts += [tables.markdown([header, *rows])]
    return "\n\n".join(parts) + "\n"


def _heading(name, section):
    title = f"{name}: " if name else ""
    return textwrap.fill(title + section.description, _width())


def _columns(name, section):
    """A list of the section's table, or an empty one without fields."""
    entries = [
        (field.join(name, entry.name), _default(entry), _help(entry))
        for entry in section.fields
    ]
    if not entries:
        return []
    if _room(entries) < _LEAST_ROOM:
        entries = [
            (full_name, f"{description} Default: {default}.")
            for full_name, default, description in entries
        ]
    rows = []
    for *columns, description in entries:
        first, *more = textwrap.wrap(description, _room(entries))
        rows += [[*columns, first]]
        rows += [[*("" for _ in columns), line] for line in more]
    return [textwrap.indent(tables.aligned(rows, left=3), "  ")]


def _room(entries):
    """The width that is left for the last column."""
    # The indent, and the other columns, each with a gap of two.
    columns = list(zip(*entries))[:-1]
    return _width() - 2 - sum(max(map(len, x)) + 2 for x in columns)


def _width():
    return max(shutil.get_terminal_size((100, 24)).columns, 80)


def _default(entry):
    if entry.same_as:
        return f"as {entry.same_as}"
    return str(entry.default) if entry.default != "" else "''"


def _help(entry):
    if entry.rule is None:
        return entry.description
    return f"{entry.description} Must be {entry.rule.text}."


def _escaped(words):
    return html.escape(words, quote=False).replace("*", "\\*")
