"""Image files are checked by their headers, before they are decoded."""

import io
import os
import struct
import zlib

import pytest
from PIL import Image

from kd_keras.data import image_files


def png(width, height, *, bits=8, colour=2, data=b""):
    """A PNG file with any header."""

    def chunk(name, contents):
        checksum = struct.pack(">I", zlib.crc32(name + contents))
        return struct.pack(">I", len(contents)) + name + contents + checksum

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND", b""),
        ]
    )


def jpeg(width, height):
    """A JPEG file whose header has other sizes than its image."""
    file = io.BytesIO()
    image(size=(8, 8)).save(file, format="JPEG")
    contents = bytearray(file.getvalue())
    start = contents.index(b"\xff\xc0")
    contents[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(contents)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


def image(mode="RGB", size=(7, 5)):
    """An image of one colour, 7 wide and 5 high."""
    return Image.new(mode, size)


MODES = [
    ("1", 1, False),
    ("L", 1, False),
    ("LA", 1, True),
    ("I;16", 1, False),
    ("P", 3, False),
    ("RGB", 3, False),
    ("RGBA", 3, True),
]


@pytest.mark.parametrize("mode, channels, has_alpha", MODES)
def test_a_header_tells_size_and_channels(path, mode, channels, has_alpha):
    image(mode).save(path)
    header = image_files.read_header(str(path))
    assert header == image_files.Header(5, 7, channels, has_alpha)


@pytest.mark.parametrize("name", image_files.FORMATS)
def test_headers_of_every_format_are_read(tmp_path, name):
    # The name's end does not matter.
    path = tmp_path / "image"
    image().save(path, format=name)
    header = image_files.read_header(str(path))
    assert header == image_files.Header(5, 7, 3)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_image(path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image().save(path, format=name, exif=exif)
    header = image_files.read_header(str(path))
    size = (5, 7) if orientation <= 4 else (7, 5)
    assert (header.height, header.width) == size


def test_a_path_may_be_bytes_that_are_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(path, "wb") as file:
        file.write(png(7, 5))
    assert image_files.read_header(path) == image_files.Header(5, 7, 3)


@pytest.mark.parametrize(
    "contents",
    [
        png(30_000, 30_000),
        png(2**31 - 1, 1),
        jpeg(60_000, 60_000),
    ],
)
def test_an_image_of_too_many_pixels_is_refused_undecoded(path, contents):
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="1 to 89,478,485 pixels.*image.png"):
        image_files.read_header(str(path))


def test_a_huge_file_is_refused_unread(path):
    path.write_bytes(png(5, 5))
    os.truncate(path, 2**33)
    with pytest.raises(ValueError, match="at most 536,870,912 bytes"):
        image_files.read_header(str(path))


def test_numbers_of_32_bits_are_refused(path):
    image("F").save(path, format="TIFF")
    with pytest.raises(ValueError, match="16 bits a channel.*image.png"):
        image_files.read_header(str(path))


@pytest.mark.parametrize(
    "contents", [b"", b"text", bytes(40), b"....ftypheic" + bytes(40)]
)
def test_other_formats_have_an_error_of_their_own(path, contents):
    path.write_bytes(contents)
    with pytest.raises(image_files.UnknownFormatError, match="image.png"):
        image_files.read_header(str(path))


@pytest.mark.parametrize(
    "contents",
    [
        b"GIF89a" + bytes(40),
        b"BM" + bytes(40),
        png(0, 5),
        png(5, 5)[:20],
        png(5, 5, colour=9),
        jpeg(8, 8)[:30],
    ],
)
def test_damaged_headers_are_refused(path, contents):
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="damaged one: .*image.png") as caught:
        image_files.read_header(str(path))
    assert "0x" not in str(caught.value)


def jpeg_of(mode="RGB", **options):
    """An ordinary JPEG file."""
    file = io.BytesIO()
    image(mode).save(file, format="JPEG", **options)
    return file.getvalue()


def test_the_size_of_an_ordinary_jpeg_file_is_read_faster():
    comment = {"comment": b"x" * 2000, "icc_profile": b"y" * 70_000}
    for options in {}, {"progressive": True}, comment, {"mode": "L"}:
        assert image_files.plain_jpeg_size(jpeg_of(**options)) == (5, 7)


def test_other_files_are_left_to_pillow():
    exif = Image.Exif()
    exif[0x0112] = 6
    for contents in [
        b"",
        png(7, 5),
        jpeg_of("CMYK"),
        jpeg_of(exif=exif),
        jpeg(60_000, 60_000),
        jpeg(0, 5),
    ]:
        assert image_files.plain_jpeg_size(contents) is None
    whole = jpeg_of()
    start_of_scan = whole.index(b"\xff\xda")
    for length in range(start_of_scan):
        assert image_files.plain_jpeg_size(whole[:length]) is None
