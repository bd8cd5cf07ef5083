"""Local copies of models in object stores."""

import pathlib

from kd_keras.utils import manifests, remote_copies

# Records of a model, beside its file.
_BESIDE = (manifests.NAME, "report.json", "exports.json")


def local(path):
    """The path of a model on local disk; a remote model is copied there.

    Args:
        path: str or path of a model, or the name of one, which need not
            exist.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: if nothing exists at a remote path.
        ValueError: as `remote_copies.local`.
    """
    return pathlib.Path(remote_copies.local(path, "a model", beside=_BESIDE))
