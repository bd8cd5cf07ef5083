"""The contestants of `benchmarks.photos`: functions that make a pipeline.

Each returns an iterable of one epoch's batches of 224 x 224 images.
"""

import math
import pathlib

import numpy as np
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.data import augmentation, pipeline, sources

SIDE, BATCH = 224, 64
CROP = {"crop_scale": (0.08, 1.0), "crop_ratio": (3 / 4, 4 / 3)}


def ours(folder, *, fast=False, **spec):
    """kd_keras: random access by id, the batches that training reads."""
    batches = training_batches(load(folder, fast=fast), **spec)
    return batches.map(lambda images, labels: images)


def load(folder, *, fast=False):
    """The training examples of a folder, read from its files."""
    fields = config_lib.default_config().data
    fields.name = "folder"
    fields.data_dir = str(folder)
    fields.image_size = SIDE
    fields.memory_limit_mb = 0
    fields.test_fraction = 0
    fields.decoding = "fast" if fast else "exact"
    return sources.load_dataset(fields).train


def training_batches(examples, **spec):
    return pipeline.training_batches(
        examples,
        batch_size=min(BATCH, len(examples)),
        seed=0,
        epochs=1,
        labels=True,
        spec=augmentation.ViewSpec(**spec),
    )


def keras_folder(folder):
    """`keras.utils.image_dataset_from_directory`, not antialiased."""
    import keras

    dataset = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(SIDE, SIDE),
        batch_size=BATCH,
        crop_to_aspect_ratio=True,
        seed=0,
        verbose=False,
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def write_records(folder, path, shards=8):
    """Writes the files of a folder as TFRecord files, shuffled."""
    files = sorted(pathlib.Path(folder).glob("*/*.jpg"))
    order = np.random.default_rng(0).permutation(len(files))
    path.mkdir()
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(path / f"{shard}.tfrecord")) as writer:
            for i in order[shard::shards]:
                writer.write(files[i].read_bytes())


def records(path, *, antialias):
    """TFRecord files by tf.data: random resized crop and mirror."""

    def decode(encoded):
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(encoded),
            tf.zeros((1, 0, 4)),
            # Zero is refused where operations are deterministic.
            seed=1,
            area_range=CROP["crop_scale"],
            aspect_ratio_range=CROP["crop_ratio"],
            min_object_covered=0,
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([begin[:2], size[:2]], axis=0)
        image = tf.io.decode_and_crop_jpeg(encoded, window, channels=3)
        image = tf.image.resize(image, (SIDE, SIDE), antialias=antialias)
        image = tf.image.random_flip_left_right(image)
        return tf.saturate_cast(tf.round(image), tf.uint8)

    files = tf.data.Dataset.list_files(str(path / "*.tfrecord"))
    dataset = files.interleave(
        tf.data.TFRecordDataset,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )
    dataset = dataset.shuffle(1000).map(
        decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
    )
    return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def in_memory(images, augment):
    """Batches of images in memory, augmented by a function of tensors."""
    ids = np.arange(len(images))
    dataset = tf.data.Dataset.from_tensor_slices((images, ids)).batch(BATCH)
    return dataset.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def our_rand_augment(images):
    spec = augmentation.ViewSpec(rand_augment=2, magnitude=9)
    return in_memory(
        images,
        lambda x, ids: augmentation.make_views(x, ids, view=0, spec=spec),
    )


def keras_rand_augment(images):
    """Keras's layer; it draws one set of operations for a batch."""
    import keras

    layer = keras.layers.RandAugment(
        (0, 255), num_ops=2, factor=0.3, data_format="channels_last"
    )
    return in_memory(
        images,
        lambda x, ids: tf.saturate_cast(layer(x, training=True), tf.uint8),
    )


def pillow_rand_augment(images):
    """Pillow's operations, an image at a time, in threads."""

    def augment(image, i):
        return tf.ensure_shape(
            tf.numpy_function(_pillow_views, [image, i], tf.uint8), image.shape
        )

    ids = np.arange(len(images))
    dataset = tf.data.Dataset.from_tensor_slices((images, ids))
    dataset = dataset.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(BATCH).prefetch(2)


def _pillow_views(image, i):
    """An image after two random operations of magnitude 9 of 30."""
    from PIL import Image

    rng = np.random.default_rng(int(i))
    image = Image.fromarray(image)
    for operation in rng.choice(len(_PILLOW), 2):
        image = _PILLOW[operation](image, 0.3 * rng.choice([-1, 1]))
    return np.asarray(image)


def _affine(*matrix):
    """An operation that maps the output's pixels by a 2 x 3 matrix of m."""
    from PIL import Image

    def apply(image, m):
        values = [f(m, image.width) if callable(f) else f for f in matrix]
        return image.transform(image.size, Image.Transform.AFFINE, values)

    return apply


def _enhanced(name):
    from PIL import ImageEnhance

    return lambda image, m: getattr(ImageEnhance, name)(image).enhance(1 + m)


def _ops(name, *arguments):
    from PIL import ImageOps

    return lambda image, m: getattr(ImageOps, name)(image, *arguments)


_PILLOW = (
    lambda image, m: image,
    lambda image, m: image.rotate(30 * m),
    _affine(1, lambda m, _: m * 0.3, 0, 0, 1, 0),
    _affine(1, 0, 0, lambda m, _: m * 0.3, 1, 0),
    _affine(1, 0, lambda m, side: m * side * 150 / 331, 0, 1, 0),
    _affine(1, 0, 0, 0, 1, lambda m, side: m * side * 150 / 331),
    *map(_enhanced, ("Brightness", "Color", "Contrast", "Sharpness")),
    _ops("autocontrast"),
    _ops("equalize"),
    _ops("posterize", 8 - math.floor(4 * 0.3)),
    _ops("solarize", 255 * 0.7),
)
