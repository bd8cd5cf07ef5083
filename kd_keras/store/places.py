"""The directory of a store that several processes write together."""

import logging
import os
import pathlib

import numpy as np

from kd_keras.store import ids, layout, records, task_records, tasks
from kd_keras.store import manifest as manifest_lib
from kd_keras.utils import digests, files, locks, scratch

_log = logging.getLogger(__name__)

# Seconds to wait for a process that begins or finishes the same store.
_PLAN_SECONDS = 600


def of(path):
    """The place of a store, by its path: `Directory`."""
    # Imported here, since it needs this module.
    from kd_keras.store import remote_place

    url = remote_place.url_of(pathlib.Path(path))
    return remote_place.RemotePlace(path, url) if url else Directory(path)


class Directory:
    """A directory of this machine, or one that machines share.

    The plan is written first, then the files of each task with a record of
    their checksums, then the manifest with the checksums of all.

    Args:
        path: str or path.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @property
    def shown(self):
        """The path, or the URL of a remote place."""
        return self.path

    def planned(self, manifest):
        """The manifest of the store that was begun here, or a new one.

        A store that was begun keeps the size of its files.

        Args:
            manifest: dict, as `manifest.plan` returns it.

        Raises:
            ValueError: if the directory holds a store of another plan, or
                other files.
        """
        existing = manifest_lib.read(self.path)
        if existing is None:
            # Raises an error if the directory holds other files.
            manifest_lib.is_finished(self.path, manifest)
            return manifest
        manifest_lib.check_class_names(
            existing, manifest.get("class_names"), self.path
        )
        manifest_lib.check_same(
            manifest_lib.comparable(existing),
            manifest_lib.comparable(manifest),
            self.path,
        )
        return existing

    def begin(self, manifest, parts):
        """Writes the plan and the ids of a store, unless they exist.

        Args:
            manifest: dict, as `manifest.plan` returns it.
            parts: as given to `manifest.plan`.

        Returns:
            The manifest of the store.

        Raises:
            ValueError: as `planned`.
        """
        # Processes that begin at the same time must agree on one plan.
        with self._locked():
            manifest = self.planned(manifest)
            self.path.mkdir(parents=True, exist_ok=True)
            checksums = manifest["checksums"]
            if checksums is None:
                checksums = self._adopted(manifest)
            manifest = {**manifest, "checksums": checksums}
            if manifest_lib.read(self.path) != manifest:
                # First, so that an interrupted store is recognised by its plan.
                manifest_lib.write(self.path, manifest)
            added = {}
            for part, examples in parts.items():
                for file, array in ids.arrays(
                    part, manifest, examples.ids
                ).items():
                    if not self.is_whole(file, checksums.get(file)):
                        added[file] = self._save(file, array)
            if added:
                checksums.update(added)
                manifest_lib.write(self.path, manifest)
            return manifest

    def is_begun(self, manifest):
        """Whether the plan and the ids of a store exist."""
        existing = manifest_lib.read(self.path)
        return existing is not None and all(
            name in (existing["checksums"] or {})
            for part in manifest["parts"]
            for name in layout.ids_files(part, existing)
        )

    def checksums(self, manifest, chosen=None):
        """The known checksums of a store's files: dict.

        Args:
            manifest: dict, the store's.
            chosen: list of `tasks.Task`, whose checksums are wanted; None for
                all.
        """
        known = dict(manifest["checksums"])
        if chosen is None:
            written = self._records()
            chosen = [
                task
                for task in tasks.all_tasks(manifest)
                if task.record in written
            ]
        for task in chosen:
            known.update(task_records.read(self.path / task.record))
        return known

    def forget(self, damaged):
        """Marks tasks with missing or damaged files as not done.

        Args:
            damaged: list of `tasks.Task`, as they were found. Those that
                another process has repaired or forgotten meanwhile are left
                out.

        Returns:
            List of `tasks.Task`, those that were marked.
        """
        with self._locked():
            manifest = manifest_lib.read(self.path)
            damaged = self._still_damaged(manifest, damaged)
            names = {name for task in damaged for name in task.files}
            known = manifest["checksums"]
            for task in damaged:
                (self.path / task.record).unlink(missing_ok=True)
            if not names.isdisjoint(known):
                known = {name: known[name] for name in known.keys() - names}
                manifest_lib.write(self.path, {**manifest, "checksums": known})
        return damaged

    def _still_damaged(self, manifest, found):
        """The tasks with a file that differs from its known checksum."""
        known = self.checksums(manifest, found)
        names = [x for task in found for x in task.files if x in known]
        damaged = self.damaged({**manifest, "checksums": known}, names)
        return [
            task for task in found if not set(damaged).isdisjoint(task.files)
        ]

    def damaged(self, manifest, names=None):
        """Names of files that are missing or differ from their checksums.

        Args:
            manifest: dict, the store's.
            names: list of str, the files to look at; None for all.
        """
        return manifest_lib.damaged_files(self.path, manifest, names)

    def is_whole(self, name, checksum):
        """Whether a file exists and has this SHA-256."""
        try:
            return digests.sha256_of_file(self.path / name) == checksum
        except OSError:
            return False

    def folder(self):
        """A context with an empty local folder, for the files of a task."""
        return scratch.writing(self.path)

    def add(self, folder, names):
        """Moves files from a folder to the store, their task's record last."""
        for name in names:
            files.check_no_directory(self.path / name)
            os.replace(folder / name, self.path / name)

    def count_left(self, manifest):
        """Number of tasks that have not ended; reads none of their files."""
        # None in an unfinished store of version 0.2.
        known, written = manifest["checksums"] or {}, self._records()
        return sum(
            task.record not in written
            and not all(name in known for name in task.files)
            for task in tasks.all_tasks(manifest)
        )

    def finish(self):
        """Writes the manifest with all checksums, if no task is left.

        Returns:
            int, the number of tasks that are left; 0 for a finished store.
        """
        left = self.count_left(manifest_lib.read(self.path))
        if left:
            return left
        with self._locked():
            manifest = manifest_lib.read(self.path)
            written = self._records()
            if written:
                known = self.checksums(manifest)
                manifest = {**manifest, "checksums": known}
                manifest_lib.write(self.path, manifest)
            for name in written:
                (self.path / name).unlink(missing_ok=True)
            locks.clear(self.path)
        # More than 0 if a record was damaged.
        return self.count_left(manifest)

    def _locked(self):
        """A context for one process at a time."""
        return locks.holding(self.path, part="plan", patience=_PLAN_SECONDS)

    def _records(self):
        """Names of the records of tasks that have ended: set of str."""
        with os.scandir(self.path) as entries:
            return {
                entry.name
                for entry in entries
                if task_records.is_record(entry.name)
            }

    def _adopted(self, manifest):
        """Checksums of the files that version 0.2 wrote before it was stopped.

        That version recorded none for an unfinished store. Files of another
        shape are left out.
        """
        row = records.Logits(manifest).row_dtype
        return {
            name: digests.sha256_of_file(self.path / name)
            for part in manifest["parts"]
            for index, name in enumerate(layout.shard_files(part, manifest))
            if records.is_shard(self.path / name, manifest, part, index, row)
        }

    def _save(self, name, array):
        """Writes an array; returns the SHA-256 of the file."""
        with files.replacing_file(self.path / name) as temporary:
            np.save(temporary, array)
            return digests.sha256_of_file(temporary)
