"""Output directories in object stores: written locally, uploaded at the end.

The same rules as for local directories hold: only files that this program
wrote are replaced; see `files`. A directory is uploaded in this order: a list
of all of its files, whether new or not yet replaced (`remote.UNFINISHED`); the
files; the list of written files (`manifests.NAME`). Then the first list is
deleted. Until then other commands refuse the directory, and the same command
resumes the upload.
"""

import contextlib
import json
import logging
import pathlib

from kd_keras.utils import (
    files,
    locks,
    manifests,
    object_stores,
    remote,
    remote_copies,
    scratch,
)

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def directory(path, what):
    """Yields a local path whose changes are uploaded at the end.

    Args:
        path: str or path of an output directory; a local one is yielded as
            it is.
        what: str, the option that gave it, for errors.

    Raises:
        ValueError: if the remote place cannot be used, or another program
            wrote to it meanwhile.
    """
    with _held(path, what) as (url, folder):
        if url is None:
            yield path
            return
        remote.check_writable(url)
        mirror = _Mirror(url, folder / remote.name_of(url))
        mirror.fetch()
        yield mirror.folder
        mirror.upload()


@contextlib.contextmanager
def models(path, what, *, prefix):
    """Yields a local path with some models, whose changes are uploaded.

    Args:
        path: str or path of a directory of exported models; a local one is
            yielded as it is.
        what: str, the option that gave it, for errors.
        prefix: str, the first part of the models' names.

    Raises:
        ValueError: as `directory`.
    """
    with _held(path, what, prefix) as (url, folder):
        if url is None:
            yield path
            return
        remote.check_writable(url)
        there = {
            name.partition("/")[0]
            for name in remote.objects(url)
            if "/" in name and name.startswith(prefix)
        }
        mirrors = {n: _Mirror(f"{url}/{n}", folder / n) for n in there}
        for mirror in mirrors.values():
            mirror.fetch()
        yield folder
        for path in folder.iterdir():
            if path.is_dir() and not scratch.is_scratch(path):
                new = _Mirror(f"{url}/{path.name}", path)
                mirrors.setdefault(path.name, new)
        for mirror in mirrors.values():
            mirror.upload()


@contextlib.contextmanager
def _held(path, what, part=""):
    """Yields the URL of a path and a local directory for it; None twice."""
    remote.check(path, what)
    url = remote.url_of(path)
    if url is None:
        yield None, None
        return
    place = remote_copies.place_of(f"output {part} {url}")
    with locks.holding(place), scratch.directory(place) as folder:
        made = folder / "new"
        made.mkdir()
        yield url, made


class _Mirror:
    """A local copy of a directory of objects, which can be uploaded again.

    Args:
        url: str.
        folder: path.
    """

    def __init__(self, url, folder):
        self.url = url
        self.folder = pathlib.Path(folder)
        self._before = {}
        self._listed = {}
        self._states = {}

    def fetch(self):
        """Downloads all objects, even after an interrupted upload."""
        self._before = remote.objects(self.url)
        if not self._before:
            return
        size = sum(entry.size for entry in self._before.values())
        remote_copies.check_space(self.folder, size, f"a copy of {self.url}")
        remote.download(
            {self.folder / name: f"{self.url}/{name}" for name in self._before},
            sizes={self.folder / n: e.size for n, e in self._before.items()},
            folder=self.folder.parent,
        )
        unfinished = self.folder / remote.UNFINISHED
        was_unfinished = unfinished.exists()
        if was_unfinished:
            # The files that the list names are this program's.
            unfinished.replace(self.folder / manifests.NAME)
        self._listed = manifests.read(self.folder)
        again = (*self._listed, manifests.NAME) if was_unfinished else ()
        self._states = {n: s for n, s in self._now().items() if n not in again}

    def upload(self):
        """Uploads changed files, and deletes the objects of removed files."""
        now = self._now()
        gone = [n for n in self._before if n not in now]
        new = [n for n in now if now[n] != self._states.get(n)]
        if not new and not gone:
            return
        if remote.objects(self.url) != self._before:
            raise object_stores.RemoteError(
                "an output directory must be written by one process at a "
                f"time. Received: {self.url}, which has changed meanwhile; "
                "run the command again"
            )
        text = json.dumps(manifests.record(self._old_and_new()), indent=2)
        remote.write_text(self.url, remote.UNFINISHED, text)
        remote.delete(self.url, [manifests.NAME])
        files_first = [name for name in new if name != manifests.NAME]
        remote.upload(self.folder, self.url, files_first)
        remote.delete(self.url, [n for n in gone if n != remote.UNFINISHED])
        if manifests.NAME in now:
            remote.upload(self.folder, self.url, [manifests.NAME])
        remote.delete(self.url, [remote.UNFINISHED])
        _log.info("remote: %d files uploaded to %s", len(new), self.url)

    def _old_and_new(self):
        """All files of this program, as of `manifests.read`."""
        now = manifests.read(self.folder)
        return {
            name: [*{*now.get(name, []), *self._listed.get(name, [])}]
            for name in {**self._listed, **now}
        }

    def _now(self):
        """The state of each local file: dict of names to tuples."""
        found = {}
        for name in files.files_below(self.folder):
            stat = (self.folder / name).stat()
            found[name] = stat.st_size, stat.st_mtime_ns, stat.st_ino
        return found
