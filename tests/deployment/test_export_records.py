"""The record of exports: several models, damaged records and files."""

import json

import pytest

from kd_keras.deployment import export_records, exporting
from kd_keras.utils import digests, files


def row(model, format, file, **fields):
    counts = {"bytes": 3, "errors": 1, "examples": 10}
    return {"format": format, "file": file, **counts, "model": model, **fields}


def rows_of(model, *suffixes, weights="1"):
    return [
        row(model, "model", model, weights_sha256=weights),
        *(row(model, suffix, f"{model}.{suffix}") for suffix in suffixes),
    ]


def formats(rows):
    return [(row["model"], row["format"]) for row in rows]


def test_rows_of_other_models_and_other_formats_are_kept():
    earlier = [*rows_of("a", "onnx", "tflite"), *rows_of("b", "onnx")]
    kept = export_records.kept(earlier, rows_of("a", "onnx"))
    assert formats(kept) == [("a", "tflite"), ("b", "model"), ("b", "onnx")]
    # Files that were made from other weights do not belong to the model.
    kept = export_records.kept(earlier, rows_of("a", "onnx", weights="2"))
    assert formats(kept) == [("b", "model"), ("b", "onnx")]


def test_kept_rows_have_the_path_as_it_was_typed_last():
    earlier = rows_of("./a", "onnx")
    kept = export_records.kept(earlier, rows_of("a", "tflite"))
    assert formats(kept) == [("a", "onnx")]


def test_rows_of_files_that_are_gone_are_left_out(tmp_path):
    (tmp_path / "a.onnx").touch()
    rows = [*rows_of("a", "onnx", "tflite"), *rows_of("b", "onnx")]
    left = export_records.with_files(tmp_path, rows)
    assert formats(left) == [("a", "model"), ("a", "onnx")]


def test_the_file_of_another_model_is_refused(tmp_path):
    earlier = rows_of("a", "onnx")

    def check(model):
        export_records.check_names(
            tmp_path, earlier, model=model, names=["a.onnx"]
        )

    check("other/a")  # not there
    (tmp_path / "a.onnx").touch()
    check("a")
    with pytest.raises(ValueError, match="a.onnx, which is of a; take another"):
        check("other/a")


def test_a_directory_holds_the_records_of_two_models(tmp_path):
    directory = files.OutputDirectory(tmp_path)
    for model in ("a", "b", "a"):
        earlier = export_records.read(tmp_path)
        rows = rows_of(model, "onnx")
        record = {"model": model, "command": "x", "formats": rows}
        card = f"# {model}, exported\n\n{model} in other formats.\n"
        exporting._write_records(
            directory,
            record,
            [*export_records.kept(earlier, rows), *rows],
            card,
        )
    assert formats(export_records.read(tmp_path)) == [
        ("b", "model"),
        ("b", "onnx"),
        ("a", "model"),
        ("a", "onnx"),
    ]
    assert (tmp_path / "model_card.md").read_text() == (
        "# b, exported\n\nb in other formats.\n\n"
        "# a, exported\n\na in other formats.\n"
    )


@pytest.mark.parametrize("content", ["", "[]", '{"formats": [{"file": 1}]}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "exports.json").write_text(content)
    with pytest.raises(ValueError, match=r"exports.json \(.*; remove it, and"):
        export_records.read(tmp_path)


def test_a_record_of_version_0_2_is_read(tmp_path):
    rows = [{k: v for k, v in row("", "onnx", "x").items() if k != "model"}]
    record = {"model": "a", "command": "", "formats": rows}
    (tmp_path / "exports.json").write_text(json.dumps(record))
    assert export_records.read(tmp_path) == [row("a", "onnx", "x")]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"abc")
    sums = {"sha256": digests.sha256_of_file(path)}
    export_records.check_file(path, row("a", "onnx", "a.onnx", **sums))
    export_records.check_file(path, row("a", "onnx", "a.onnx"))
    path.write_bytes(b"abd")
    with pytest.raises(ValueError, match=r"a.onnx \(its SHA-256.*export it ag"):
        export_records.check_file(path, row("a", "onnx", "a.onnx", **sums))
