"""Imports optional packages, with an error that names their extra."""

import importlib


def optional(module, package=None, *, extra="export"):
    """Imports a module of an extra, with an error that tells how to install it.

    Args:
        module: str, its name.
        package: str, the name of its package, if another.
        extra: str, the extra of kd_keras that has it.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{package or module} must be installed: "
            f"pip install -e '.[{extra}]'. Received: {error}"
        ) from error
