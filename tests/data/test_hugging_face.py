"""Folders of `save_to_disk` of Hugging Face's datasets."""

import importlib
import logging
import pathlib

import numpy as np
import pytest
import record_sets

from kd_keras import config
from kd_keras.data import sources
from kd_keras.data.sources import hugging_face

# Not named `datasets`, like a module of this package.
library = importlib.import_module("datasets")
COUNT = 24
LABELS = np.arange(COUNT) % 4
PIXELS = np.arange(COUNT * 60, dtype=np.uint32).reshape(COUNT, 4, 5, 3) % 251
PIXELS = PIXELS.astype(np.uint8)
NAMES = ["ant", "bee", "cat", "dog"]


def features(**others):
    return library.Features(
        image=library.Image(), label=library.ClassLabel(names=NAMES), **others
    )


def table(chosen=slice(None), **columns):
    images = [{"bytes": record_sets.png(p)} for p in PIXELS[chosen]]
    rows = {"image": images, "label": LABELS[chosen].tolist(), **columns}
    return library.Dataset.from_dict(rows, features=features())


def load(folder, **options):
    fields = config.default_config().data
    fields.update(name="hugging_face", data_dir=str(folder), **options)
    return sources.load_dataset(fields)


def pixels_of(examples):
    return examples.images


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_images_labels_and_names_are_those_of_the_rows(
    tmp_path, own_cache, memory_limit_mb
):
    parts = {"train": table(), "test": table(slice(0, 9))}
    library.DatasetDict(parts).save_to_disk(tmp_path / "ants")
    dataset = load(tmp_path / "ants", memory_limit_mb=memory_limit_mb)
    assert dataset.name == "ants" and dataset.class_names == NAMES
    np.testing.assert_array_equal(pixels_of(dataset.train), PIXELS)
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    np.testing.assert_array_equal(pixels_of(dataset.test), PIXELS[:9])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[:9])


def test_a_validation_split_validates(tmp_path, own_cache):
    parts = {"train": table(), "valid": table([1, 2]), "test": table([3])}
    library.DatasetDict(parts).save_to_disk(tmp_path)
    dataset = load(tmp_path)
    assert (len(dataset.validation), len(dataset.test)) == (2, 1)
    # Unless other images are held out.
    assert load(tmp_path, validation_examples=4).validation is None


def test_one_table_is_split_by_test_fraction(tmp_path, own_cache):
    table().save_to_disk(tmp_path)
    dataset = load(tmp_path, test_fraction=1 / 6)
    assert (len(dataset.train), len(dataset.test)) == (20, 4)
    assert not set(dataset.train.ids) & set(dataset.test.ids)


def test_rows_that_were_selected_are_read_in_their_order(tmp_path, own_cache):
    table([7, 3, 20, 4]).select([2, 0, 1]).save_to_disk(tmp_path)
    dataset = load(tmp_path, labels="none")
    np.testing.assert_array_equal(pixels_of(dataset.train), PIXELS[[20, 7, 3]])


def test_withheld_test_labels_are_replaced(tmp_path, own_cache, caplog):
    withheld = table(label=[-1] * COUNT)
    parts = {"train": table(), "validation": table([5]), "test": withheld}
    library.DatasetDict(parts).save_to_disk(tmp_path)
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        dataset = load(tmp_path)
    assert dataset.test.labels.tolist() == [1]
    assert "'test' are withheld (-1)" in caplog.text


def test_images_that_are_stored_by_path_are_read(tmp_path, own_cache):
    paths = []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.png"))
        pathlib.Path(paths[-1]).write_bytes(record_sets.png(PIXELS[i]))
    rows = {"image": paths, "label": [0, 1, 2]}
    rows = library.Dataset.from_dict(rows, features=features())
    rows.save_to_disk(tmp_path / "set")
    dataset = load(tmp_path / "set", labels="none")
    np.testing.assert_array_equal(pixels_of(dataset.train), PIXELS[:3])
    # Files that were not copied into the set.
    images = hugging_face.Rows(rows, "image")
    assert images.read([2, 0]) == [
        pathlib.Path(paths[i]).read_bytes() for i in (2, 0)
    ]


def test_several_columns_must_be_chosen_from(tmp_path, own_cache):
    rows = library.Dataset.from_dict(
        {
            "a": [{"bytes": record_sets.png(p)} for p in PIXELS],
            "b": [{"bytes": record_sets.png(255 - p)} for p in PIXELS],
            "fine": LABELS.tolist(),
            "coarse": (LABELS // 2).tolist(),
            "text": ["x"] * COUNT,
        },
        features=library.Features(
            a=library.Image(),
            b=library.Image(),
            fine=library.ClassLabel(names=NAMES),
            coarse=library.ClassLabel(names=["in", "on"]),
            text=library.Value("string"),
        ),
    )
    rows.save_to_disk(tmp_path)
    with pytest.raises(ValueError, match="data.image_column .* a, b to use"):
        load(tmp_path)
    with pytest.raises(ValueError, match="data.label_column .* coarse, fine"):
        load(tmp_path, image_column="b")
    with pytest.raises(ValueError, match="ClassLabel.*class_encode.*'text'"):
        load(tmp_path, image_column="b", label_column="text")
    dataset = load(
        tmp_path, image_column="b", label_column="coarse", test_fraction=0
    )
    np.testing.assert_array_equal(pixels_of(dataset.train), 255 - PIXELS)
    assert dataset.class_names == ["in", "on"]


def test_whole_numbers_are_labels_and_text_is_none(tmp_path, own_cache):
    types = features(caption=library.Value("string"))
    types["label"] = library.Value("int32")
    rows = table().add_column("caption", ["x"] * COUNT).cast(types)
    rows.save_to_disk(tmp_path / "numbers")
    dataset = load(tmp_path / "numbers", test_fraction=0)
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    assert dataset.class_names is None
    rows.remove_columns("label").save_to_disk(tmp_path / "none")
    dataset = load(tmp_path / "none")
    assert not dataset.train.labelled and dataset.test is None


def test_rows_without_a_label_or_an_image_are_refused(tmp_path, own_cache):
    table(label=[None] + [1] * (COUNT - 1)).save_to_disk(tmp_path / "label")
    with pytest.raises(
        ValueError, match="a label. Received: 1 rows of .*arrow"
    ):
        load(tmp_path / "label")
    images = [{"bytes": record_sets.png(p)} for p in PIXELS]
    images[17] = None
    table(image=images).save_to_disk(tmp_path / "image")
    with pytest.raises(ValueError, match="an image.*row 17 of .*image"):
        load(tmp_path / "image")


def test_other_data_is_refused(tmp_path, own_cache):
    with pytest.raises(ValueError, match="save_to_disk.*no_such_folder"):
        load(tmp_path / "no_such_folder")
    with pytest.raises(ValueError, match=f"save_to_disk.*{tmp_path}"):
        load(tmp_path)
    rows = library.Dataset.from_dict({"x": [1, 2]})
    rows.save_to_disk(tmp_path / "x")
    with pytest.raises(ValueError, match="an Image .dataset.cast_column"):
        load(tmp_path / "x")


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_file_cut_short_is_named(tmp_path, own_cache, kept):
    table().save_to_disk(tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    contents = path.read_bytes()
    path.write_bytes(contents[: int(kept * len(contents))])
    with pytest.raises(ValueError, match=f"must be whole.*{path} .*save it"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=f"must be whole.*{path.name}"):
        load(tmp_path)


def test_without_the_library_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(
        hugging_face.packages.importlib.sys.modules, "datasets", None
    )
    with pytest.raises(ValueError, match="datasets must be .*hugging_face"):
        load(tmp_path)
