"""Images in the report: PNG files of any range and number of channels."""

import base64

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import datasets
from kd_keras.reporting import images


@pytest.mark.parametrize("side", [8, 120])
@pytest.mark.parametrize("channels, shown", [(1, 1), (2, 1), (4, 3), (5, 3)])
@pytest.mark.parametrize(
    "transform",
    [
        lambda x: x.astype("uint8"),
        lambda x: x.astype("int64"),
        lambda x: (x / 255).astype("float32"),
        lambda x: x / 127.5 - 1,
        lambda x: (257 * x).astype("uint16"),
    ],
)
def test_an_image_is_shown_as_it_is(transform, side, channels, shown):
    shades = np.array([0, 51, 255]).reshape(3, 1, 1, 1)
    shades = np.broadcast_to(shades, (3, side, side, channels))
    examples = datasets.Examples(transform(shades))
    uris = images.data_uris(examples, [2, 1])
    decoded = [
        tf.io.decode_png(base64.b64decode(uri.split(",")[1])).numpy()
        for uri in uris
    ]
    assert decoded[0].shape == (min(side, 96), min(side, 96), shown)
    assert (decoded[0] == 255).all() and (decoded[1] == 51).all()
