"""Checks image files by their headers, before a pixel is decoded."""

import dataclasses
import os

import tensorflow as tf

# Files of these names are meant to be images, also where they are none.
SUFFIXES = (
    ".avif",
    ".bmp",
    ".gif",
    ".heic",
    ".heif",
    ".jfif",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)
# As of Pillow: 256 MiB of RGB.
MAX_PIXELS = 2**28 // 3
# More than the pixels themselves take.
_MAX_BYTES = 2**29
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# By PNG's colour type: channels, whether one is transparency.
_PNG_COLOURS = {
    0: (1, False),
    2: (3, False),
    3: (3, False),  # a palette
    4: (2, True),
    6: (4, True),
}


class UnknownFormatError(ValueError):
    """A file does not begin as one of an image format."""


@dataclasses.dataclass(frozen=True)
class Header:
    """Size and channels in the header of an image file.

    Attributes:
        height, width: ints, pixels.
        channels: int, 1 to 4.
        has_alpha: bool, whether the last channel is transparency.
    """

    height: int
    width: int
    channels: int
    has_alpha: bool = False


def read_header(path):
    """Reads the header of a PNG or JPEG file.

    Args:
        path: str.

    Returns:
        `Header`.

    Raises:
        UnknownFormatError: if it is of another format.
        ValueError: if it is damaged, of 16 bits, or of more pixels than
            `MAX_PIXELS`.
    """
    size = os.path.getsize(path)
    if size > _MAX_BYTES:
        raise ValueError(
            f"an image file must be of at most {_MAX_BYTES:,} bytes. "
            f"Received: {size:,} in {path}"
        )
    with open(path, "rb") as file:
        start = file.read(33)
    if start.startswith(_PNG):
        header = _png_header(start, path)
    elif start.startswith(_JPEG):
        header = _jpeg_header(path)
    else:
        raise UnknownFormatError(str(_unreadable(path)))
    if not 0 < header.height * header.width <= MAX_PIXELS:
        raise ValueError(
            f"an image must be of 1 to {MAX_PIXELS:,} pixels. Received: "
            f"{header.height:,} x {header.width:,} in {path}"
        )
    return header


def decode(path, channels=0):
    """Decodes a whole file whose header was checked: uint8 tensor.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        return tf.io.decode_image(
            tf.io.read_file(path), channels=channels, expand_animations=False
        )
    except tf.errors.OpError as error:
        raise _unreadable(path) from error


def _png_header(start, path):
    colour = _PNG_COLOURS.get(start[25] if len(start) == 33 else None)
    if colour is None or start[12:16] != b"IHDR":
        raise _unreadable(path)
    if start[24] > 8:
        raise ValueError(
            "images must be of 8 bits a channel: a folder's images are from 0 "
            f"to 255. Received: {start[24]} bits in {path}; convert them, or "
            "load them as an array of numbers of any range"
        )
    width, height = (int.from_bytes(start[i : i + 4], "big") for i in (16, 20))
    return Header(height, width, *colour)


def _jpeg_header(path):
    try:
        shape = tf.io.extract_jpeg_shape(tf.io.read_file(path))
    except tf.errors.OpError as error:
        raise _unreadable(path) from error
    return Header(*shape.numpy().tolist())


def _unreadable(path):
    return ValueError(
        "every image must be a complete PNG or JPEG file. Received one that "
        f"cannot be read: {path}"
    )
