"""Folders of ArrayRecord files."""

import pathlib

import numpy as np
import pytest
import record_sets

from kd_keras import config
from kd_keras.data import sources

COUNT = 24
LABELS = np.arange(COUNT) % 4
PIXELS = np.arange(COUNT * 60, dtype=np.uint32).reshape(COUNT, 4, 5, 3) % 251
PIXELS = PIXELS.astype(np.uint8)
IMAGES = [record_sets.png(pixels) for pixels in PIXELS]


@pytest.fixture(autouse=True)
def _own_cache(own_cache):
    pass


def load(folder, **options):
    fields = config.default_config().data
    fields.update(name="array_record", data_dir=str(folder), **options)
    return sources.load_dataset(fields)


def check(examples, chosen):
    np.testing.assert_array_equal(examples.images, PIXELS[chosen])
    np.testing.assert_array_equal(examples.labels, LABELS[chosen])


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
@pytest.mark.parametrize(
    "train, test",
    [
        ("train-{}.array_record", "test.array_record"),
        (
            "flowers-train.array_record-0000{}-of-00002",
            "flowers-test.arrayrecord",
        ),
        ("train/{}.array_record", "test/0.array_record"),
    ],
)
def test_files_are_sorted_into_splits_by_their_names(
    tmp_path, train, test, memory_limit_mb
):
    for i in (1, 0):
        part = slice(12 * i, 12 * i + 12)
        path = tmp_path / train.format(i)
        record_sets.write_records(path, IMAGES[part], LABELS[part])
    record_sets.write_records(tmp_path / test, IMAGES[:5], LABELS[:5])
    (tmp_path / "label.labels.txt").write_text("ant\nbee\ncat\ndog\n")
    dataset = load(tmp_path, memory_limit_mb=memory_limit_mb)
    check(dataset.train, slice(None))
    check(dataset.test, slice(5))
    assert dataset.class_names == ["ant", "bee", "cat", "dog"]


def test_one_file_is_split_by_test_fraction(tmp_path):
    record_sets.write_records(tmp_path / "all.array_record", IMAGES, LABELS)
    dataset = load(tmp_path, test_fraction=1 / 6)
    assert (len(dataset.train), len(dataset.test)) == (20, 4)
    assert dataset.class_names is None and dataset.train.num_classes == 4


def test_names_of_classes_must_be_text(tmp_path):
    record_sets.write_records(tmp_path / "all.array_record", IMAGES, LABELS)
    path = tmp_path / "label.labels.txt"
    for names, received in (
        (b"ant\nbee\ncat\n\xff\n", "label.labels.txt: 'utf-8' codec"),
        (b"ant\nbee\ncat\nd\x07g\n", r"'d\\x07g' in the data"),
    ):
        path.write_bytes(names)
        with pytest.raises(ValueError, match=f"printable UTF-8.*{received}"):
            load(tmp_path)


def test_a_folder_of_tensorflow_datasets_is_read(tmp_path):
    record_sets.prepare(
        tmp_path,
        {"train": (PIXELS, LABELS), "test": (PIXELS[:6], LABELS[:6])},
        file_format="array_record",
    )
    dataset = load(tmp_path / "made" / "1.0.0", image_size=4)
    assert dataset.name == "made" and dataset.train.image_shape == (4, 4, 3)
    assert sorted(dataset.train.labels) == sorted(LABELS)


def test_other_features_are_named(tmp_path):
    path = tmp_path / "train.array_record"
    record_sets.write_records(path, IMAGES, LABELS, keys=("jpg", "cls"))
    with pytest.raises(ValueError, match="image_column.*record 0.*cls, jpg"):
        load(tmp_path)
    with pytest.raises(ValueError, match="label_column.*'clas'.*cls, jpg"):
        load(tmp_path, image_column="jpg", label_column="clas")
    check(
        load(
            tmp_path, image_column="jpg", label_column="cls", test_fraction=0
        ).train,
        slice(None),
    )
    # Without a label, it is a transfer set.
    assert not load(tmp_path, image_column="jpg").train.labelled


def test_images_of_several_sizes_need_a_size(tmp_path):
    images = [*IMAGES, record_sets.png(np.zeros((7, 5, 3), np.uint8))]
    labels = [*LABELS, 0]
    record_sets.write_records(tmp_path / "train.array_record", images, labels)
    with pytest.raises(ValueError, match="image_size.*7 x 5 in record 24 of"):
        load(tmp_path)
    assert load(tmp_path, image_size=6).train.image_shape == (6, 6, 3)


def test_a_file_cut_short_is_named(tmp_path):
    path = tmp_path / "train.array_record"
    record_sets.write_records(path, IMAGES, LABELS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"whole ArrayRecord file.*{path}"):
        load(tmp_path)


@pytest.mark.parametrize(
    "names", [(), ("train.array_record", "x.array_record")]
)
def test_files_of_unclear_use_are_refused(tmp_path, names):
    for name in names:
        record_sets.write_records(tmp_path / name, IMAGES, LABELS)
    with pytest.raises(ValueError, match="named train.array_record"):
        load(tmp_path)
    # A folder that Hugging Face's library wrote.
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(ValueError, match="named train.array_record"):
        load(tmp_path)
    with pytest.raises(ValueError, match="named train.array_record"):
        load(tmp_path / "no_such_folder")


def test_records_of_another_form_are_refused(tmp_path):
    from array_record.python import array_record_module

    path = str(tmp_path / "train.array_record")
    for contents in ([], [b"no example"]):
        writer = array_record_module.ArrayRecordWriter(path, "group_size:1")
        for record in contents:
            writer.write(record)
        writer.close()
        with pytest.raises(ValueError, match=f"must .*{pathlib.Path(path)}"):
            load(tmp_path)


def test_a_damaged_image_is_named(tmp_path):
    images = [*IMAGES[:7], IMAGES[7][:50], *IMAGES[8:]]
    record_sets.write_records(tmp_path / "train.array_record", images, LABELS)
    with pytest.raises(Exception, match="record 7 of .*train.array_record"):
        load(tmp_path, image_size=4)
