"""Affine maps equal those of Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pillow_images import GREY, each, smooth_images

from kd_keras.data.augmentation import affine

SHAPES = [(13, 18, 3), (17, 17, 1)]


def warp(images, matrices):
    fixed = np.stack([affine.fixed(matrix) for matrix in matrices])
    return affine.warp(tf.constant(images), tf.constant(fixed), fill=GREY)


def fill(image):
    return GREY if image.mode == "L" else (GREY, GREY, GREY)


@pytest.mark.parametrize("shape", SHAPES)
def test_rotations_equal_pillow_s(shape):
    angles = range(-135, 136, 5)
    images = smooth_images(len(angles), *shape)
    expected = each(images, lambda x, i: x.rotate(angles[i], fillcolor=fill(x)))
    matrices = [affine.rotation(angle, shape[:2]) for angle in angles]
    np.testing.assert_array_equal(warp(images, matrices), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_shears_and_shifts_equal_pillow_s(shape):
    slopes = np.linspace(-0.99, 0.99, 31)
    matrices = [
        *((1, slope, 0, 0, 1, 0) for slope in slopes),
        *((1, 0, 0, slope, 1, 0) for slope in slopes),
        *((1, 0, shift, 0, 1, -shift) for shift in range(-20, 21)),
    ]
    images = smooth_images(len(matrices), *shape)
    expected = each(
        images,
        lambda x, i: x.transform(
            x.size, Image.Transform.AFFINE, matrices[i], fillcolor=fill(x)
        ),
    )
    np.testing.assert_array_equal(warp(images, matrices), expected)


def test_a_right_angle_turns_the_image_exactly():
    images = smooth_images(2, 8, 8, 3)
    matrices = [affine.rotation(angle, (8, 8)) for angle in (90, -90)]
    turned = warp(images, matrices).numpy()
    np.testing.assert_array_equal(turned[0], np.rot90(images[0]))
    np.testing.assert_array_equal(turned[1], np.rot90(images[1], -1))
