"""A store in an object store that several processes write together.

Each process has a folder of its own on local disk, the stage, with the plan,
the ids and the records of tasks. The files of a task are uploaded and then
removed from the stage, so that a store may be larger than any disk.
"""

import contextlib
import io
import json
import math

import numpy as np

from kd_keras.store import layout, places, records, task_records
from kd_keras.store import manifest as manifest_lib
from kd_keras.utils import files, remote, remote_copies, scratch

_STAGE = "stage.json"


@contextlib.contextmanager
def staged(workdir):
    """Yields the local folder that stands for a remote `--workdir`.

    Args:
        workdir: str or path; a local one is yielded as it is.

    Raises:
        ValueError: if it is of another scheme, or cannot be written.
    """
    remote.check(workdir, "--workdir")
    url = remote.url_of(workdir)
    if url is None:
        yield workdir
        return
    remote.check_writable(url)
    with scratch.directory(remote_copies.root() / "stages") as folder:
        stage = folder / remote.name_of(url)
        stage.mkdir()
        files.write_json(stage / _STAGE, {"url": url})
        yield stage


def url_of(path):
    """The URL of a store whose stage is a path; None for any other path."""
    record = path.parent / _STAGE
    if not path.is_relative_to(remote_copies.root()) or not record.exists():
        return None
    return f"{json.loads(record.read_text())['url']}/{path.name}"


class RemotePlace(places.Directory):
    """The objects of a store; see `places.Directory`.

    Args:
        path: path of its stage.
        url: str.
    """

    def __init__(self, path, url):
        super().__init__(path)
        self.url = url

    @property
    def shown(self):
        return self.url

    def planned(self, manifest):
        self._fetch_plan()
        return super().planned(manifest)

    def begin(self, manifest, parts):
        manifest = super().begin(manifest, parts)
        if self._is_complete():
            return manifest
        found = remote.objects(self.url)
        needed = [
            name
            for part in manifest["parts"]
            for name in layout.ids_files(part, manifest)
            if _size(found, name) != (self.path / name).stat().st_size
        ]
        if needed:
            # First, so that an interrupted store is recognised by its plan.
            self._upload_plan({**manifest, "checksums": {}})
            remote.upload(self.path, self.url, needed)
        if needed or manifest_lib.PLAN not in found:
            self._upload_plan(manifest)
        return manifest

    def is_begun(self, manifest):
        self._fetch_plan()
        return super().is_begun(manifest)

    def checksums(self, manifest, chosen=None):
        names = [task.record for task in chosen or ()]
        self._fetch_records(self._records() if chosen is None else names)
        return super().checksums(manifest, chosen)

    def forget(self, damaged):
        self._fetch_plan()
        damaged = super().forget(damaged)
        if not damaged:
            return damaged
        gone = [name for task in damaged for name in (*task.files, task.record)]
        if self._is_complete():
            self._upload_plan(manifest_lib.read(self.path))
            gone.append(manifest_lib.NAME)
        # Also the files: one that is cut short must not pass for whole.
        remote.delete(self.url, gone)
        return damaged

    def damaged(self, manifest, names=None):
        found = remote.objects(self.url)
        sizes = _sizes(manifest)
        return [
            name
            for name in (layout.all_files(manifest) if names is None else names)
            if name not in manifest["checksums"]
            or _size(found, name) != sizes.get(name, _size(found, name))
            or name not in found
        ]

    def is_whole(self, name, checksum):
        # The files of ids are also in the stage.
        if (self.path / name).exists():
            return super().is_whole(name, checksum)
        return remote.is_object(f"{self.url}/{name}")

    def add(self, folder, names):
        *whole, record = names
        remote.upload(folder, self.url, whole)
        remote.upload(folder, self.url, [record])

    def finish(self):
        self._fetch_plan()
        left = super().finish()
        if self._is_complete():
            # Perhaps by another machine, which deleted the records meanwhile.
            return 0
        if not left:
            written = self._records()
            remote.upload(self.path, self.url, [manifest_lib.NAME])
            remote.delete(self.url, [manifest_lib.PLAN, *written])
        return left

    def _records(self):
        return {
            name
            for name in remote.objects(self.url)
            if task_records.is_record(name)
        }

    def _is_complete(self):
        return remote.is_object(f"{self.url}/{manifest_lib.NAME}")

    def _fetch_plan(self):
        """Downloads the plan or the manifest to the stage.

        Raises:
            ValueError: if there are objects, but no plan.
        """
        for name in (manifest_lib.NAME, manifest_lib.PLAN, manifest_lib.NAME):
            contents = remote.read(self.url, name)
            if contents is not None:
                with files.replacing_file(self.path / name) as temporary:
                    temporary.write_bytes(contents)
                manifest_lib.write(self.path, manifest_lib.read(self.path))
                return
        found = sorted(remote.objects(self.url))
        if found:
            raise ValueError(
                "a store needs a new or empty directory. Received: "
                f"{self.url} without {manifest_lib.PLAN}, with "
                f"{files.named(found)}; take another --workdir"
            )

    def _fetch_records(self, names):
        """Downloads records of tasks."""
        for name in names:
            contents = remote.read(self.url, name)
            if contents is None:
                (self.path / name).unlink(missing_ok=True)
                continue
            with files.replacing_file(self.path / name) as temporary:
                temporary.write_bytes(contents)

    def _upload_plan(self, manifest):
        with scratch.directory(self.path) as folder:
            manifest_lib.write(folder, manifest)
            remote.upload(folder, self.url, [manifest_lib.PLAN])


def _size(found, name):
    return found[name].size if name in found else None


def _sizes(manifest):
    """The sizes of the files of a store's shards: dict of names to ints."""
    sizes = {}
    names = layout.array_names(manifest)
    for part in manifest["parts"]:
        for kind, array in zip(names, records.arrays(manifest), strict=True):
            row = array.row_dtype
            for index in range(layout.num_shards(part, manifest)):
                shape = records.shard_shape(manifest, part, index, row)
                name = layout.shard_file(part, manifest, index, kind)
                sizes[name] = _npy_bytes(shape, row.base)
    return sizes


def _npy_bytes(shape, dtype):
    """Size of a `.npy` file in bytes."""
    header = io.BytesIO()
    fields = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(header, fields)
    return header.tell() + math.prod(shape) * dtype.itemsize
