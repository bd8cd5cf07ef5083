"""Writes a store: at once, task by task, or one task alone."""

import contextlib
import logging

from kd_keras import store
from kd_keras.store import places, tasks
from kd_keras.training import label_inputs
from kd_keras.utils import locks, progress, scratch

_log = logging.getLogger(__name__)

# The wait for the first of many processes, which may write a billion ids.
_BEGIN_SECONDS = 600


class StoreJob:
    """A store that will be written, and the source of its outputs.

    Args:
        path: `pathlib.Path` of its directory.
        manifest: dict, as `store.plan` returns it. A store that was begun
            keeps the size of its files.
        parts: dict of the parts of the dataset.
        load: function of the manifest that returns the `outputs_of` of
            `store.write`. It is called once, if there is a task to do. Its
            argument `measured` tells whether another process has measured
            the teacher.

    Attributes:
        path: as above.
        shown: the path again, or the URL of a remote store.
        manifest: dict, the store's manifest.

    Raises:
        ValueError: if the directory holds another store.
    """

    def __init__(self, path, manifest, parts, load):
        self.path = path
        self._directory = places.of(path)
        self.shown = self._directory.shown
        self.manifest = self._directory.planned(manifest)
        self._parts = parts
        self._load = load
        self._loaded = None
        self._held = contextlib.ExitStack()

    @property
    def num_tasks(self):
        return tasks.count(self.manifest)

    def count_left(self):
        """The number of unfinished tasks, here or elsewhere: int."""
        return self._directory.count_left(
            self._directory.planned(self.manifest)
        )

    def write(self, *, shard=0, num_shards=1):
        """Writes the store, or only its missing and damaged files.

        Args:
            shard: int, the index of this process, from 0.
            num_shards: int, how many processes write the store.

        Returns:
            bool, whether the store is finished.

        Raises:
            ValueError: as `store.write`, or if another process writes the
                same shard.
        """
        label_inputs.check_shard(shard, num_shards)
        if self._is_finished():
            return True
        with locks.holding(self.path, part=f"{shard}-of-{num_shards}"):
            return store.write(
                self.path,
                self.manifest,
                self._parts,
                self._outputs_of(),
                shard=shard,
                num_shards=num_shards,
                verbose=progress.verbosity(),
            )

    def load(self):
        """Loads the source of the outputs, unless the store is finished.

        Raises:
            ValueError: as `store.write`.
        """
        if not store.is_finished(self.path, self.manifest, verify=False):
            self._outputs_of(measured=True)

    def begin(self, *, shard=0, num_shards=1):
        """Begins to write the store by `run`, in several processes.

        The shard is locked until this process ends or calls `close`.

        Args:
            shard: as of `write`.
            num_shards: as of `write`.

        Returns:
            List of `tasks.Task` that are left to do.

        Raises:
            ValueError: as `write`.
        """
        label_inputs.check_shard(shard, num_shards)
        if self._is_finished():
            return []
        self._held.enter_context(
            locks.holding(self.path, part=f"{shard}-of-{num_shards}")
        )
        self._begin()
        left = tasks.left(self._directory, self.manifest)
        return [task for task in left if task.number % num_shards == shard]

    def run(self, number, report=lambda views: None):
        """Does one task of the store, unless its files are whole.

        Args:
            number: int, the number of the task.
            report: as of `tasks.run`.

        Returns:
            dict of the names of its files to their SHA-256.

        Raises:
            ValueError: if there is no such task, or as `store.write`.
        """
        task = tasks.find(self.manifest, number)
        if not self._directory.is_begun(self.manifest):
            self._begin_once()
        return tasks.run(
            self._directory,
            self._directory.planned(self.manifest),
            task,
            # Loaded only if the files are missing.
            lambda *chosen: self._outputs_of(measured=True)(*chosen),
            report,
        )

    def finish(self):
        """Finishes the store if nothing is left: the number of tasks left."""
        return self._directory.finish()

    def close(self):
        """Releases the lock that `begin` holds."""
        self._held.close()

    def _begin_once(self):
        """Begins the store, unless another of many processes has done so."""
        self._outputs_of()
        with locks.holding(self.path, part="begin", patience=_BEGIN_SECONDS):
            if not self._directory.is_begun(self.manifest):
                self._begin()

    def _begin(self):
        # Before anything is written: the teacher may be refused.
        self._outputs_of()
        self.manifest = self._directory.begin(self.manifest, self._parts)

    def _is_finished(self):
        scratch.clear(self.path)
        finished = store.is_finished(self.path, self.manifest)
        if finished:
            _log.info("store: finished before, in %s", self.shown)
        return finished

    def _outputs_of(self, *, measured=False):
        if self._loaded is None:
            self._loaded = self._load(self.manifest, measured=measured)
        return self._loaded
