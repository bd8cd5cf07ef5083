"""Opens image files and reads their headers; decodes no pixel.

Pillow does the work, without TensorFlow, so that many threads can read
headers at a time.
"""

import dataclasses
import io
import math
import os
import struct

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

# Pillow's limit: 256 MiB of RGB.
MAX_PIXELS = 2**28 // 3
# Largest file: more bytes than the pixels themselves take.
_MAX_BYTES = 2**29
# Formats that are read; the first bytes of a file tell its format.
_PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
    AvifImagePlugin.AvifImageFile,
)
FORMATS = tuple(plugin.format for plugin in _PLUGINS)
# Suffixes that are meant for images, also of formats that are not read.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jxl", ".jp2"),
)
_ORIENTATION = 0x0112
_START = 16
_JPEG = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
# Markers of segments of a JPEG file; its frames are baseline, extended or
# progressive.
_APP1, _START_OF_SCAN, _FRAMES = 0xE1, 0xDA, (0xC0, 0xC1, 0xC2)


class UnknownFormatError(ValueError):
    """A file has none of the formats that are read."""


@dataclasses.dataclass(frozen=True)
class Header:
    """Size and channels in the header of an image file.

    Attributes:
        height, width: ints, pixels of the upright image.
        channels: int, 1 for grey or 3 for colour.
        has_alpha: bool, whether pixels may be transparent.
    """

    height: int
    width: int
    channels: int
    has_alpha: bool = False


def read_header(path):
    """Reads the header of an image file.

    Args:
        path: str, or bytes of a path that is not UTF-8.

    Returns:
        `Header`.

    Raises:
        UnknownFormatError: if it has none of the formats that are read.
        ValueError: if it is damaged, or has more than 16 bits a channel, 512
            MiB or `MAX_PIXELS` pixels.
        OSError: if it is missing or cannot be opened.
    """
    name = os.fsdecode(path)
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        return header_of(open_image(file, size=size, name=name))


def open_image(file, *, size, name):
    """Opens an image, without decoding its pixels.

    Args:
        file: binary file, at its start.
        size: int, its bytes.
        name: str, its name for errors.

    Returns:
        `PIL.Image.Image`.

    Raises:
        UnknownFormatError, ValueError: as `read_header`.
    """
    if size > _MAX_BYTES:
        raise ValueError(
            f"an image file must be of at most {_MAX_BYTES:,} bytes. "
            f"Received: {size:,} in {name}"
        )
    start = file.read(_START)
    file.seek(0)
    openers = (Image.OPEN[kind] for kind in FORMATS)
    opener = next(
        (opener for opener, fits in openers if fits(start) is True), None
    )
    if opener is None:
        raise UnknownFormatError(
            f"an image must be of the formats {', '.join(FORMATS)}. "
            f"Received: another one in {name}"
        )
    try:
        # Not by `Image.open`, which would print a warning of many pixels and
        # hide the reason of an error.
        image = opener(file, "")
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"an image must be of 1 to {MAX_PIXELS:,} pixels. Received: "
            f"{name}: {error}"
        ) from error
    # Pillow's readers raise errors of many kinds for damaged files.
    except Exception as error:
        raise unreadable(name, error) from error
    height, width = image.height, image.width
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(
            f"an image must be of 1 to {MAX_PIXELS:,} pixels. Received: "
            f"{height:,} x {width:,} in {name}"
        )
    if image.mode in ("I", "F"):
        raise ValueError(
            "an image must be of at most 16 bits a channel. Received: "
            f"numbers of 32 bits in {name}"
        )
    return image


def open_contents(contents, name):
    """As `open_image`, for the bytes of a file."""
    return open_image(io.BytesIO(contents), size=len(contents), name=name)


def header_of(image):
    """The `Header` of an opened image."""
    height, width = image.height, image.width
    if orientation_of(image) >= 5:
        height, width = width, height
    grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16")
    return Header(height, width, 1 if grey else 3, image.has_transparency_data)


def plain_jpeg_size(contents):
    """Reads the height and width of an ordinary JPEG file.

    Takes a tenth of the time of `open_contents`.

    Args:
        contents: bytes of a file.

    Returns:
        Two ints; or None if it is no JPEG file of 8 bits in grey or colour,
        has EXIF data, or may be damaged or too large.
    """
    if not contents.startswith(_JPEG):
        return None
    size, at, end = None, 2, len(contents) - 10
    while at < end and contents[at] == 0xFF:
        marker = contents[at + 1]
        if marker == _START_OF_SCAN:
            return size if size and 0 < math.prod(size) <= MAX_PIXELS else None
        if marker == _APP1 and contents[at + 4 : at + 10] == _EXIF:
            return None
        if marker in _FRAMES:
            bits, *sides, components = struct.unpack_from(
                ">BHHB", contents, at + 4
            )
            if bits != 8 or components not in (1, 3):
                return None
            size = tuple(sides)
        at += 2 + int.from_bytes(contents[at + 2 : at + 4], "big")
    return None


def orientation_of(image):
    """Orientation of the pixels by EXIF: int, 1 (upright) to 8."""
    exif = image.info.get("exif")
    # Pillow itself turns TIFF images.
    if not exif or image.format == "TIFF":
        return 1
    parsed = Image.Exif()
    try:
        parsed.load(exif)
        orientation = parsed.get(_ORIENTATION, 1)
    # The pixels may be fine where the EXIF data are damaged.
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def unreadable(name, error):
    """The ValueError about a file whose image cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        "every image must be a complete, readable file. Received a damaged "
        f"one: {name} ({reason})"
    )
