"""Paths of object stores: the supported ones, and errors."""

import pathlib
import sys
import threading

import pytest
from object_store import STORE, names, put, read

from kd_keras.utils import object_stores, remote


@pytest.mark.parametrize(
    "path",
    ["gs://b", "s3://b/c d", "az://b/c/", pathlib.Path("gs://b/c"), "gs:/b/c"],
    ids=str,
)
def test_urls_of_object_stores_are_remote(path):
    assert remote.is_remote(path)
    remote.check(path, "--x")
    with pytest.raises(ValueError, match="--x must be on local disk"):
        remote.check_local(path, "--x")


@pytest.mark.parametrize(
    "path",
    [
        "runs/gs",
        "C:\\runs",
        "C:/runs",
        "a/b://c",
        "./gs://b",
        "module:function",
        "keras_hub:hf://name",
        b"gs://b",
        pathlib.Path("a://b").name,
        "",
    ],
    ids=repr,
)
def test_other_paths_are_local(path):
    assert not remote.is_remote(path)
    remote.check_local(path, "--x")


@pytest.mark.parametrize(
    "path", ["file:///tmp", "https://host/x", "hdfs://b", "GS://b", "gcs://b"]
)
def test_other_schemes_are_refused(path):
    with pytest.raises(ValueError, match="must be a local path or start with"):
        remote.check(path, "--x")


def test_a_local_file_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory:").mkdir()
    remote.check_local("memory://", "--x")


@pytest.mark.parametrize("path", ["gs:///", "s3:///labels"])
def test_a_bucket_is_needed(path):
    with pytest.raises(ValueError, match="must name a bucket"):
        remote.check(path, "--x")


def test_objects_are_listed_below_a_path_alone(bucket):
    put(bucket, {"a/1": b"1", "a/b/2": b"22", "ab": b"3", "a.txt": b"4"})
    assert names(f"{bucket}/a") == ["1", "b/2"]
    assert [*remote.objects(f"{bucket}/a", deep=False)] == ["1"]
    assert remote.objects(f"{bucket}/ab")["ab"].size == 1
    assert remote.is_object(f"{bucket}/ab")
    assert not remote.is_object(f"{bucket}/a")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a//x"])
def test_names_that_leave_the_directory_are_refused(bucket, name):
    put(f"{bucket}/a", {name: b""})
    with pytest.raises(ValueError, match="relative paths"):
        remote.objects(f"{bucket}/a")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(ValueError, match=r"adlfs must be .*\[cloud\]"):
        remote.objects("az://container/x")


def test_a_missing_bucket_is_refused_before_anything_is_written(
    bucket,
):
    with pytest.raises(ValueError, match="is there such a bucket"):
        remote.check_writable("gs://another/x")
    remote.check_writable(f"{bucket}/x")
    assert not STORE.objects


@pytest.mark.parametrize(
    "error, match",
    [
        (PermissionError("Forbidden"), "gcloud auth application-default"),
        (OSError(110, "Connection timed out"), "resumes once it can"),
        (Exception("two\nlines"), r"\(Exception: two\)"),
    ],
    ids=["denied", "away", "other"],
)
def test_a_failing_store_is_one_line(bucket, error, match):
    def fail(operation, path):
        raise error

    STORE.fail = fail
    with pytest.raises(ValueError, match=match) as caught:
        remote.objects(f"{bucket}/x")
    assert "\n" not in str(caught.value)


def test_a_store_without_an_answer_is_given_up(bucket, monkeypatch, caplog):
    ends = threading.Event()
    monkeypatch.setattr(object_stores, "_QUIET_SECONDS", 0.01)
    monkeypatch.setattr(object_stores, "_CONTACT_SECONDS", 0.02)
    STORE.fail = lambda operation, path: ends.wait()
    caplog.set_level("INFO", "kd_keras")
    with pytest.raises(ValueError, match="no answer"):
        remote.objects(f"{bucket}/x")
    ends.set()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{bucket}/x: waits up to ")


def test_files_are_uploaded_whole(bucket, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"bytes")
    remote.upload(tmp_path, f"{bucket}/x", ["a/b"])
    assert read(f"{bucket}/x/a/b") == b"bytes"
    remote.delete(f"{bucket}/x", ["a/b", "not there"])
    assert not STORE.objects


def test_an_upload_of_another_size_is_refused(
    bucket,
    tmp_path,
    monkeypatch,
):
    (tmp_path / "file").write_bytes(b"bytes")
    monkeypatch.setattr(
        STORE, "write", lambda path, x: STORE.objects.update({path: (x[:2], 1)})
    )
    with pytest.raises(ValueError, match="2 of 5 bytes"):
        remote.upload(tmp_path, f"{bucket}/x", ["file"])
