"""Files of predictions: their forms, and refusals in one line."""

import pathlib
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from kd_keras.store import prediction_files

LOGITS = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def read(path, tmp_path):
    folder = tmp_path / "copies"
    folder.mkdir(exist_ok=True)
    return prediction_files.read(path, folder)


def parquet(path, **columns):
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=4)


def test_a_npy_file_is_one_array_in_order(tmp_path):
    for array in (LOGITS, LOGITS.astype("float16"), np.stack([LOGITS] * 2)):
        np.save(tmp_path / "a.npy", array)
        (table,) = read(tmp_path / "a.npy", tmp_path).tables
        assert (table.part, table.keys) == ("", None)
        np.testing.assert_array_equal(table.arrays["predictions"], array)
        np.testing.assert_array_equal(table.rows, np.arange(6))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_npz_file_has_arrays_for_each_part(tmp_path, save):
    save(
        tmp_path / "a.npz",
        logits=LOGITS,
        ids=np.arange(6)[::-1],
        labels=np.arange(6),
        test_probabilities=LOGITS[:2],
        test_names=["x.png", "y.png"],
        class_names=["cat", "dog", "cow"],
    )
    found = read(tmp_path / "a.npz", tmp_path)
    assert found.class_names == ["cat", "dog", "cow"]
    train, test = found.tables
    assert (train.part, list(train.arrays)) == ("", ["logits"])
    assert train.keys.tolist() == [5, 4, 3, 2, 1, 0]
    assert (test.part, list(test.arrays)) == ("test", ["probabilities"])
    assert test.keys == ["x.png", "y.png"]
    # Mapped, not read.
    assert isinstance(train.arrays["logits"], np.memmap)
    np.testing.assert_array_equal(train.arrays["logits"], LOGITS)


def test_rows_of_one_array_may_be_of_several_parts(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        logits=LOGITS,
        ids=[0, 1, 2, 0, 1, 0],
        split=["train", "train", "train", "val", "val", "Test"],
    )
    tables = read(tmp_path / "a.npz", tmp_path).tables
    assert [(t.part, t.keys.tolist(), t.rows.tolist()) for t in tables] == [
        ("train", [0, 1, 2], [0, 1, 2]),
        ("validation", [0, 1], [3, 4]),
        ("test", [0], [5]),
    ]


@pytest.mark.parametrize("rows", [1000, 2])
def test_a_parquet_file_has_a_column_of_lists(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(prediction_files, "_ROWS", rows)
    splits = pa.array(["train"] * 4 + ["test"] * 2).dictionary_encode()
    parquet(
        tmp_path / "a.parquet",
        file_name=[f"{i}.png" for i in range(6)],
        logits=list(LOGITS),
        embedding=pa.FixedSizeListArray.from_arrays(
            LOGITS.astype("float64")[:, :2].ravel(), 2
        ),
        split=splits,
    )
    train, test = read(tmp_path / "a.parquet", tmp_path).tables
    assert train.keys == ["0.png", "1.png", "2.png", "3.png"]
    assert (test.part, test.rows.tolist()) == ("test", [4, 5])
    np.testing.assert_array_equal(train.arrays["logits"], LOGITS)
    np.testing.assert_array_equal(train.arrays["embedding"], LOGITS[:, :2])


@pytest.mark.parametrize(
    "columns, names",
    [
        (["cat", "dog", "cow"], ["cat", "dog", "cow"]),
        (["p0", "p1", "p2"], None),
    ],
)
def test_a_parquet_file_may_have_a_column_for_each_class(
    tmp_path, columns, names
):
    wide = dict(zip(columns, LOGITS.T))
    # As pandas writes it.
    index = {"label": [1] * 6, "__index_level_0__": range(6)}
    parquet(tmp_path / "a.parquet", id=range(6), **wide, **index)
    found = read(tmp_path / "a.parquet", tmp_path)
    assert found.class_names == names
    (table,) = found.tables
    assert table.keys.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(table.arrays["predictions"], LOGITS)


def uneven(path):
    parquet(path, id=range(3), logits=[[1.0, 2.0], [1.0], [1.0, 2.0]])


def lacking(path):
    parquet(path, id=range(3), logits=[[1.0, 2.0], None, [1.0, 2.0]])


def mixed_columns(path):
    parquet(path, id=range(2), p1=[0.0, 1.0], p0=[0.0, 1.0])


@pytest.mark.parametrize(
    "name, write, message",
    [
        ("a.csv", pathlib.Path.touch, "one of .npy, .npz, .parquet.*'.csv'"),
        ("none.npy", lambda path: None, "No such file"),
        (
            "a.npy",
            lambda p: p.write_bytes(pickle.dumps({"a": 1})),
            r"contains pickled \(object\) data$",
        ),
        (
            "a.npy",
            lambda p: np.save(p, np.array([{}], object), allow_pickle=True),
            "without Python objects.*Python objects in dtype",
        ),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS.astype(object)),
            "without Python objects.*Python objects in dtype",
        ),
        ("a.npy", lambda p: np.save(p, LOGITS[0]), r"\(n, width\).*\(3,\)"),
        ("a.npy", lambda p: np.save(p, LOGITS * 1j), "of complex64"),
        ("a.npz", lambda p: p.write_bytes(b"PK not"), "not a zip file"),
        ("a.npz", lambda p: np.savez(p, ids=[1, 2]), "must hold predictions"),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS, ids=[1, 2]),
            "different numbers of examples: logits 6, ids 2",
        ),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS, ids=[0.5] * 6),
            "whole numbers",
        ),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS, ids=range(6), names=["a"] * 6),
            "several arrays for one purpose: ids, names",
        ),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS, split=["dev"] * 6),
            "splits must be train.*not dev",
        ),
        (
            "a.npz",
            lambda p: np.savez(p, logits=LOGITS, classes=["a", "b\n"]),
            r"printable UTF-8 text. Received: 'b\\n' in .*a.npz",
        ),
        ("a.parquet", lambda p: p.write_bytes(b"PAR1"), "Parquet"),
        ("a.parquet", lambda p: parquet(p, id=[1], x=["a"]), "must hold"),
        ("a.parquet", uneven, "lists of 2 and of 1"),
        ("a.parquet", lacking, "'logits' lacks values, the first one of row 1"),
        ("a.parquet", mixed_columns, "in their order, not p1, p0"),
        (
            "a.parquet",
            lambda p: parquet(p, name=["a", None], x0=[1, 2], x1=[1, 2]),
            "'name' lacks 1 values",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_other_files_are_refused_in_one_line(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path / name, tmp_path)
    assert "\n" not in str(error.value)
