"""The directory of a stage, whose files are written whole or not at all.

`<workdir>/<stage>/` holds `config.json`, `versions.json`, `metrics.jsonl`,
`tensorboard/`, `checkpoints/`, `<stage>.keras` and, once the stage is
finished, `report.json`.
"""

import contextlib
import json
import os
import pathlib
import re

from kd_keras import config as config_lib
from kd_keras.utils import files, provenance

# Relative paths of the files that a run writes, besides the model.
_RUN_FILES = (
    r"config\.json|versions\.json|metrics\.jsonl|report\.json",
    r"checkpoints/(checkpoint|ckpt-\d+(_temp/part-\S+)?\.\S+)",
    r"checkpoints/checkpoint\.tmp\S+",
    r"tensorboard/(\w+/)?events\.out\.tfevents\.\S+",
)


class RunDir:
    """The directory of one stage.

    Args:
        path: the directory; nothing is written before `start`.
        stage: str, the stage's name.
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

    def check(self, depends_on):
        """Checks that the directory is new, or holds the same run.

        Args:
            depends_on: flat dict of JSON values that the result depends on:
                fields of the configuration, the teacher's fingerprint.

        Raises:
            ValueError: if it holds another run, or files of somebody else.
        """
        self._check_owned()
        if not self.config_path.exists():
            return
        differing = config_lib.differing(
            _read_record(self.config_path)["depends_on"], depends_on
        )
        if differing:
            raise ValueError(
                f"{self.path} must hold a run of the same configuration. "
                f"Differing: {'; '.join(differing)}. Take another --workdir, "
                "or start over with --restart"
            )

    def start(self, config, depends_on, *, command):
        """Creates the directory and records what is about to run.

        Args:
            config: the resolved configuration.
            depends_on: as `check`.
            command: str, as it was typed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
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
        # config.json last: with it, an interrupted removal can be repeated.
        names = sorted(files.files_below(self.path), key=_is_config)
        for name in names:
            (self.path / name).unlink()
        for folder, folders, _ in os.walk(self.path, topdown=False):
            for name in folders:
                # Scratch directories of a running process are not empty.
                with contextlib.suppress(OSError):
                    (pathlib.Path(folder) / name).rmdir()

    def check_removable(self):
        """Raises a ValueError if the directory holds other files than a run's.

        Nothing is removed that a run did not write.
        """
        self._check_owned()
        foreign = [
            name
            for name in files.files_below(self.path)
            if not _is_run_file(self, name)
        ]
        if foreign:
            raise ValueError(
                "--restart removes only what a run writes. Received: "
                f"{self.path} with {files.named(sorted(foreign))}; move "
                "these away, or take another --workdir"
            )

    def remove_checkpoints(self):
        """Removes the checkpoints, which a finished run does not need."""
        for name in files.files_below(self.checkpoints_dir):
            if _is_run_file(self, f"checkpoints/{name}"):
                (self.checkpoints_dir / name).unlink()

    def report(self):
        """The report of a finished stage, or None."""
        if not self.report_path.exists() or not self.model_path.exists():
            return None
        report = json.loads(self.report_path.read_text())
        if "by_covering" in report:  # its name in version 0.1
            report["by_coverage"] = report.pop("by_covering")
        return report

    def provenance(self):
        """The `command`, resolved `precision` and `versions` of the run."""
        record = _read_record(self.config_path)
        versions = json.loads((self.path / "versions.json").read_text())
        return {
            "command": record["command"],
            "precision": record["config"]["precision"],
            "versions": versions,
        }

    def metrics(self):
        """The epochs in `metrics.jsonl`: list of dicts."""
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text().splitlines()
        return [json.loads(line) for line in lines]

    def _check_owned(self):
        """Raises a ValueError if the directory is not new and not a run's."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"a run needs a directory. Received: {self.path}, a file"
            )
        if self.config_path.exists():
            _read_record(self.config_path)
            return
        foreign = [
            name
            for name in files.files_below(self.path)
            # One specialist may be trained before the others.
            if not re.match(r"\d+/", name)
        ]
        if foreign:
            raise ValueError(
                "a run needs a new or empty directory, or one with a run's "
                f"config.json. Received: {self.path} with "
                f"{files.named(sorted(foreign))}; take another --workdir"
            )


def save_keras(model, path):
    """Saves a `.keras` file, whole or not at all."""
    with files.replacing_file(path) as temporary:
        model.save(temporary, include_optimizer=False)


def _is_run_file(run_dir, name):
    """Whether a path, relative to a run's directory, is one that it writes."""
    if (run_dir.path / name).is_symlink():
        return False
    # A specialist has a directory of its own, `<index>/`.
    name = re.sub(r"^\d+/", "", name)
    patterns = (re.escape(run_dir.model_path.name), *_RUN_FILES)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _is_config(name):
    return pathlib.PurePath(name).name == "config.json"


def _read_record(path):
    """The contents of a run's `config.json`."""
    try:
        record = json.loads(path.read_text())
        if {"stage", "config", "depends_on"} <= record.keys():
            return record
        reason = "it has other fields"
    except (ValueError, AttributeError) as error:
        reason = str(error)
    raise ValueError(
        "config.json must be the record of a run. Received: "
        f"{path} ({reason}); take another --workdir"
    )
