"""Labels of TensorFlow Datasets: withheld, or of a form that is no class."""

import logging
import pathlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets

from kd_keras import config
from kd_keras.data.sources import tfds

features = tensorflow_datasets.features
COUNTED = [0, 1, 2, 3, 0, 1, 2, 3]
WITHHELD = [-1] * 8


@pytest.fixture
def load(monkeypatch):
    """Loads a set with the labels of its splits, as if it were prepared."""

    def load(splits, **options):
        def as_dataset(*, split, **options):
            images = np.zeros((8, 4, 4, 1), np.uint8)
            examples = {"image": images, "label": np.array(splits[split])}
            return tf.data.Dataset.from_tensor_slices(examples)

        info = SimpleNamespace(
            splits={name: SimpleNamespace(num_examples=8) for name in splits},
            features={
                "image": features.Image(shape=(4, 4, 1)),
                "label": features.ClassLabel(num_classes=4),
            },
        )
        builder = SimpleNamespace(
            name="made",
            data_dir=pathlib.Path("made"),
            is_prepared=lambda: True,
            info=info,
            as_dataset=as_dataset,
        )
        monkeypatch.setattr(tfds, "_builder", lambda *arguments: builder)
        fields = config.default_config().data
        fields.update(name="made", **options)
        return tfds.load(fields)

    return load


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_withheld_test_labels_are_replaced_by_the_validation_split(
    load, caplog, memory_limit_mb
):
    splits = {"train": COUNTED, "validation": COUNTED, "test": WITHHELD}
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        dataset = load(splits, memory_limit_mb=memory_limit_mb)
    assert dataset.test.labels.tolist() == COUNTED
    assert "'test' are withheld (-1)" in caplog.text
    assert "tested on its split 'validation'" in caplog.text


def test_without_labels_to_test_with_there_is_no_test_set(load):
    dataset = load({"train": COUNTED, "test": WITHHELD})
    assert dataset.train.labelled and dataset.test is None


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_a_set_whose_labels_are_all_withheld_has_none(load, memory_limit_mb):
    splits = {"train": WITHHELD, "test": WITHHELD}
    dataset = load(splits, memory_limit_mb=memory_limit_mb)
    assert not dataset.train.labelled and dataset.test is None
    assert len(list(dataset.train.batches(8, labels=False))) == 1


def test_labels_of_which_some_are_withheld_are_refused(load):
    splits = {"train": [-1, 1, 2, 3] * 2, "test": COUNTED}
    with pytest.raises(ValueError, match="-1, and 2 of 8 .* withheld"):
        load(splits)
    with pytest.raises(ValueError, match="-1, and 2 of 8 .* withheld"):
        _ = load(splits, memory_limit_mb=0).train.labels


@pytest.mark.parametrize(
    "label",
    [
        features.Tensor(shape=(), dtype=np.float32),
        features.Sequence(features.ClassLabel(num_classes=4)),
        features.Text(),
    ],
)
def test_a_label_that_is_no_class_is_refused(label):
    info = SimpleNamespace(features={"image": 0, "label": label})
    builder = SimpleNamespace(name="made", info=info)
    with pytest.raises(ValueError, match="ClassLabel. Received: made with"):
        tfds._image_shape(builder, 0)
