"""Random boxes at the edges of what fits."""

import tensorflow as tf
import views

from kd_keras.data.augmentation import random_boxes

COUNT = 50


def drawn(height, width, *, share, **options):
    boxes, fits = random_boxes.draw(
        views.draws("random_crop", COUNT),
        tf.fill([COUNT], height),
        tf.fill([COUNT], width),
        scale=(share, share),
        ratio=(1.0, 1.0),
        **options,
    )
    return boxes.numpy(), fits.numpy()


def test_a_box_may_be_the_whole_image_unless_there_is_a_margin():
    boxes, fits = drawn(9, 9, share=1.0)
    assert fits.all() and (boxes == [0, 0, 9, 9]).all()
    # A square as high or as wide as the image.
    for height, width in ((9, 20), (20, 9)):
        share = 81 / 180
        assert drawn(height, width, share=share)[1].all()
        assert not drawn(height, width, share=share, margin=1)[1].any()
    boxes, fits = drawn(9, 9, share=64 / 81, margin=1)
    assert fits.all() and (boxes[:, 2:] == 8).all()


def test_a_box_has_a_pixel_at_least():
    boxes, fits = drawn(2, 2, share=0.25)
    assert fits.all() and (boxes[:, 2:] == 1).all()
    assert set(map(tuple, boxes[:, :2])) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    _, fits = drawn(2, 2, share=0.05)
    assert not fits.any()
