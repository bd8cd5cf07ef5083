"""Labels that a network predicts."""

import numpy as np
import tensorflow as tf

from experiments.few_labels import relabelling
from kd_keras.data import augmentation, datasets


def test_a_label_is_the_class_with_the_largest_mean_probability_of_the_views():
    # The position of the only bright pixel of a row of three.
    images = np.zeros((3, 1, 3, 1), "uint8")
    images[range(3), 0, [0, 1, 2]] = 255
    train = datasets.Examples(images, [2, 2, 2], ids=np.array([5, 7, 9]))
    dataset = datasets.Dataset("dots", train, train, "a test")
    # One of two views is mirrored; the left pixel makes the network surest.
    spec = augmentation.ViewSpec(mirror="alternating")

    def network(images):
        return tf.reshape(tf.cast(images, "float32") / 255, (-1, 3)) * [
            3.0,
            1.0,
            2.0,
        ]

    found = relabelling.relabelled(
        dataset,
        [network, lambda images: 0 * network(images)],
        spec=spec,
        views=2,
    )
    np.testing.assert_array_equal(found.train.labels, [0, 1, 0])
    np.testing.assert_array_equal(found.train.ids, [5, 7, 9])
    np.testing.assert_array_equal(found.train.images, images)
    assert found.train.num_classes == 3 and found.test is train
