"""Image files are checked by their headers, before they are decoded."""

import os
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data.sources import image_files


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
    image = np.zeros((8, 8, 3), np.uint8)
    contents = bytearray(tf.io.encode_jpeg(image).numpy())
    start = contents.index(b"\xff\xc0")
    contents[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(contents)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


@pytest.mark.parametrize("channels, colour", [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_a_png_header_is_that_of_the_decoded_image(path, channels, colour):
    image = np.zeros((5, 7, channels), np.uint8)
    path.write_bytes(tf.io.encode_png(image).numpy())
    header = image_files.read_header(str(path))
    assert (header.height, header.width) == (5, 7)
    assert header.channels == channels
    assert header.has_alpha == (channels in (2, 4))
    assert image_files.decode(str(path)).shape == image.shape


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_header_is_that_of_the_decoded_image(path, channels):
    image = np.zeros((5, 7, channels), np.uint8)
    path.write_bytes(tf.io.encode_jpeg(image).numpy())
    header = image_files.read_header(str(path))
    assert header == image_files.Header(5, 7, channels)


@pytest.mark.parametrize(
    "contents",
    [
        png(30_000, 30_000),
        png(2**31 - 1, 1),
        png(0, 5),
        jpeg(60_000, 60_000),
    ],
)
def test_an_image_of_too_many_pixels_is_refused_undecoded(
    path, contents, monkeypatch
):
    path.write_bytes(contents)
    monkeypatch.delattr(image_files.tf.io, "decode_image")
    with pytest.raises(ValueError, match="1 to 89,478,485 pixels.* x .*png"):
        image_files.read_header(str(path))


def test_a_huge_file_is_refused_unread(path):
    path.write_bytes(png(5, 5))
    os.truncate(path, 2**33)
    with pytest.raises(ValueError, match="at most 536,870,912 bytes"):
        image_files.read_header(str(path))


def test_16_bits_are_refused_since_a_half_would_be_lost(path):
    path.write_bytes(tf.io.encode_png(np.zeros((5, 5, 1), np.uint16)).numpy())
    with pytest.raises(ValueError, match="8 bits.* 16 bits in .*image.png"):
        image_files.read_header(str(path))


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"GIF89a" + bytes(40),
        b"BM" + bytes(40),
        png(5, 5)[:20],
        png(5, 5, colour=9),
        jpeg(8, 8)[:30],
    ],
)
def test_files_of_other_formats_and_damaged_ones_are_refused(path, contents):
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="PNG or JPEG file.*: .*image.png"):
        image_files.read_header(str(path))
