"""Small sets of TensorFlow Datasets, ArrayRecord files and their images."""

import importlib
import io
import pathlib

import numpy as np
import PIL.Image
import tensorflow as tf


def png(pixels):
    """The bytes of a PNG file: of uint8 `(height, width[, channels])`."""
    file = io.BytesIO()
    PIL.Image.fromarray(np.squeeze(pixels)).save(file, "PNG")
    return file.getvalue()


def prepare(
    data_dir, by_split, *, name="made", in_order=False, label=None, **options
):
    """Prepares a set with the features `image` and `label`.

    Args:
        data_dir: path.
        by_split: dict of splits to `(images, labels)`.
        name: str.
        in_order: bool, whether the examples are stored in their order.
        label: feature; by default a `ClassLabel` of four classes.
        **options: `image`, another feature for the images; `keys`, other
            names of both features; further arguments of the builder, such as
            `file_format`.

    Returns:
        `tfds.core.DatasetBuilder`.
    """
    tfds = importlib.import_module("tensorflow_datasets")
    features = tfds.features
    image = options.pop("image", features.Image(shape=(None, None, 3)))
    keys = options.pop("keys", ("image", "label"))
    label = label or features.ClassLabel(num_classes=4)

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        # The builder looks for metadata here, and finds none.
        pkg_dir_path = importlib.import_module("etils.epath").Path(data_dir)

        def _info(self):
            return self.dataset_info_from_configs(
                features=features.FeaturesDict(dict(zip(keys, (image, label)))),
                supervised_keys=keys,
                disable_shuffling=in_order,
            )

        def _split_generators(self, manager):
            return {
                split: self._generate_examples(*arrays)
                for split, arrays in by_split.items()
            }

        def _generate_examples(self, images, labels):
            for i, example in enumerate(zip(images, labels)):
                yield i, dict(zip(keys, example))

    Made.name = name
    builder = Made(data_dir=str(data_dir), **options)
    builder.download_and_prepare()
    return builder


def write_records(path, images, labels, *, keys=("image", "label")):
    """Writes encoded images and labels as an ArrayRecord file."""
    from array_record.python import array_record_module

    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for image, label in zip(images, labels):
        example = tf.train.Example()
        feature = example.features.feature
        feature[keys[0]].bytes_list.value.append(image)
        feature[keys[1]].int64_list.value.append(int(label))
        writer.write(example.SerializeToString())
    writer.close()
