"""Records packages, commit and hardware of this process."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

_PACKAGES = (
    "kd_keras",
    "tensorflow",
    "keras",
    "tensorflow-datasets",
    "ml_collections",
    "numpy",
    "scikit-learn",
)


def versions(of=_PACKAGES):
    """Packages, commit and hardware of this process."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in of},
        "commit": _commit(),
        "processor": processor(),
        "threads": threads(),
        "gpus": _gpus(),
    }


def own_version():
    """The version of this package, or its commit where it is not installed."""
    return _version("kd_keras") or _commit()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads():
    """The number of threads that this process may run at once.

    At most as many as `TF_NUM_INTRAOP_THREADS` lets TensorFlow run.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    limit = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return min(count, int(limit)) if limit.isdigit() and int(limit) else count


def _commit():
    """The git commit of this package's checkout, `+` if code was changed.

    None for an installed package, also where a repository of the user's
    holds the environment.
    """
    checkout = pathlib.Path(__file__).resolve().parents[2]

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=checkout,
            capture_output=True,
            text=True,
        ).stdout.strip()

    try:
        top = git("rev-parse", "--show-toplevel")
        if not top or pathlib.Path(top).resolve() != checkout:
            return None
        commit = git("rev-parse", "HEAD")
        # Runs write results and documents; they change no code.
        changed = git("status", "--porcelain", ":/kd_keras", ":/configs")
        return commit + ("+" if changed else "") or None
    except OSError:
        return None


def processor():
    """The name of the processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if "name" in line]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _gpus():
    # Only commands that need TensorFlow wait for its import.
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
