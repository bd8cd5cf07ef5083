"""Every image and label of a dataset is in its fingerprint."""

import numpy as np
import pytest
import tensorflow as tf
from example_sets import encoded, numbered

from kd_keras import config
from kd_keras.data import fingerprints
from kd_keras.data.sources import folder


@pytest.mark.parametrize("number", [0, 300, 599])
def test_encoded_images_are_fingerprinted_to_the_last(number):
    examples, other = encoded(numbered(600)), numbered(600)
    assert encoded(other).fingerprint == examples.fingerprint
    other.images[number, 0, 0, 2] += 1
    other = encoded(other)
    assert other.fingerprint != examples.fingerprint
    # By a subset's own images alone.
    without = np.delete(np.arange(600), number)
    assert (
        other.subset(without).fingerprint
        == examples.subset(without).fingerprint
    )


def test_a_run_records_all_parts():
    examples = numbered(20)
    record = fingerprints.run_record({"train": examples})
    assert record == {
        "data.train.classes": 10,
        "data.train.examples": 20,
        "data.train.fingerprint": examples.fingerprint,
        "data.train.labels": examples.labels_fingerprint,
        "data.validation.examples": 0,
        "data.validation.fingerprint": None,
        "data.validation.labels": None,
        "data.test.examples": 0,
        "data.test.fingerprint": None,
        "data.test.labels": None,
    }
    examples = numbered(20)
    examples.labels[[3, 4]] = examples.labels[[4, 3]]
    changed = fingerprints.run_record({"train": examples})
    assert {name for name in record if record[name] != changed[name]} == {
        "data.train.labels"
    }


@pytest.fixture
def images(tmp_path, own_cache):
    """A folder with 2 x 4 training and 2 x 2 test images."""
    for part, count in (("train", 4), ("test", 2)):
        for label, name in enumerate("ab"):
            for number in range(count):
                path = tmp_path / "images" / part / name / f"{number}.png"
                write_image(path, value=100 * label + number)
    return tmp_path / "images"


def write_image(path, *, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((4, 4, 1), value, np.uint8)
    path.write_bytes(tf.io.encode_png(image).numpy())


def record_of(path, memory_limit_mb):
    fields = config.default_config().data
    fields.update(data_dir=str(path), memory_limit_mb=memory_limit_mb)
    dataset = folder.load(fields)
    parts = {"train": dataset.train, "test": dataset.test}
    return fingerprints.run_record(parts)


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_the_contents_of_a_folder_count_and_not_its_names(
    images, memory_limit_mb
):
    def changed():
        record = record_of(images, memory_limit_mb)
        return {
            name.split(".")[1] for name in first if record[name] != first[name]
        }

    first = record_of(images, memory_limit_mb)
    images = images.rename(images.parent / "moved")
    (images / "train" / "a" / "3.png").rename(images / "train" / "a" / "4.png")
    (images / "test" / "a").rename(images / "test" / "aa")
    (images / "train" / "a").rename(images / "train" / "aa")
    assert changed() == set()
    # The order of the images stays, and their labels change.
    (images / "train" / "aa" / "4.png").rename(images / "train/b/00.png")
    assert changed() == {"train"}
    (images / "train" / "b" / "00.png").rename(images / "train/aa/4.png")
    write_image(images / "test" / "b" / "1.png", value=9)
    assert changed() == {"test"}
    write_image(images / "train" / "b" / "9.png", value=9)
    assert changed() == {"train", "test"}
