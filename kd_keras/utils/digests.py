"""SHA-256 of bytes, files and arrays, as 64 hex digits."""

import hashlib
import re

import numpy as np

_CHUNK_BYTES = 2**20
_DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")


def sha256(data):
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_text(text):
    """SHA-256 of a str in UTF-8."""
    return sha256(text.encode())


def abbreviated(text):
    """Shortens each digest in a text, for messages: `3cbdfb0e9b7a...`."""
    return _DIGEST.sub(r"\1...", text)


def short_key(data):
    """The first 16 bytes of the SHA-256 of bytes, for tables of many keys."""
    return hashlib.sha256(data).digest()[:16]


def sha256_of_file(path):
    """SHA-256 of a file's contents, read in chunks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_arrays(*arrays):
    """SHA-256 of the shapes, dtypes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
