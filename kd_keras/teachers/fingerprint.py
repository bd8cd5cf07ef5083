"""Identifies a model by its weights and its graph."""

import numpy as np

from kd_keras.teachers import loading
from kd_keras.utils import digests


def fingerprint(path):
    """SHA-256 of a model's weights, independent of its path and format.

    A SavedModel and a `.keras` file with the same weights have the same
    fingerprint. Neither is built for it.

    Args:
        path: str or path of a SavedModel or `.keras` file.

    Returns:
        str, 64 hex digits.

    Raises:
        FileNotFoundError, ValueError: as `loading.load_teacher`.
    """
    kind, path = loading.find_teacher(path)
    loading.check_whole(path)
    arrays = kind.weight_arrays(path)
    # Scalars are hashed as arrays of shape (1,), as in stored fingerprints.
    hashed = [
        digests.sha256_of_arrays(np.ascontiguousarray(array))
        for array in arrays
    ]
    # Sorted, because names and order differ between the kinds of files.
    return digests.sha256_of_text("".join(sorted(hashed)))


def graph_fingerprint(path, signature=""):
    """SHA-256 of what a model computes, independent of its path and names.

    Unlike `fingerprint`, it differs where equal weights are used in another
    way: another activation, scale of the input or of the logits, or order of
    layers. It can only be compared for files of one kind.

    Args:
        path: as `fingerprint`.
        signature: str, a SavedModel's signature; see `loading.load_teacher`.

    Returns:
        str, the kind and 64 hex digits: `keras:3f2a...`.

    Raises:
        FileNotFoundError, ValueError: as `loading.load_teacher`.
    """
    kind, path = loading.find_teacher(path)
    loading.check_signature(kind, path, signature)
    chosen = [signature] if signature else []
    return f"{kind.name}:{kind.graph(path, *chosen)}"
