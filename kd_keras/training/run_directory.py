"""The directory of a stage, whose files are written whole or not at all.

`<workdir>/<stage>/` holds `config.json`, `versions.json`, `metrics.jsonl`,
`tensorboard/`, `checkpoints/`, `<stage>.keras` and, once the stage is
finished, `report.json`. `written_by_kd_keras.json` holds the SHA-256 of each
file except logs and checkpoints. So a damaged file, or a record of another
run, is noticed.
"""

import contextlib
import json
import logging
import os
import pathlib
import re

from kd_keras import config as config_lib
from kd_keras.models import class_names as class_name_checks
from kd_keras.training import environments, extension, run_records
from kd_keras.utils import files, manifests, provenance

_log = logging.getLogger(__name__)

CONFIG_NAME = "config.json"
# Relative paths of the files that a run writes, besides the model.
_RUN_FILES = (
    r"config\.json|versions\.json|metrics\.jsonl|report\.json",
    re.escape(manifests.NAME),
    r"checkpoints/(checkpoint|ckpt-\d+(-\d+)?(_temp/part-\S+)?\.\S+)",
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
        self.config_path = self.path / CONFIG_NAME
        self.report_path = self.path / "report.json"
        self.metrics_path = self.path / "metrics.jsonl"
        self.tensorboard_dir = self.path / "tensorboard"
        self.checkpoints_dir = self.path / "checkpoints"
        # `check` and `check_removable` have made sure that the files are ours.
        self._outputs = files.OutputDirectory(self.path, all_ours=True)

    def check(self, depends_on, places=None, class_names=None):
        """Checks that the directory is new, or holds the same run.

        Args:
            depends_on: flat dict of JSON values that the result depends on:
                fields of the configuration, fingerprints of data, teacher
                and code.
            places: dict of `data` and `teacher` to their places, for errors.
            class_names: list of str, the classes of the data, or None.

        Raises:
            ValueError: if it holds another run, or files of somebody else.
        """
        self._check_owned()
        recorded = self.recorded()
        if recorded is None:
            return
        class_name_checks.check_same(
            recorded.get("class_names"),
            class_names,
            model=f"the run in {self.path}",
        )
        lines = config_lib.differing(recorded["depends_on"], depends_on, places)
        if lines:
            raise ValueError(
                f"{self.path} must hold a run of the same configuration, "
                f"data, teacher and code. Differing: {'; '.join(lines)}. "
                "Take another --workdir, or start over with --restart"
                f"{extension.hint(lines)}"
            )
        config_lib.log_incomparable(
            recorded["depends_on"], depends_on, self.path
        )

    def start(
        self, config, depends_on, *, command, environment, class_names=None
    ):
        """Creates the directory and records the run that starts.

        Warns of a training that resumes in another environment.

        Args:
            config: the resolved configuration.
            depends_on: as `check`.
            command: str, as it was typed.
            environment: dict, as `environments.current` returns it.
            class_names: as `check`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        # Records of earlier versions are not listed yet.
        self._outputs.list_only(
            [CONFIG_NAME, "versions.json", self.metrics_path.name]
        )
        record = {
            "stage": self.stage,
            "command": command,
            # Shows whether an export is another run's.
            "directory": str(self.path.resolve()),
            "config": config.to_dict(),
            "depends_on": depends_on,
            "environments": self._environments(environment),
        }
        if class_names:
            record["class_names"] = list(class_names)
        # An extended run is no longer finished.
        self.report_path.unlink(missing_ok=True)
        self.write_json(CONFIG_NAME, record)
        self.write_json("versions.json", provenance.versions())

    def write_text(self, name, text):
        """Writes a text file of the run, whole or not at all."""
        self._outputs.write_text(name, text)

    def write_json(self, name, value):
        """Writes a JSON file of the run, whole or not at all."""
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_model(self, network):
        """Saves the run's network as `<stage>.keras`."""
        with self._outputs.replacing(self.model_path.name) as temporary:
            network.save(temporary, include_optimizer=False)

    def _environments(self, now):
        """The environments that parts of the training ran in, in order."""
        # Without a checkpoint, the training starts from the beginning.
        if not any(self.checkpoints_dir.glob("ckpt-*.index")):
            return [now]
        # Version 0.1 recorded none.
        before = (self.recorded() or {}).get("environments", [])
        changes = before and environments.changes(before[-1], now)
        if not changes:
            return before or [now]
        _log.warning(
            "%s: resumes with %s: the result may differ by rounding from "
            "that of a run that was not interrupted",
            self.stage,
            changes,
        )
        return [*before, now]

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

        Files that no run wrote are never removed.
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

    def recorded(self):
        """The contents of `config.json`; None where it does not exist.

        Raises:
            ValueError: if it is damaged, or of another stage.
        """
        return self._read_config() if self.config_path.exists() else None

    def owns(self, record, depends_on):
        """Whether an export is this run's, or would be the same.

        Args:
            record: dict, the export's copy of its run's `config.json`.
            depends_on: as `check`.
        """
        if record.get("directory") == str(self.path.resolve()):
            return True
        mine = [depends_on, *extension.earlier(depends_on)]
        if self.config_path.exists():  # before a --restart
            mine.append(self._read_config()["depends_on"])
        return any(
            not config_lib.differing(record["depends_on"], x) for x in mine
        )

    def report(self):
        """The report of a finished stage, or None.

        Raises:
            ValueError: if it is damaged.
        """
        return self.read_report() if self.model_path.exists() else None

    def read_report(self):
        """The contents of `report.json`; None where it does not exist.

        Raises:
            ValueError: if it is damaged.
        """
        if not self.report_path.exists():
            return None
        return run_records.read_report(self.report_path)

    def check_records(self):
        """Raises a ValueError if a record of a finished run is damaged."""
        self._read_config()
        self.metrics()
        if (self.path / "versions.json").exists():
            self._read_versions()

    def has_whole_model(self):
        """Whether `<stage>.keras` exists and is as it was written.

        A run of an earlier version has no list of files. Then existence is
        all that is checked.
        """
        listed = manifests.read(self.path)
        name = self.model_path.name
        if name in listed:
            return manifests.is_as_written(self.path, name, listed)
        return self.model_path.is_file()

    def provenance(self):
        """The `command`, resolved `precision` and `versions` of the run.

        Raises:
            ValueError: if `config.json` or `versions.json` is damaged.
        """
        record = self._read_config()
        return {
            "command": record["command"],
            "precision": record["config"]["precision"],
            "versions": self._read_versions(),
        }

    def metrics(self):
        """The epochs in `metrics.jsonl`: list of dicts.

        Raises:
            ValueError: if the file is damaged.
        """
        if not self.metrics_path.exists():
            return []
        return run_records.read_metrics(self.metrics_path)

    def _read_config(self):
        return run_records.read_config(self.config_path, stage=self.stage)

    def _read_versions(self):
        return run_records.read_versions(self.path / "versions.json")

    def _check_owned(self):
        """Raises a ValueError if the directory is not new and not a run's."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"a run needs a directory. Received: {self.path}, a file"
            )
        if self.config_path.exists():
            self._read_config()
            return
        foreign = [
            name
            for name in files.files_below(self.path)
            # One specialist may be trained before the others; the list of
            # the files is written just before config.json.
            if name != manifests.NAME and not re.match(r"\d+/", name)
        ]
        if foreign:
            raise ValueError(
                "a run needs a new or empty directory, or one with a run's "
                f"config.json. Received: {self.path} with "
                f"{files.named(sorted(foreign))}; take another --workdir"
            )


def _is_run_file(run_dir, name):
    """Whether a run writes a file at a path relative to its directory."""
    if (run_dir.path / name).is_symlink():
        return False
    # A specialist has a directory of its own, `<index>/`.
    name = re.sub(r"^\d+/", "", name)
    patterns = (re.escape(run_dir.model_path.name), *_RUN_FILES)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _is_config(name):
    return pathlib.PurePath(name).name == CONFIG_NAME
