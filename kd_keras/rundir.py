"""A run directory: the whole record of a stage, written whole or not at all.

`<workdir>/<stage>/` holds `config.json`, `versions.json`, `metrics.jsonl`,
`tensorboard/`, `checkpoints/`, `<role>.keras` and, once the stage is
finished, `report.json`.
"""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import subprocess

import tensorflow as tf

from kd_keras import config as config_lib

_PACKAGES = (
    "kd_keras",
    "tensorflow",
    "keras",
    "tensorflow-datasets",
    "ml_collections",
    "numpy",
    "scikit-learn",
)
_CHECKPOINTS_KEPT = 2


class RunDir:
    """The directory of one stage.

    Args:
        path: where it is, or will be: nothing is written before `start`.
        stage: `teacher`, `student`, `baseline` or `specialist`.
    """

    def __init__(self, path, stage):
        self.path = pathlib.Path(path)
        self.stage = stage
        self.model_path = self.path / f"{stage}.keras"
        self.config_path = self.path / "config.json"
        self.report_path = self.path / "report.json"
        self.metrics_path = self.path / "metrics.jsonl"
        self.tensorboard_dir = self.path / "tensorboard"
        self.checkpoints_dir = self.path / "checkpoints"

    def check(self, config, **inputs):
        """Raises a ValueError if this is the run of something else.

        Args:
            config: the resolved configuration.
            **inputs: what else the result depends on (`teacher` fingerprint),
                compared and recorded like a field.
        """
        if not self.config_path.exists():
            return
        recorded = json.loads(self.config_path.read_text())
        was = recorded["depends_on"]
        now = {**config_lib.stage_fields(config, self.stage), **inputs}
        differing = config_lib.differing(was, now)
        if differing:
            raise ValueError(
                f"{self.path} must hold a run of the same configuration. "
                f"Differing: {'; '.join(differing)}. Take another --workdir, "
                "or begin anew with --restart"
            )

    def start(self, config, *, command, **inputs):
        """Makes the directory and writes down what is about to run."""
        self.path.mkdir(parents=True, exist_ok=True)
        depends_on = {**config_lib.stage_fields(config, self.stage), **inputs}
        record = {
            "stage": self.stage,
            "command": command,
            "config": config.to_dict(),
            "depends_on": depends_on,
        }
        write_json(self.config_path, record)
        write_json(self.path / "versions.json", versions())

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def report(self):
        """The report of a finished stage, or None."""
        if not self.report_path.exists() or not self.model_path.exists():
            return None
        return json.loads(self.report_path.read_text())

    def origin(self):
        """What the run was made with.

        Returns:
            dict of `command`, `precision` (as resolved) and `versions`.
        """
        record = json.loads(self.config_path.read_text())
        versions = json.loads((self.path / "versions.json").read_text())
        return {
            "command": record["command"],
            "precision": record["config"]["precision"],
            "versions": versions,
        }

    def metrics(self):
        """The epochs that `metrics.jsonl` holds: list of dicts."""
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text().splitlines()
        return [json.loads(line) for line in lines]


class Checkpoints:
    """A network's and its optimizer's state after each epoch.

    Holds every variable by its place, the states of random generators
    included: Keras leaves those out of its own files.

    Args:
        directory: path.
        network: Keras model.
        optimizer: built Keras optimizer.
    """

    def __init__(self, directory, network, optimizer):
        checkpoint = tf.train.Checkpoint(
            network=[v.value for v in network.variables],
            optimizer=[v.value for v in optimizer.variables],
        )
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=_CHECKPOINTS_KEPT
        )

    def restore(self):
        """Restores the last state; returns the epochs that it has seen."""
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        self._manager.checkpoint.restore(path).assert_consumed()
        return int(path.rpartition("-")[2])

    def save(self, epochs):
        self._manager.save(checkpoint_number=epochs)


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path, text):
    """Writes a file whole or not at all, also when killed in between."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def save_keras(model, path):
    """Saves a `.keras` file, whole or not at all."""
    with replacing(path) as temporary:
        model.save(temporary, include_optimizer=False)


@contextlib.contextmanager
def replacing(path):
    """A temporary path that takes the place of `path` at the end.

    It lies in a folder beside it that a killed process may leave behind; the
    next one clears it. Several processes may write the same file at once.
    """
    path = pathlib.Path(path)
    prefix = f".new-{path.name}-{platform.node()}-"
    for left in path.parent.glob(f"{prefix}*"):
        if not _is_running(int(left.name.removeprefix(prefix))):
            shutil.rmtree(left, ignore_errors=True)
    folder = path.parent / f"{prefix}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder / path.name
        if path.is_dir():
            # A directory cannot replace one that is not empty.
            os.replace(path, folder / "old")
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def versions(of=_PACKAGES):
    """Packages, commit and hardware of this process."""
    packages = {}
    for name in of:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = None
    return {
        "python": platform.python_version(),
        "packages": packages,
        "commit": _commit(),
        "processor": _processor(),
        "threads": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name")
            for gpu in tf.config.list_physical_devices("GPU")
        ],
    }


def _commit():
    """The git commit of this package's checkout, `+` if code was changed."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        # Not by results and documents, which runs write there themselves.
        changed = git("status", "--porcelain", ":/kd_keras", ":/configs")
        return commit + ("+" if changed else "") or None
    except OSError:
        return None


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if "name" in line]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
