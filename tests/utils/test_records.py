"""JSON records: damaged ones are refused in a line that names the file."""

import json

import pytest

from kd_keras.utils import records

FORM = {"name": str, "rows": [{"count": int}], "files": {str: [str]}}
RECORD = {"name": "a", "rows": [{"count": 1}], "files": {"b": ["c"]}, "d": 0.1}


def read(path, form=FORM):
    return records.read_json(path, form, what="a record", remedy="remove it")


def test_a_whole_record_is_read(tmp_path):
    path = tmp_path / "record.json"
    for record in (RECORD, records.sealed(RECORD)):
        path.write_text(json.dumps(record))
        assert read(path) == RECORD


def test_numbers_as_keys_keep_their_seal(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(records.sealed({"a": {2: 0.5, 10: None}})))
    assert read(path, {"a": dict}) == {"a": {"2": 0.5, "10": None}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no JSON: Expecting value"),
        (json.dumps(RECORD).encode()[:-9], "no JSON"),
        (b"[" * 100_000, "no JSON: maximum recursion"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[]", "it is a list instead of an object"),
        (b"null", "it is null instead of an object"),
        (b'{"name": "a"}', "'rows' is missing"),
        (b'{"name": 1}', "'rows' is missing"),
        (b'{"name": 1, "rows": [], "files": {}}', "name is a whole number"),
        (
            b'{"name": "", "rows": [{"count": true}], "files": {}}',
            r"rows\[0\].count is true or false instead of a whole number",
        ),
        (b'{"name": "", "rows": {}, "files": {}}', "rows is an object"),
        (b'{"name": "", "rows": [{}], "files": {}}', r"rows\[0\]: 'count' is"),
        (b'{"name": "", "rows": [], "files": {"x": 1}}', "files.x is a whole"),
        (
            json.dumps(records.sealed(RECORD)).replace("0.1", "0.2").encode(),
            "differ from their SHA-256",
        ),
    ],
)
def test_a_damaged_record_is_refused(tmp_path, content, reason):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    message = rf"a record must .*record\.json \(.*{reason}.*; remove it$"
    with pytest.raises(ValueError, match=message):
        read(path)


def test_a_directory_in_place_of_a_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(is a directory\); remove it"):
        read(tmp_path)


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"a": "1"}\n')
    form = {"a": records.NUMBER}
    with pytest.raises(ValueError, match=r"jsonl \(line 2: a is text"):
        records.read_json_lines(path, form, what="lines", remedy="remove it")
    path.write_text('{"a": 1}\n{"a": 0.5}\n')
    assert records.read_json_lines(path, form, what="", remedy="") == [
        {"a": 1},
        {"a": 0.5},
    ]
