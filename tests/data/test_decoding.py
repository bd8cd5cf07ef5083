"""Batches of encoded images are decoded, cropped and resized in tf.data."""

import numpy as np
import pytest
import tensorflow as tf
from photos import encode, photo
from PIL import Image

from kd_keras import config as config_lib
from kd_keras.config.data import RESIZE_MODES
from kd_keras.data import decoding, pixels
from kd_keras.data.decoding import Decoding
from kd_keras.utils import command_line

RED = (250, 10, 20)


def png(*size):
    return encode(photo(*size), "PNG")


def read(decode, contents, crop=None):
    ids = np.arange(len(contents))
    return decode.read(tf.constant(contents), ids, name=str, crop=crop).numpy()


def test_crop_shows_the_middle_at_the_size_of_the_short_side():
    decode = Decoding((24, 24, 3), resize="crop")
    middle = photo()[:, 8:56]
    np.testing.assert_array_equal(
        decode(png()), pixels.resize(middle, (24, 24))
    )


def test_squash_shows_the_whole_image():
    decode = Decoding((24, 20, 3), resize="squash")
    np.testing.assert_array_equal(
        decode(png()), pixels.resize(photo(), (24, 20))
    )


def test_pad_keeps_the_aspect_ratio():
    decode = Decoding((32, 32, 3), resize="pad", background=RED)
    padded = decode(png()).numpy()
    np.testing.assert_array_equal(
        padded[4:28], pixels.resize(photo(), (24, 32))
    )
    assert (padded[:4] == RED).all() and (padded[28:] == RED).all()


@pytest.mark.parametrize("resize", [None, *RESIZE_MODES])
def test_an_image_of_the_size_keeps_its_pixels(resize):
    contents = encode(photo(), "JPEG")
    decode = Decoding(photo().shape, resize=resize)
    expected = tf.io.decode_image(contents, expand_animations=False)
    np.testing.assert_array_equal(decode(contents), expected)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_crop_is_a_part_of_the_upright_image(kind, fast):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to 64 x 48
    contents = encode(photo(), kind, exif=exif)
    box = [10, 4, 40, 32]
    decode = Decoding((20, 16, 3), fast=fast)
    upright = Decoding((64, 48, 3))(contents).numpy()

    def crop(height, width):
        assert (int(height), int(width)) == (64, 48)
        return tf.constant(box)

    expected = pixels.resize(upright[10:50, 4:36], (20, 16)).astype(int)
    difference = np.abs(decode(contents, crop).numpy() - expected)
    if kind == "JPEG" and fast:
        # Halved by other filters.
        assert 0 < difference.mean() < 10
    else:
        assert difference.max() == 0


def test_each_image_of_a_batch_has_its_crop():
    sizes = [(48, 64), (30, 20), (10, 50)]
    contents = [png(*size) for size in sizes]
    seen = []

    def crop(ids, heights, widths):
        seen.append(np.stack([ids, heights, widths], axis=1).tolist())
        zeros = tf.zeros_like(heights)
        return tf.stack([zeros, zeros, heights // 2, widths], axis=1)

    images = read(Decoding((8, 8, 3)), contents, crop)
    assert seen == [[[i, *size] for i, size in enumerate(sizes)]]
    for image, size in zip(images, sizes):
        part = photo(*size)[: size[0] // 2]
        np.testing.assert_array_equal(image, pixels.resize(part, (8, 8)))


def test_a_batch_is_the_same_in_a_pipeline():
    contents = [png(30 + i, 40) for i in range(7)]
    decode = Decoding((16, 16, 3), resize="crop")
    expected = read(decode, contents)
    dataset = tf.data.Dataset.from_tensors(contents).map(
        lambda batch: decode.read(batch, tf.range(7), name=str)
    )
    assert dataset.element_spec.shape == (7, 16, 16, 3)
    (batch,) = dataset
    np.testing.assert_array_equal(batch, expected)
    for i in range(7):
        np.testing.assert_array_equal(decode(contents[i]), expected[i])


@pytest.mark.parametrize(
    "side, resize, parallel",
    [(32, None, False), (64, None, True), (32, "squash", True)],
)
def test_threads_decode_all_but_small_images(
    side, resize, parallel, threads_asked
):
    files = [encode(photo(side + i, 64), "PNG") for i in range(20)]
    if not resize:
        files = [encode(photo(side, side) ^ i, "PNG") for i in range(20)]
    decode = Decoding((side, side, 3), resize=resize)
    images = read(decode, files)
    assert threads_asked == [parallel]
    for image, contents in zip(images, files):
        np.testing.assert_array_equal(image, decode.decode(contents, "a file"))


@pytest.mark.parametrize("side, parallel", [(32, False), (64, True)])
def test_threads_resize_parts_of_all_but_small_images(
    side, parallel, threads_asked
):
    image = photo(side, side)
    images = tf.constant(np.stack([image] * 10))
    boxes = tf.constant([[1, 2, 20, 20 - i] for i in range(10)])
    parts = decoding.resized_parts(images, boxes)
    assert threads_asked == [parallel]
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(
            part, pixels.resize(image[1:21, 2 : 22 - i], (side, side))
        )


def test_fast_decoding_is_close_to_exact():
    large = encode(photo(480, 640), "JPEG", quality=95)
    exact, fast = (
        Decoding((56, 56, 3), resize="crop", fast=fast)(large).numpy()
        for fast in (False, True)
    )
    assert 0 < np.abs(exact.astype(int) - fast).mean() < 5


@pytest.mark.parametrize("resize", RESIZE_MODES)
def test_fast_decoding_never_enlarges(resize, monkeypatch):
    decoded = []
    decode_jpeg = pixels.simplejpeg.decode_jpeg

    def recorded(*args, **options):
        decoded.append(decode_jpeg(*args, **options))
        return decoded[-1]

    monkeypatch.setattr(pixels.simplejpeg, "decode_jpeg", recorded)
    decode = Decoding((60, 40, 3), resize=resize, fast=True)
    for size in (480, 640), (121, 90), (119, 300):
        decode(encode(photo(*size), "JPEG"))
    shapes = [image.shape[:2] for image in decoded]
    expected = {
        "crop": [(60, 80), (61, 45), (119, 300)],
        "squash": [(60, 80), (61, 45), (119, 300)],
        "pad": [(60, 80), (61, 45), (30, 75)],
    }
    assert shapes == expected[resize]


def test_without_antialias_it_is_tensorflow_s_plain_resize():
    decode = Decoding((20, 30, 3), resize="squash", antialias=False)
    expected = tf.round(tf.image.resize(photo(), (20, 30)))
    np.testing.assert_array_equal(decode(png()), expected)


def test_an_image_of_another_size_is_refused_where_none_is_resized():
    with pytest.raises(ValueError) as caught:
        read(Decoding((48, 64, 3)), [png(), png(10, 20)])
    assert command_line.one_line(caught.value) == (
        "images must have one size, or data.image_size must be set. "
        "Received: 10 x 20 in 1, others 48 x 64"
    )


def test_a_damaged_image_is_named_in_a_pipeline():
    contents = [png(), png()[:-40], png()]
    decode = Decoding((8, 8, 3), resize="crop")
    dataset = tf.data.Dataset.from_tensors(contents).map(
        lambda batch: decode.read(
            batch, tf.range(3), name=lambda i: f"folder/{i}.png"
        )
    )
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(dataset)
    line = command_line.one_line(caught.value)
    assert line.startswith("every image must be a complete, readable file.")
    assert "damaged one: folder/1.png (" in line
    assert "Traceback" not in line and "node" not in line


def test_a_bomb_is_refused_when_it_is_decoded():
    contents = bytearray(encode(photo(), "JPEG"))
    start = contents.index(b"\xff\xc0")
    contents[start + 5 : start + 9] = b"\xff" * 4
    with pytest.raises(ValueError, match="89,478,485 pixels.*bomb.jpg"):
        Decoding((8, 8, 3)).decode(bytes(contents), "bomb.jpg")


def test_the_configuration_sets_all():
    fields = config_lib.default_config().data
    fields.image_size = 20
    fields.image_width = 30
    fields.resize = "pad"
    fields.antialias = False
    fields.background = RED
    fields.decoding = "fast"
    shape = decoding.shape_of(fields, (64, 64, 3))
    assert decoding.of(fields, shape) == Decoding(
        (20, 30, 3), resize="pad", antialias=False, background=RED, fast=True
    )


def test_images_keep_their_size_by_default():
    fields = config_lib.default_config().data
    shape = decoding.shape_of(fields, (64, 48, 3))
    assert decoding.of(fields, shape) == Decoding((64, 48, 3))


def test_the_key_tells_settings_apart():
    settings = [
        Decoding((8, 8, 3)),
        *(Decoding((8, 8, 3), resize=mode) for mode in RESIZE_MODES),
        Decoding((8, 8, 3), background=RED),
        Decoding((8, 8, 3), resize="crop", fast=True),
        Decoding((8, 8, 3), resize="crop", antialias=False),
    ]
    assert len({decode.key for decode in settings}) == len(settings)


def test_an_image_is_kept_when_the_next_one_is_decoded():
    first, second = (
        np.full((16, 16, 3), value, np.uint8) for value in (40, 200)
    )
    encoded = [
        tf.io.encode_jpeg(image, quality=100).numpy()
        for image in (first, second)
    ]
    decode = decoding.Decoding((16, 16, 3)).decode
    kept = decode(encoded[0], "the first")
    decode(encoded[1], "the second")
    np.testing.assert_array_equal(kept, first)
