"""The reference of the fields, in a terminal and in Markdown."""

import pytest

from kd_keras import config as config_lib
from kd_keras.config import field, reference, schema

FIELDS = tuple(config_lib.flatten(config_lib.default_config()))


def rows(text):
    """The rows of a text's tables, without continued lines: {field: row}."""
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    names = [line.split()[0] for line in lines]
    return {name: row for name, row in zip(names, lines) if name in FIELDS}


def test_text_has_every_field_with_default_and_description(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    found = rows(reference.text())
    assert sorted(found) == sorted(FIELDS)
    assert "  0.001 " in found["student.optimizer.learning_rate"]
    assert "  '' " in found["teacher.path"]
    assert "  as data.augment.mirror " in found["teacher.augment.mirror"]
    # The terminal's width may break the line.
    assert "examples. Must be >= 1" in found["student.epochs"]


@pytest.mark.parametrize("columns", [80, 120])
def test_text_fits_the_terminal_in_aligned_columns(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = reference.text()
    assert max(map(len, text.splitlines())) <= columns
    found = rows(text)
    for name in ("student.epochs", "student.model"):
        start = found[name].index({"epochs": "10", "model": "cnn_t"}[name[8:]])
        assert found["student.widths"].index("()") == start


def test_long_names_leave_room_for_descriptions(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = rows(reference.text())["teacher.augment.trivial_augment"]
    assert len(found.removeprefix("  teacher.augment.trivial_augment")) > 25
    assert "Default: as data.augment.mirror." in " ".join(
        reference.text().split()
    )


def test_markdown_has_every_field_once_for_each_kind_of_section():
    page = reference.markdown()
    assert page.startswith("# Configuration reference\n")
    assert "\n## General\n" in page and "\n## `data.augment`\n" in page
    optimizers = [
        f"`{stage}.optimizer`"
        for stage in ("teacher", "student", "baseline", "specialist")
    ]
    assert f"\n## {', '.join(optimizers)}\n" in page
    assert page.count("| `warmup_epochs` | `0.0` | ") == 1
    assert page.count("| `epochs` | `10` | ") == 2
    # Nothing that Markdown or HTML would swallow.
    assert "&lt;name&gt;_student" in page and "/ \\ : \\* ?" in page
    assert "<" not in page


def test_descriptions_are_sentences():
    for _, section in field.sections(schema.SCHEMA):
        for words in [section.description, *map(describe, section.fields)]:
            assert words.endswith(".") and "  " not in words


def describe(entry):
    return entry.description
