"""Copies of remote files: whole, resumed, and copied again when changed."""

import shutil

import pytest
from object_store import STORE, put, puts
from scratch import tree

from kd_keras.utils import remote, remote_copies

CONTENTS = {"a/1.txt": b"one", "a/2.txt": b"two", "manifest.json": b"{}"}


@pytest.fixture
def url(bucket):
    put(f"{bucket}/store", CONTENTS)
    return f"{bucket}/store"


def gets():
    return sorted(
        path.rpartition("/")[2] for kind, path in STORE.done if kind == "get"
    )


def test_a_local_path_is_as_it_is(tmp_path):
    assert remote_copies.local(tmp_path, "--x") is tmp_path
    assert remote_copies.local("keras_hub:name", "--x") == "keras_hub:name"


def test_a_directory_is_copied_once(url):
    path = remote_copies.local(url, "--x")
    assert path.name == "store"
    assert tree(path) == {"a": None, **CONTENTS}
    STORE.done.clear()
    assert remote_copies.local(f"{url}/", "--x") == path
    assert not gets() and not puts()


def test_only_what_changed_is_copied_again(url):
    path = remote_copies.local(url, "--x")
    other = remote_copies.local(f"{url}/a", "--x")
    # Of the same size.
    put(url, {"a/1.txt": b"ONE"})
    (path / "a" / "2.txt").write_bytes(b"cut")
    (path / "a" / "2.txt").write_bytes(b"")
    del STORE.objects["bucket/store/manifest.json"]
    STORE.done.clear()
    remote_copies.local(url, "--x")
    assert gets() == ["1.txt", "2.txt"]
    assert tree(path) == {"a": None, "a/1.txt": b"ONE", "a/2.txt": b"two"}
    # Other copies are untouched.
    assert tree(other) == {"1.txt": b"one", "2.txt": b"two"}


def test_an_interrupted_copy_goes_on(url, monkeypatch):
    monkeypatch.setattr(remote, "_THREADS", 1)

    def fail(operation, path):
        if operation == "get" and path.endswith("2.txt"):
            raise ConnectionResetError("reset by peer")

    STORE.fail = fail
    with pytest.raises(ValueError, match="reset by peer"):
        remote_copies.local(url, "--x")
    STORE.fail = None
    STORE.done.clear()
    path = remote_copies.local(url, "--x")
    # Those that had been copied are not copied again.
    assert "2.txt" in gets() and "1.txt" not in gets()
    assert tree(path) == {"a": None, **CONTENTS}


def test_a_download_of_another_size_is_refused(url, monkeypatch):
    listed = remote.objects(url)
    monkeypatch.setattr(remote, "objects", lambda url, **options: listed)
    put(url, {"a/1.txt": b"longer"})
    with pytest.raises(ValueError, match="6 of 3 bytes"):
        remote_copies.local(url, "--x")


def test_objects_that_change_meanwhile_are_refused(url):
    def fail(operation, path):
        if operation == "get" and path.endswith("2.txt"):
            put(url, {"a/1.txt": b"new"})

    STORE.fail = fail
    with pytest.raises(ValueError, match="must not change while"):
        remote_copies.local(url, "--x")


def test_a_file_is_copied_with_what_belongs_to_it(bucket):
    names = ["net.onnx", "net.onnx.data", "exports.json", "other.onnx", "n/x"]
    put(f"{bucket}/m", dict.fromkeys(names, b"x"))
    path = remote_copies.local(
        f"{bucket}/m/net.onnx", "--x", beside=("exports.json", "report.json")
    )
    found = {p.name for p in path.parent.iterdir()} - {"objects.json"}
    assert found == {"net.onnx", "net.onnx.data", "exports.json"}


def test_what_is_not_there_or_not_whole_is_refused_uncopied(url, bucket):
    with pytest.raises(FileNotFoundError, match="--x must exist"):
        remote_copies.local(f"{bucket}/none", "--x")
    with pytest.raises(ValueError, match="must have manifest.json, which"):
        remote_copies.local(f"{url}/a", "--x", needs="manifest.json")
    put(url, {remote.UNFINISHED: b"{}"})
    with pytest.raises(ValueError, match="must be uploaded whole"):
        remote_copies.local(url, "--x")
    assert not gets()


def test_a_disk_that_is_too_small_is_refused(url, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=5)
    )
    with pytest.raises(ValueError, match="8 bytes, and 5 free .* XDG_CACHE"):
        remote_copies.local(url, "--x")
    assert not gets()
