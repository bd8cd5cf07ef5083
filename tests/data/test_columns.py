"""Columns of CSV, TSV and Parquet files are read as text."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from kd_keras import config
from kd_keras.data.sources import columns


def read(path, **options):
    fields = config.default_config().data
    fields.update(name="table", data_dir=str(path), **options)
    found = columns.read(path, fields)
    return {role: column.to_pylist() for role, column in found.items()}


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "path,label\n007,cat\nb/ü 2.jpg,dog\n"),
        ("a.CSV", 'path,label\n007,"cat"\n"b/ü 2.jpg", dog \n'),
        ("a.csv", "path;label\r\n007;cat\r\nb/ü 2.jpg;dog\r\n"),
        ("a.tsv", "path\tlabel\n007\tcat\nb/ü 2.jpg\tdog\n"),
        ("a.csv", "id, Label ,FILE\n1,cat,007\n2,dog,b/ü 2.jpg\n"),
        ("a.csv", "y,image,path,label\n1,x,007,cat\n2,x,b/ü 2.jpg,dog\n"),
        ("a.csv", "path\tlabel\n007\tcat\nb/ü 2.jpg\tdog\n"),
        ("a.csv", "path , label\n007 , cat\n b/ü 2.jpg\t,dog\n"),
        ("a.csv", "\n \r\n,\npath,label\n007,cat\n\nb/ü 2.jpg,dog\n"),
        ("a.csv", ";\npath;label\n007;cat\nb/ü 2.jpg;dog\n"),
        ("a.csv", 'path,label,"of\ntwo"\n007,cat,1\nb/ü 2.jpg,dog,2\n'),
        ("a.csv", "path,label,x,x,,\n007,cat,,,,\nb/ü 2.jpg,dog,,,,\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_are_recognised_and_stay_text(tmp_path, name, text, encoding):
    path = write(tmp_path / name, text, encoding)
    assert read(path) == {
        "image": ["007", "b/ü 2.jpg"],
        "label": ["cat", "dog"],
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["a", "b"]), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([3, 10], pa.int16()), ["3", "10"]),
        (pa.array([3.0, 10.0]), ["3", "10"]),
        (pa.array([True, False]), ["true", "false"]),
    ],
)
def test_a_parquet_file_may_have_labels_of_many_types(
    tmp_path, labels, expected
):
    path = tmp_path / "a.parquet"
    split = pa.array(["train", "test"])
    table = pa.table({"path": ["1", "2"], "label": labels, "split": split})
    pa.parquet.write_table(table, path)
    assert read(path) == {
        "image": ["1", "2"],
        "label": expected,
        "split": ["train", "test"],
    }
    assert read(path, labels="none")["image"] == ["1", "2"]
    assert "label" not in read(path, labels="none")


def test_fields_name_other_columns(tmp_path):
    path = write(tmp_path / "a.csv", "path,where,what,label\n1,2,3,4\n")
    named = {"image_column": "where", "label_column": "what"}
    assert read(path, **named) == {"image": ["2"], "label": ["3"]}
    assert read(path, split_column="label", **named)["split"] == ["4"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("path,lable\na,1\n", {}, "label_column must.* with path, lable$"),
        ("a.jpg,0\nb.jpg,1\n", {}, "column of paths.* with a.jpg, 0$"),
        ("", {}, "a.csv: an empty file"),
        ("\n \n", {}, "a.csv: an empty file"),
        (
            "path,label,label\na,1,2\n",
            {},
            "must occur once in a table. Received: 'label' 2 times in .*a.csv",
        ),
        ("path,label\n", {}, "without rows"),
        (
            "path,class\na,1\n",
            {"label_column": "clas"},
            "data.label_column must .*: 'clas', .* Did you mean 'class'?",
        ),
        (
            "path,class\na,1\n",
            {"label_column": "path"},
            "in columns of their own",
        ),
        (
            "path,label\na,\nb,1\nc, \n",
            {},
            "a value of 'label'.* in 2 rows, of the images numbered 1, 3",
        ),
        ("path,label\n,1\nb,1\n", {}, "a value of 'path'.* numbered 1"),
        (
            "\npath,label\n\na,1\n\nb,1,2\nc,1\n",
            {},
            "in quotes if it has a ','.*a.csv with 2 columns, 3 in line 6$",
        ),
        ('path,label\n"a\nb",1\nc\n', {}, "2 columns, 1 in line 4$"),
        ('path,label\n"a,1\n', {}, "2 columns, 1 in line 2$"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, options, message):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(ValueError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables_are_refused(tmp_path):
    for name in ("a.xlsx", "missing.csv"):
        with pytest.raises(ValueError, match="ends in .csv, .tsv, .parquet"):
            read(tmp_path / name)
    for text in ("path\nü\n", "path,ü\na,1\n"):
        with pytest.raises(ValueError, match="must be in UTF-8.*a.csv: "):
            read(write(tmp_path / "a.csv", text, "latin-1"))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match="complete.*a.parquet"):
        read(tmp_path / "a.parquet")


def test_columns_of_a_parquet_file_may_not_be_read_twice(tmp_path):
    ones = pa.array(["1"])
    table = pa.Table.from_arrays([ones, ones], names=["path", "path"])
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="once in a table. Received: 'path' 2"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "column", [pa.array([1.5]), pa.array([{"bytes": b"x"}]), pa.array([[1]])]
)
def test_values_that_are_no_names_are_refused(tmp_path, column):
    table = pa.table({"path": ["1"], "label": column})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="a.parquet: "):
        read(tmp_path / "a.parquet")
