"""Images of every format are decoded as by Pillow or TensorFlow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from photos import encode, photo
from PIL import Image, ImageOps

from kd_keras.data import pixels

GREY = (90, 150, 30)
LOSSLESS = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
}


def decode(contents, channels=3, background=GREY):
    decoded, size = pixels.decode(
        contents, "name.png", channels=channels, background=background
    )
    assert size == decoded.shape[:2]
    assert decoded.dtype == np.uint8
    return decoded


def by_pillow(contents, mode="RGB"):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(contents)))
    decoded = np.asarray(image.convert(mode))
    return decoded if mode == "RGB" else decoded[..., np.newaxis]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_hold_the_very_pixels(kind):
    contents = encode(photo(), kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(contents), photo())


@pytest.mark.parametrize("mode, channels", [("RGB", 3), ("L", 1)])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "AVIF", "WEBP"])
def test_other_formats_are_read_as_by_pillow(kind, mode, channels):
    contents = encode(photo(), kind)
    np.testing.assert_array_equal(
        decode(contents, channels), by_pillow(contents, mode)
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 20}]
)
def test_jpeg_pixels_are_those_of_tensorflow(options, channels):
    contents = encode(photo(), "JPEG", **options)
    expected = tf.io.decode_image(contents, channels, expand_animations=False)
    np.testing.assert_array_equal(decode(contents, channels), expected)


def test_grey_jpeg_files_have_three_equal_channels():
    contents = encode(Image.fromarray(photo()).convert("L"), "JPEG")
    expected = tf.io.decode_image(contents, 3, expand_animations=False)
    np.testing.assert_array_equal(decode(contents), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_images_are_turned_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    contents = encode(photo(), kind, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_files_are_turned_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = decode(encode(photo(), "JPEG", exif=exif))
    exif[0x0112] = 1
    upright = Image.fromarray(decode(encode(photo(), "JPEG", exif=exif)))
    # By Pillow's own turns of the pixels.
    upright.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright))
    np.testing.assert_array_equal(turned, expected)


def test_cmyk_is_converted_as_by_pillow():
    contents = encode(Image.fromarray(photo()).convert("CMYK"), "JPEG")
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))
    assert np.abs(decode(contents).astype(int) - photo()).mean() < 6


@pytest.mark.parametrize("channels", [1, 3])
def test_the_upper_half_of_16_bits_is_kept(channels):
    image = np.arange(4 * 5 * channels, dtype=np.uint16) * 1000
    image = image.reshape(4, 5, channels)
    contents = tf.io.encode_png(image).numpy()
    np.testing.assert_array_equal(decode(contents, channels), image >> 8)


def test_transparent_pixels_show_the_background():
    image = np.zeros((1, 3, 4), np.uint8)
    image[0] = [(200, 0, 0, 255), (200, 0, 0, 0), (200, 100, 0, 51)]
    # Opacity 0.2: a fifth of the colour and four fifths of the background.
    expected = [(200, 0, 0), GREY, (112, 140, 24)]
    for kind in "PNG", "TIFF":
        assert decode(encode(image, kind))[0].tolist() == [*map(list, expected)]


def test_transparent_colours_of_a_palette_show_the_background():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for kind in "PNG", "GIF":
        contents = encode(image, kind, transparency=1)
        assert decode(contents)[0].tolist() == [[10, 20, 30], list(GREY)]


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in "GIF", "WEBP", "TIFF":
        contents = encode(
            frames[0], kind, save_all=True, append_images=frames[1:]
        )
        assert decode(contents)[0, 0, 2] < 10


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "AVIF", "WEBP", "BMP", "TIFF"]
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_cut_short_is_refused(kind, share):
    contents = encode(photo(), kind)
    with pytest.raises(ValueError, match="damaged one: name.png"):
        decode(contents[: int(share * len(contents))])


def test_stray_bytes_in_a_jpeg_file_do_not_matter():
    contents = encode(photo(), "JPEG")
    stray = contents[:-2] + b"\0\0\0" + contents[-2:]
    difference = decode(stray).astype(int) - decode(contents)
    assert np.abs(difference).max() < 10


@pytest.mark.parametrize(
    "size, wanted, box",
    [
        ((10, 10), (5, 5), (0, 0, 10, 10)),
        ((10, 20), (5, 5), (0, 5, 10, 10)),
        ((20, 10), (5, 5), (5, 0, 10, 10)),
        ((20, 10), (10, 20), (7, 0, 5, 10)),
        ((1, 1000), (1, 1), (0, 499, 1, 1)),
        ((1000, 1), (2, 300), (499, 0, 1, 1)),
    ],
)
def test_the_box_in_the_middle_has_the_wanted_aspect_ratio(size, wanted, box):
    assert pixels.centre_box(size, wanted) == box


@pytest.mark.parametrize(
    "box, inside",
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((-1, 6, 3, 4), (0, 4, 3, 4)),
        ((4, 7, 0, 0), (4, 7, 1, 1)),
        ((9, 9, 99, 99), (0, 0, 5, 8)),
    ],
)
def test_a_part_lies_inside_the_image(box, inside):
    image = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)
    top, left, height, width = inside
    np.testing.assert_array_equal(
        pixels.part(image, box),
        image[top : top + height, left : left + width],
    )


@pytest.mark.parametrize("size", [(24, 24), (31, 17), (48, 30), (90, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_pillow_s_bilinear_filter(size, channels):
    resized = pixels.resize(photo()[..., :channels], size).astype(int)
    image = Image.fromarray(photo()[..., :channels].squeeze())
    by_pillow = image.resize(size[::-1], Image.BILINEAR)
    expected = np.asarray(by_pillow).reshape(*size, channels)
    assert np.abs(resized - expected).max() <= 1


def test_resizing_is_as_tensorflow_s():
    resized = pixels.resize(photo(), (20, 30)).astype(int)
    expected = tf.image.resize(photo(), (20, 30), antialias=True)
    assert np.abs(resized - expected).max() < 2
    assert np.abs(resized - expected).mean() < 0.5


def test_an_image_of_the_size_is_left_as_it_is():
    assert pixels.resize(photo(), photo().shape[:2]) is photo()


def test_the_background_of_a_grey_image_is_its_brightness():
    padded = pixels.pad(np.zeros((1, 2, 1), np.uint8), (2, 4), (255, 0, 0))
    assert padded[..., 0].tolist() == [[76, 0, 0, 76], [76, 76, 76, 76]]
