"""A run directory: the whole record of a stage, written whole or not at all.

`<workdir>/<stage>/` holds `config.json`, `versions.json`, `metrics.jsonl`,
`tensorboard/`, `checkpoints/`, `<role>.keras` and, once the stage is
finished, `report.json`.
"""

import contextlib
import json
import os
import pathlib
import re

import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.utils import files, provenance

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
        self._check_own()
        if not self.config_path.exists():
            return
        was = self._record()["depends_on"]
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
        files.write_json(self.config_path, record)
        files.write_json(self.path / "versions.json", provenance.versions())

    def remove(self):
        """Removes the files of the run; the directory itself remains.

        Raises:
            ValueError: as `check_removable`.
        """
        self.check_removable()
        # The mark of a run last: an interrupted removal can be repeated.
        names = sorted(files.files_below(self.path), key=_is_config)
        for name in names:
            (self.path / name).unlink()
        for folder, folders, _ in os.walk(self.path, topdown=False):
            for name in folders:
                # Scratch directories of a running process are not empty.
                with contextlib.suppress(OSError):
                    (pathlib.Path(folder) / name).rmdir()

    def check_removable(self):
        """Raises a ValueError if the directory holds what no run writes."""
        self._check_own()
        foreign = [
            name
            for name in files.files_below(self.path)
            if not self._is_ours(name)
        ]
        if foreign:
            raise ValueError(
                "--restart removes only what a run writes. Received: "
                f"{self.path} with {files.named(sorted(foreign))}; move "
                "these away, or take another --workdir"
            )

    def remove_checkpoints(self):
        """Removes the states of a finished run, which only resuming needs."""
        for name in files.files_below(self.checkpoints_dir):
            if self._is_ours(f"checkpoints/{name}"):
                (self.checkpoints_dir / name).unlink()

    def _check_own(self):
        """Raises a ValueError if the directory is somebody else's."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"a run needs a directory. Received: {self.path}, a file"
            )
        if self.config_path.exists():
            self._record()
            return
        foreign = [
            name
            for name in files.files_below(self.path)
            # A specialist may have been trained before all of them are.
            if not re.match(r"\d+/", name)
        ]
        if foreign:
            raise ValueError(
                "a run needs a new or empty directory, or one with a run's "
                f"config.json. Received: {self.path} with "
                f"{files.named(sorted(foreign))}; take another --workdir"
            )

    def _is_ours(self, name):
        """Whether a relative path is one that a run writes."""
        path = self.path / name
        if path.is_symlink():
            return False
        name = re.sub(r"^\d+/", "", name)
        return any(re.fullmatch(pattern, name) for pattern in self._patterns())

    def _patterns(self):
        return [
            re.escape(self.model_path.name),
            r"config\.json|versions\.json|metrics\.jsonl|report\.json",
            r"checkpoints/(checkpoint|ckpt-\d+(_temp/part-\S+)?\.\S+)",
            r"checkpoints/checkpoint\.tmp\S+",
            r"tensorboard/(\w+/)?events\.out\.tfevents\.\S+",
        ]

    def _record(self):
        """The run's `config.json`."""
        try:
            record = json.loads(self.config_path.read_text())
            if {"stage", "config", "depends_on"} <= record.keys():
                return record
            reason = "it has other fields"
        except (ValueError, AttributeError) as error:
            reason = str(error)
        raise ValueError(
            "config.json must be the record of a run. Received: "
            f"{self.config_path} ({reason}); take another --workdir"
        )

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
        record = self._record()
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


def _is_config(name):
    return pathlib.PurePath(name).name == "config.json"


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


def save_keras(model, path):
    """Saves a `.keras` file, whole or not at all."""
    with files.replacing_file(path) as temporary:
        model.save(temporary, include_optimizer=False)
