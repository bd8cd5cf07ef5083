"""Limits what archives unpack to, before memory or disk is spent.

A small archive can unpack to gigabytes. Files of this field hardly shrink
when they are packed, so a large expansion is an attack or damage.
"""

import gzip
import tarfile
import zipfile
import zlib

_LARGEST_EXPANSION = 32
# An archive may always unpack to this.
_SMALL_BYTES = 2**26
_CHUNK_BYTES = 2**20


def largest(packed_bytes):
    """The most bytes that an archive of a size may unpack to."""
    return max(_LARGEST_EXPANSION * packed_bytes, _SMALL_BYTES)


def check_expansion(path, unpacked_bytes):
    """Raises a ValueError if a file unpacks to far more than its own size.

    Args:
        path: `pathlib.Path` of the archive.
        unpacked_bytes: int, the size of the unpacked contents.
    """
    size = path.stat().st_size
    if unpacked_bytes > largest(size):
        raise ValueError(
            f"an archive of {size:,} bytes must unpack to at most "
            f"{largest(size):,}. Received: {path}, which unpacks to "
            f"{unpacked_bytes:,} bytes or more"
        )


def check_zip(path):
    """Raises a ValueError if a ZIP file unpacks to too much.

    Reads the table of contents, whose sizes `zipfile` does not exceed.

    Args:
        path: `pathlib.Path`.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    check_expansion(path, sum(member.file_size for member in members))


def gunzip(path):
    """Unpacks a gzip file: bytes.

    Args:
        path: `pathlib.Path`.

    Raises:
        ValueError: if it is damaged or unpacks to too much.
    """
    return b"".join(_chunks(path))


def untar(path, folder):
    """Unpacks a `.tgz` file into a folder, and nothing outside of it.

    Args:
        path: `pathlib.Path`.
        folder: `pathlib.Path`, which exists.

    Raises:
        ValueError: if it is damaged, unpacks to too much, or has members
            outside of the folder or of special kinds.
    """
    # Unpacked to a file first: names in a tar's header can be of any size.
    plain = path.with_suffix(".tar")
    try:
        with plain.open("wb") as file:
            for chunk in _chunks(path):
                file.write(chunk)
        with tarfile.open(plain, "r:") as archive:
            members = archive.getmembers()
            # A sparse member is larger than its stored part.
            check_expansion(path, sum(member.size for member in members))
            archive.extractall(folder, members, filter="data")
    except tarfile.TarError as error:
        raise ValueError(
            f"an archive must be whole and harmless. Received: {path.name} "
            f"({error})"
        ) from error
    finally:
        plain.unlink()


def _chunks(path):
    """The contents of a gzip file, until they are too large."""
    count = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                count += len(chunk)
                check_expansion(path, count)
                yield chunk
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"a gzip file must be whole. Received: {path.name} ({error})"
        ) from error
