"""Images that are read by their ids."""

import numpy as np
import pytest
import tensorflow as tf
from example_sets import PngReader, encoded, in_memory, numbered, numbers

from kd_keras.data import datasets, pipeline, readers
from kd_keras.data.augmentation import ViewSpec


def first_rows(ids, heights, widths):
    """A crop of as many rows and columns as the id's last digit, plus 1."""
    size = tf.cast(ids % 10, tf.int32) + 1
    zero = tf.zeros_like(size)
    return tf.stack([zero, zero, size, size], axis=1)


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_images_are_read_in_any_order(kind):
    reader = kind(numbered(300)).reader
    ids = np.array([299, 0, 256, 0, 17])
    assert numbers(reader.read(ids)).tolist() == ids.tolist()
    read = tf.function(reader.read)(tf.constant(ids))
    assert numbers(read).tolist() == ids.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [in_memory, pytest.param(encoded, marks=pytest.mark.slow)]
)
def test_an_epoch_is_entered_at_any_step(kind):
    def batches(**options):
        return list(
            pipeline.training_batches(
                kind(numbered(300)),
                batch_size=30,
                seed=0,
                epochs=3,
                spec=ViewSpec(translate=1, mixup=0.5),
                labels=True,
                **options,
            )
        )

    whole = batches()
    for first_step in (0, 9):
        entered = batches(first_epoch=1, first_step=first_step)
        assert len(entered) == 20 - first_step
        for one, other in zip(entered, whole[10 + first_step :]):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def test_nothing_before_the_step_is_read(monkeypatch):
    read = []
    reader = PngReader(numbered(300).images)
    encoded_of = reader.encoded

    def counting(ids):
        tf.py_function(lambda ids: read.extend(ids.numpy()), [ids], [])
        return encoded_of(ids)

    monkeypatch.setattr(reader, "encoded", counting)
    batches = pipeline.training_batches(
        datasets.Examples(reader),
        batch_size=30,
        seed=0,
        epochs=2,
        spec=ViewSpec(),
        first_epoch=1,
        first_step=8,
        labels=False,
    )
    assert sum(len(images) for images in batches) == 60 == len(read)


def test_a_sample_is_spread_over_the_whole_set():
    for count in (10, 299, 300, 400):
        seen = numbers(numbered(300).sample(count))
        assert len(set(seen)) == min(count, 300)
        assert seen[0] == 0 and seen[-1] >= 300 - 300 // min(count, 300) - 1


def test_a_part_is_read_from_the_original_not_from_the_array():
    originals = PngReader(numbered(30).images)
    small = readers.ArrayReader(
        np.zeros((30, 4, 4, 3), "uint8"), original=originals
    )
    ids = np.array([3, 23])
    np.testing.assert_array_equal(
        small.read(ids, first_rows), originals.read(ids, first_rows)
    )
    assert not small.read(ids).numpy().any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_of_an_array_is_that_of_an_encoded_image(channels):
    images = np.random.default_rng(0).integers(0, 256, (9, 12, 10, channels))
    images = images.astype("uint8")
    ids = np.array([7, 2, 8])
    parts = readers.ArrayReader(images).read(ids, first_rows)
    assert parts.dtype == tf.uint8 and parts.shape == (3, 12, 10, channels)
    np.testing.assert_array_equal(
        parts, PngReader(images).read(ids, first_rows)
    )
    read = tf.function(readers.ArrayReader(images).read, autograph=False)
    in_graph = read(tf.constant(ids), first_rows)
    np.testing.assert_array_equal(in_graph, parts)


@pytest.mark.parametrize("kind", [in_memory, encoded])
@pytest.mark.parametrize("crop", [None, first_rows])
def test_joined_readers_read_as_one(kind, crop):
    whole = numbered(90)
    first, second = kind(numbered(50)), kind(numbered(90))
    chosen = np.arange(50, 90)
    joined = readers.join([(first.reader, first.ids), (second.reader, chosen)])
    ids = np.array([0, 89, 50, 49, 51])
    np.testing.assert_array_equal(
        joined.read(ids, crop), whole.reader.read(ids, crop)
    )
    # The rest of the batch makes no difference.
    np.testing.assert_array_equal(
        joined.read(ids[:1], crop), whole.reader.read(ids[:1], crop)
    )
    record = joined.record(ids)
    assert record == joined.record(ids) != joined.record(ids[:4])


def test_an_array_and_files_are_joined():
    first, second = numbered(20), encoded(numbered(50))
    joined = readers.join([(first.reader, first.ids), (second.reader, [7, 3])])
    assert numbers(joined.read(np.arange(22))).tolist() == [*range(20), 7, 3]


def test_random_crops_of_numbers_that_are_no_bytes_are_refused():
    images = np.zeros((4, 8, 8, 3), "float32")
    images[0] = 200.5
    with pytest.raises(ValueError, match="integers from 0 to 255. Received: f"):
        pipeline.check_views(
            datasets.Examples(images), ViewSpec(crop_scale=(0.5, 1.0))
        )
