"""An object store in memory, for the gs:// paths of a test.

The fixture `bucket` empties it.

It has one bucket and no directories: the name of an object below a path begins
with the path and a slash. `STORE.fail` makes any operation fail.
"""

import itertools
import pathlib

import fsspec

from kd_keras.utils import remote

BUCKET = "gs://bucket"


class _Store:
    """The objects of all tests of a process, and the operations on them.

    Attributes:
        objects: dict of paths to `(bytes, version)`.
        done: list of `(operation, path)`, in order.
        fail: function of an operation and a path, called before each, which
            may raise; or None.
    """

    def __init__(self):
        self.versions = itertools.count(1)
        self.clear()

    def clear(self):
        self.objects, self.done, self.fail = {}, [], None

    def write(self, path, contents):
        self.objects[path] = bytes(contents), next(self.versions)


STORE = _Store()


class _FileSystem(fsspec.AbstractFileSystem):
    """The methods of gcsfs that are used."""

    protocol = ("gs", "gcs")

    def _key(self, operation, path):
        path = str(path).removeprefix("gs://")
        if STORE.fail:
            STORE.fail(operation, path)
        STORE.done.append((operation, path))
        if path.partition("/")[0] != "bucket":
            raise FileNotFoundError(path)
        return path

    def _entry(self, path):
        contents, version = STORE.objects[path]
        size = len(contents)
        return {"name": path, "size": size, "type": "file", "etag": version}

    def info(self, path, **options):
        path = self._key("info", path)
        if path in STORE.objects:
            return self._entry(path)
        if any(name.startswith(f"{path}/") for name in STORE.objects):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def find(self, path, maxdepth=None, detail=False, **options):
        path = self._key("list", path)
        found = [
            name
            for name in sorted(STORE.objects)
            if name == path or name.startswith(f"{path}/")
        ]
        return {
            name: self._entry(name)
            for name in found
            if not maxdepth or "/" not in name[len(path) + 1 :]
        }

    def put_file(self, source, path, **options):
        STORE.write(self._key("put", path), pathlib.Path(source).read_bytes())

    def pipe_file(self, path, value, **options):
        STORE.write(self._key("put", path), value)

    def get_file(self, path, target, **options):
        contents, _ = STORE.objects[self._key("get", path)]
        pathlib.Path(target).write_bytes(contents)

    def cat_file(self, path, **options):
        path = self._key("get", path)
        if path not in STORE.objects:
            raise FileNotFoundError(path)
        return STORE.objects[path][0]

    def rm_file(self, path):
        if STORE.objects.pop(self._key("delete", path), None) is None:
            raise FileNotFoundError(path)


fsspec.register_implementation("gcs", _FileSystem, clobber=True)


def put(url, contents):
    """Writes objects below a URL: dict of names to bytes."""
    for name, value in contents.items():
        STORE.write(f"{url}/{name}".removeprefix("gs://"), value)


def put_tree(url, folder):
    """Uploads a local directory."""
    paths = [x for x in pathlib.Path(folder).rglob("*") if x.is_file()]
    put(url, {x.relative_to(folder): x.read_bytes() for x in paths})


def names(url):
    """The names of the objects below a URL: sorted list."""
    return sorted(remote.objects(url))


def read(url):
    """The bytes of an object."""
    return STORE.objects[url.removeprefix("gs://")][0]


def puts():
    """The last parts of the paths that were written, in order."""
    return [
        path.rpartition("/")[2]
        for operation, path in STORE.done
        if operation == "put" and "kd_keras-trial" not in path
    ]
