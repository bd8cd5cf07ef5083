"""Decodes and resizes single images as NumPy arrays, without TensorFlow.

JPEG files are decoded by libjpeg-turbo with the settings of TensorFlow's
`tf.io.decode_image`, so that their pixels are the same; all other formats by
Pillow. Both let other Python threads run meanwhile.
"""

import math
import threading

import cykooz_resizer
import numpy as np
import simplejpeg
from PIL import Image

from kd_keras.data import image_files

WHITE = (255, 255, 255)
_PIXEL_TYPES = {
    1: cykooz_resizer.PixelType.U8,
    3: cykooz_resizer.PixelType.U8x3,
}
_ANTIALIASED = cykooz_resizer.ResizeOptions(
    resize_alg=cykooz_resizer.ResizeAlg.convolution(
        cykooz_resizer.FilterType.bilinear
    ),
    use_alpha=False,
)
# By EXIF's orientation: whether rows and columns are exchanged, and then the
# steps along both, -1 for reversed ones.
_TURNS = {
    1: (False, 1, 1),
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}
# Largest memory that a thread keeps, in bytes: a photo of 5 million pixels.
_LARGEST_BUFFER = 2**24
_of_this_thread = threading.local()


def size_of(contents, name):
    """Height and width of the upright image: two ints."""
    size = image_files.plain_jpeg_size(contents)
    if size:
        return size
    header = image_files.header_of(image_files.open_contents(contents, name))
    return header.height, header.width


def decode(contents, name, *, channels, background=WHITE, least_scale=None):
    """Decodes an image file.

    Args:
        contents: bytes of the file.
        name: str, its name for errors.
        channels: int, 1 or 3.
        background: three ints from 0 to 255, the colour under transparent
            pixels.
        least_scale: function of the upright height and width that returns a
            share of both. A JPEG file is decoded at 1/2, 1/4 or 1/8 of its
            size if that is no smaller than this share, with a simpler filter
            of its colours. None decodes all pixels.

    Returns:
        uint8 array `(height, width, channels)` of the upright image, and the
        height and width that it has at its full size. The next call in this
        thread may overwrite the array.

    Raises:
        ValueError: as `image_files.open_image`, or if the file is damaged.
    """
    size = image_files.plain_jpeg_size(contents)
    if size:
        scale = least_scale(*size) if least_scale else None
        pixels = _decode_jpeg(contents, size, channels, scale)
        if pixels is not None:
            return pixels, size
    image = image_files.open_contents(contents, name)
    header = image_files.header_of(image)
    size = header.height, header.width
    pixels = None
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        scale = least_scale(*size) if least_scale else None
        pixels = _decode_jpeg(
            contents, (image.height, image.width), channels, scale
        )
    if pixels is None:
        pixels = _decode_by_pillow(image, name, channels, background)
    exchanged, rows, columns = _TURNS[image_files.orientation_of(image)]
    if exchanged:
        pixels = pixels.swapaxes(0, 1)
    return pixels[::rows, ::columns], size


def _decode_jpeg(contents, size, channels, scale):
    """Pixels of a JPEG file; None if libjpeg-turbo gives a warning."""
    smaller = {}
    if scale is not None:
        # Scaling by factors other than powers of 1/2 takes longer than none.
        smaller = {
            "fastupsample": True,
            "min_factor": 2,
            "min_height": math.ceil(size[0] * scale),
            "min_width": math.ceil(size[1] * scale),
        }
    try:
        return simplejpeg.decode_jpeg(
            contents,
            "GRAY" if channels == 1 else "RGB",
            fastdct=True,
            buffer=_buffer(channels * size[0] * size[1]),
            **smaller,
        )
    except ValueError:
        # Pillow decodes a file with stray bytes and refuses a truncated one.
        return None


def _decode_by_pillow(image, name, channels, background):
    try:
        image.load()
        image = _on_background(image, background)
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    # Pillow's readers raise errors of many kinds for damaged files.
    except Exception as error:
        raise image_files.unreadable(name, error) from error
    return pixels[..., np.newaxis] if channels == 1 else pixels


def _on_background(image, background):
    """An image of 8 bits a channel without transparency."""
    if image.mode.startswith("I;16"):
        # As Pillow and TensorFlow do for 16 bits of colour: the upper half.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    canvas = Image.new("RGBA", image.size, (*background, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def centre_box(size, wanted):
    """The largest part in the middle of an image that has an aspect ratio.

    Args:
        size: height and width of the image.
        wanted: height and width of the aspect ratio.

    Returns:
        Ints: top, left, height, width.
    """
    height, width = size
    high, wide = wanted
    if height * wide > width * high:
        height = max(round(width * high / wide), 1)
    else:
        width = max(round(height * wide / high), 1)
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def part(pixels, box):
    """The part of an array in a box `(top, left, height, width)`.

    The box is moved and made smaller until it lies inside.
    """
    top, left, height, width = box
    height, width = (
        min(max(side, 1), most)
        for side, most in zip((height, width), pixels.shape)
    )
    top, left = (
        min(max(start, 0), most - side)
        for start, side, most in zip((top, left), (height, width), pixels.shape)
    )
    return pixels[top : top + height, left : left + width]


def pad(pixels, size, background):
    """Puts an image into the middle of a larger one of a colour."""
    padded = np.empty((*size, pixels.shape[-1]), np.uint8)
    padded[:] = colour_of(background, pixels.shape[-1])
    top, left = ((m - n) // 2 for m, n in zip(size, pixels.shape))
    padded[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return padded


def colour_of(background, channels):
    """A colour as `channels` ints."""
    if channels == 3:
        return background
    return (
        Image.new("RGB", (1, 1), tuple(background))
        .convert("L")
        .getpixel((0, 0))
    )


def resize(pixels, size):
    """Resizes an image, antialiased, unless it has the size already.

    The filter is a triangle as wide as a pixel of the smaller image, as in
    Pillow's `BILINEAR` and `tf.image.resize(antialias=True)`. Results differ
    from theirs by rounding only.

    Args:
        pixels: uint8 array `(height, width, channels)`.
        size: ints, height and width.

    Returns:
        uint8 array of this size.
    """
    height, width, channels = pixels.shape
    if (height, width) == tuple(size):
        return pixels
    kind = _PIXEL_TYPES[channels]
    resized = cykooz_resizer.ImageData(size[1], size[0], kind)
    _resizer().resize(
        cykooz_resizer.ImageData(width, height, kind, pixels.tobytes()),
        resized,
        _ANTIALIASED,
    )
    return np.frombuffer(resized.get_buffer(), np.uint8).reshape(
        (*size, channels)
    )


def _buffer(size):
    """This thread's memory to decode into; None for very large images.

    New memory would take a third of the time that decoding takes.
    """
    if size > _LARGEST_BUFFER:
        return None
    buffer = getattr(_of_this_thread, "buffer", b"")
    if len(buffer) < size:
        buffer = _of_this_thread.buffer = np.empty(size, np.uint8)
    return buffer


def _resizer():
    """This thread's resizer, with its memory."""
    if not hasattr(_of_this_thread, "resizer"):
        _of_this_thread.resizer = cykooz_resizer.Resizer()
    return _of_this_thread.resizer
