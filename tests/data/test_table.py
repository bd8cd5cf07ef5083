"""Tables that list image files."""

import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from kd_keras import config
from kd_keras.data.sources import table


def load(path, **options):
    fields = config.default_config().data
    fields.update(name="table", data_dir=str(path), test_fraction=0)
    fields.update(channels=1, **options)
    return table.load(fields)


@pytest.fixture
def images(tmp_path):
    """Four images, `images/0.png` to `images/sub/3.png`, of values 0 to 3."""
    for number, name in enumerate(["0", "1", "sub/2", "sub/3"]):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    return tmp_path


def write(folder, *lines):
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def values(examples):
    """The value and the label of each image."""
    return list(zip(examples.images[:, 0, 0, 0], examples.labels))


ROWS = (
    "images/sub/3.png,dog,train",
    "images/0.png,cat,train",
    "images/sub/2.png,cat,val",
    "images/1.png,dog,Test",
)


def test_a_table_has_paths_classes_and_splits(images):
    dataset = load(write(images, "path,label,split", *ROWS))
    assert dataset.class_names == ["cat", "dog"]
    assert values(dataset.train) == [(3, 1), (0, 0)]
    assert values(dataset.validation) == [(2, 0)]
    assert values(dataset.test) == [(1, 1)]
    assert dataset.name == "table" and "table.csv" in dataset.source


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_a_parquet_file_with_absolute_paths_from_elsewhere(
    images, tmp_path_factory, memory_limit_mb, monkeypatch
):
    monkeypatch.chdir(images.parent)
    path = tmp_path_factory.mktemp("tables") / "images.parquet"
    names = [str(images / "images" / f"{n}.png") for n in ("1", "0", "sub/2")]
    columns = {"file": names, "class": pa.array([10, 9, 9], pa.int32())}
    pa.parquet.write_table(pa.table(columns), path)
    dataset = load(path, memory_limit_mb=memory_limit_mb)
    # Numbers are sorted as numbers, not as text.
    assert dataset.class_names == ["9", "10"]
    assert values(dataset.train) == [(1, 1), (0, 0), (2, 0)]
    assert dataset.test is None


def test_a_table_of_paths_alone_is_without_labels(images):
    path = write(images, "path", *(row.split(",")[0] for row in ROWS))
    assert not load(path).train.labelled
    path = write(images, "path,label", *(row[:-6] for row in ROWS))
    dataset = load(path, labels="none")
    assert len(dataset.train) == 4 and not dataset.train.labelled


def test_a_test_set_is_held_out_where_there_is_none(images):
    path = write(images, "path,label,split", *ROWS[:2], ROWS[2][:-3] + "train")
    dataset = load(path, test_fraction=1)
    assert (len(dataset.train), len(dataset.test)) == (2, 1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            (*ROWS, "images/sub/../0.png,dog,test"),
            "each file once.* 1 files listed again: .*/images/0.png",
        ),
        (
            (*ROWS, "images/4.png,cat,train", "images/5.png,cat,test"),
            "2 that cannot be read: .*images/4.png, .*images/5.png",
        ),
        ((*ROWS, "images,cat,train"), "1 that cannot be read: .*/images$"),
        ((*ROWS, "table.csv,cat,train"), "1 that cannot be read: .*table.csv"),
        (
            (*ROWS, "images/4.png,cow,val"),
            "validation images must have the classes.*: cow in .* cat, dog",
        ),
        (ROWS[:1], "two classes or more.*: dog in"),
        (
            (ROWS[0], "images/0.png,c\x07t,train"),
            r"must be printable UTF-8 text.*: 'c\\x07t' in .*table.csv$",
        ),
        ((ROWS[0], "images/0.png,-1,train"), "-1 stands for a label"),
        (ROWS[2:], "none in the split train"),
        ((ROWS[0], "images/0.png,cat,fold1"), "splits must be .*: fold1 in"),
    ],
)
def test_what_is_wrong_with_the_rows_is_said(images, lines, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(write(images, "path,label,split", *lines))
    assert "\n" not in str(caught.value)


def test_missing_files_may_be_left_out(images, caplog):
    path = write(images, "path,label,split", *ROWS, "images/4.png,cat,train")
    dataset = load(path, on_error="skip")
    assert len(dataset.train) == 2
    assert "images/4.png" in caplog.text
    # All of a class.
    path = write(images, "path,label,split", *ROWS, "no.png,ant,train")
    with pytest.raises(ValueError, match="every class .*none in ant"):
        load(path, on_error="skip")
