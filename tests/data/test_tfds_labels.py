"""Features of TensorFlow Datasets: images and labels, and withheld labels."""

import logging
import pathlib

import numpy as np
import pytest
import record_sets
import tensorflow_datasets

from kd_keras import config
from kd_keras.data.sources import tfds

features = tensorflow_datasets.features
COUNTED = [0, 1, 2, 3, 0, 1, 2, 3]
WITHHELD = [-1] * 8
IMAGES = np.arange(8 * 48, dtype=np.uint16).reshape(8, 4, 4, 3) % 251
IMAGES = IMAGES.astype(np.uint8)


@pytest.fixture
def load(tmp_path, own_cache):
    """Prepares and loads a set of 8 examples with these labels."""

    def load(labels, *, fields=None, images=IMAGES, **options):
        splits = {name: (images, values) for name, values in labels.items()}
        options.setdefault("image", features.Image(shape=(4, 4, 3)))
        record_sets.prepare(tmp_path, splits, **options)
        config_fields = config.default_config().data
        config_fields.update(
            name="made", data_dir=str(tmp_path), **(fields or {})
        )
        return tfds.load(config_fields)

    return load


@pytest.fixture(params=["memory", "converted", "array_record"])
def options(request):
    """Where a set is read from: arguments of `load`."""
    if request.param == "memory":
        return {}
    if request.param == "converted":
        return {"fields": {"memory_limit_mb": 0}}
    return {"file_format": "array_record", "fields": {"memory_limit_mb": 0}}


def test_withheld_test_labels_are_replaced_by_the_validation_split(
    load, caplog, options
):
    splits = {"train": COUNTED, "validation": COUNTED, "test": WITHHELD}
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        dataset = load(splits, **options)
    # Prepared sets are in another order.
    assert sorted(dataset.test.labels) == sorted(COUNTED)
    assert "'test' are withheld (-1)" in caplog.text
    assert "tested on its split 'validation'" in caplog.text
    assert dataset.validation is None


def test_without_labels_to_test_with_there_is_no_test_set(load):
    dataset = load({"train": COUNTED, "test": WITHHELD})
    assert dataset.train.labelled and dataset.test is None


def test_a_set_whose_labels_are_all_withheld_has_none(load, options):
    dataset = load({"train": WITHHELD, "test": WITHHELD}, **options)
    assert not dataset.train.labelled and dataset.test is None
    assert len(list(dataset.train.batches(8, labels=False))) == 1


def test_labels_of_which_some_are_withheld_are_refused(load, options):
    splits = {"train": [-1, 1, 2, 3] * 2, "test": COUNTED}
    with pytest.raises(ValueError, match="-1, and 2 of 8 .* withheld"):
        load(splits, **options)


def test_a_set_with_only_a_train_split_is_split_by_test_fraction(load, options):
    dataset = load({"train": COUNTED}, **options)
    assert (len(dataset.train), len(dataset.test)) == (4, 4)
    assert sorted(dataset.test.labels) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "label",
    [features.Scalar(np.int64), features.Tensor(shape=(), dtype=np.uint8)],
)
def test_whole_numbers_are_labels(load, options, label):
    splits = {"train": COUNTED, "test": COUNTED}
    dataset = load(splits, label=label, **options)
    assert sorted(dataset.train.labels) == sorted(COUNTED)
    assert dataset.train.num_classes == 4 and dataset.class_names is None


def test_features_of_other_names_are_found(load, options):
    splits = {"train": COUNTED, "test": COUNTED}
    dataset = load(splits, keys=("photo", "kind"), **options)
    assert sorted(map(bytes, dataset.train.images)) == sorted(
        map(bytes, IMAGES)
    )
    by_image = dict(zip(map(bytes, dataset.train.images), dataset.train.labels))
    assert [by_image[bytes(image)] for image in IMAGES] == COUNTED


def test_without_labels_the_train_split_is_all(load, options):
    options.setdefault("fields", {}).update(labels="none")
    dataset = load({"train": COUNTED, "test": COUNTED}, **options)
    assert not dataset.train.labelled and dataset.test is None
    # A set that was converted without labels gets them later.
    options["fields"].update(labels="auto")
    dataset = load({"train": COUNTED, "test": COUNTED}, **options)
    assert sorted(dataset.train.labels) == sorted(COUNTED)


def test_a_feature_that_is_named_must_be_of_its_kind(load):
    splits = {"train": COUNTED, "test": COUNTED}
    with pytest.raises(ValueError, match="label_column.*ClassLabel.*'image'"):
        load(splits, fields={"label_column": "image"})
    with pytest.raises(ValueError, match="image_column.*an Image.*'label'"):
        load(splits, fields={"image_column": "label"})


@pytest.mark.parametrize(
    "label, values",
    [
        (features.Tensor(shape=(), dtype=np.float32), np.zeros(8, np.float32)),
        (features.Sequence(features.ClassLabel(num_classes=4)), [[0, 1]] * 8),
        (features.Text(), ["ant"] * 8),
    ],
)
def test_a_label_that_is_no_class_is_refused(load, label, values):
    with pytest.raises(ValueError, match="ClassLabel or a whole.*: made with"):
        load({"train": values}, label=label)


def test_images_of_16_bits_keep_their_upper_bits(load):
    image = features.Image(shape=(4, 4, 3), dtype=np.uint16)
    images = IMAGES.astype(np.uint16) * 256 + 200
    dataset = load(
        {"train": COUNTED, "test": COUNTED}, image=image, images=images
    )
    assert sorted(map(bytes, dataset.train.images)) == sorted(
        map(bytes, IMAGES)
    )


def test_images_of_fractions_are_refused(load):
    image = features.Image(shape=(4, 4, 1), dtype=np.float32)
    images = IMAGES[..., :1].astype(np.float32)
    with pytest.raises(ValueError, match="whole numbers.*made with float32"):
        load({"train": COUNTED}, image=image, images=images)


@pytest.mark.slow
def test_images_of_several_sizes_need_a_size(load, options):
    image = features.Image(shape=(None, None, 3))
    images = [np.zeros((3 + i, 9, 3), np.uint8) for i in range(8)]
    splits = {"train": COUNTED, "test": COUNTED}
    with pytest.raises(ValueError, match="differ in size: set data.image_size"):
        load(splits, image=image, images=images, **options)
    options.setdefault("fields", {}).update(image_size=6)
    dataset = load(splits, image=image, images=images, **options)
    assert dataset.train.images.shape == (8, 6, 6, 3)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 0])
def test_a_tfrecord_file_cut_short_is_named(load, tmp_path, limit):
    splits = {"train": COUNTED, "test": COUNTED}
    load(splits)
    path = next(tmp_path.rglob("*train.tfrecord*"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        ValueError, match=f"wrote them. Received: {path} .truncated"
    ):
        load(splits, fields={"memory_limit_mb": limit})


@pytest.mark.slow
def test_a_damaged_description_is_named(load, tmp_path):
    load({"train": COUNTED, "test": COUNTED})
    path = next(tmp_path.rglob("dataset_info.json"))
    path.write_text(path.read_text()[:50])
    fields = config.default_config().data
    fields.update(name="made", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match=f"prepared set.*made in {tmp_path}"):
        tfds.load(fields)
    assert pathlib.Path(path).stat().st_size == 50
