"""Labelling into an object store: by several processes, and resumed."""

import contextlib

import nets
import numpy as np
import pytest
import stores
from object_store import STORE, names, put, puts, read

import kd_keras
from kd_keras import store
from kd_keras.data import datasets
from kd_keras.store import manifest, remote_place
from kd_keras.utils import locks, remote_copies

URL = "gs://bucket/run/store"


def logits(part, positions, view):
    """Logits of examples that tell their view: float32 `(n, classes)`."""
    values = np.arange(nets.NUM_CLASSES, dtype="float32")
    return values + np.float32(1000 * view) + positions[:, None] % 500


def outputs_of(part, positions):
    """The outputs of a teacher that needs no images."""
    for batch in np.array_split(positions, range(500, len(positions), 500)):
        for view in range(stores.VIEWS if part == "train" else 1):
            yield view, [logits(part, batch, view)]


def write_to(path, parts, *, record="abc", outputs_of=outputs_of, **options):
    plan = stores.plan(parts, teacher={"fingerprint": record})
    return store.write(path, plan, parts, outputs_of, **options)


def write(parts, **options):
    """Labels as a separate process would; whether the store is finished."""
    with remote_place.staged("gs://bucket/run") as workdir:
        return write_to(workdir / "store", parts, **options)


@pytest.fixture(scope="module")
def small():
    """Parts of three files: 500, 100 and 50 examples."""
    examples = datasets.Examples(np.zeros((700, 2, 2, 1), "uint8"))
    return {
        "train": examples.subset(np.arange(600)),
        "test": examples.subset(np.arange(650, 700)),
    }


@pytest.fixture(scope="module")
def local(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    write_to(path, small)
    return path


def fail_at(end, operation="put"):
    def fail(done, path):
        if done == operation and path.endswith(end):
            raise ConnectionResetError("reset by peer")

    STORE.fail = fail


def test_a_remote_store_has_the_bytes_of_a_local_one(small, local, bucket):
    assert write(small)
    found = {path.name: path.read_bytes() for path in local.iterdir()}
    assert {name: read(f"{URL}/{name}") for name in names(URL)} == found
    assert puts()[0] == manifest.PLAN and puts()[-1] == manifest.NAME
    # Nothing remains here, and a second labelling has nothing to do.
    assert not list((remote_copies.root() / "stages").glob("*"))
    STORE.done.clear()
    assert write(small, outputs_of=pytest.fail)
    assert not puts()


def test_an_interrupted_labelling_goes_on(small, local, bucket):
    fail_at("train-00001-of-00002.npy")
    with pytest.raises(ValueError, match="reset by peer"):
        write(small)
    STORE.fail = None
    assert manifest.NAME not in names(URL)
    with pytest.raises(ValueError, match="must have manifest.json"):
        kd_keras.LogitStore.open(URL)
    STORE.done.clear()
    assert write(small)
    assert "train-00000-of-00002.npy" not in puts()
    ids = small["train"].ids
    np.testing.assert_array_equal(
        kd_keras.LogitStore.open(URL).logits(ids, 1),
        kd_keras.LogitStore.open(local).logits(ids, 1),
    )


def test_the_last_of_several_processes_finishes(small, bucket):
    assert not write(small, shard=1, num_shards=2)
    assert manifest.NAME not in names(URL)
    assert write(small, shard=0, num_shards=2)
    assert manifest.NAME in names(URL)


@pytest.mark.parametrize("change", ["lost", "cut"])
def test_objects_that_are_lost_or_cut_are_written_again(small, bucket, change):
    write(small)
    path = "bucket/run/store/train-00001-of-00002.npy"
    contents = read(f"gs://{path}")
    if change == "lost":
        del STORE.objects[path]
    else:
        STORE.write(path, contents[:-1])
    STORE.done.clear()
    assert write(small)
    assert read(f"gs://{path}") == contents
    assert "train-00000-of-00002.npy" not in puts()
    kd_keras.LogitStore.open(URL).logits(small["train"].ids)


def test_an_object_that_another_process_has_repaired_is_kept(
    small, bucket, monkeypatch
):
    write(small)
    path = "bucket/run/store/train-00001-of-00002.npy"
    STORE.write(path, read(f"gs://{path}")[:-1])
    forget, calls = remote_place.RemotePlace.forget, []

    def after_another(self, damaged):
        calls.append(damaged)
        if len(calls) == 1:
            assert write(small)
            forget(self, damaged)
            assert {manifest.NAME, "train-00001-of-00002.npy"} <= set(
                names(URL)
            )
        else:
            forget(self, damaged)

    monkeypatch.setattr(remote_place.RemotePlace, "forget", after_another)
    assert write(small)
    assert len(calls) == 2


def test_other_stores_and_other_objects_are_refused(small, bucket):
    put(URL, {"theirs": b"x"})
    with pytest.raises(ValueError, match="new or empty directory.*theirs"):
        write(small)
    assert [*STORE.objects] == ["bucket/run/store/theirs"]
    STORE.clear()
    write(small)
    before = dict(STORE.objects)
    with pytest.raises(ValueError, match="Differing: teacher.fingerprint"):
        write(small, record="other")
    assert STORE.objects == before


def test_a_bucket_that_is_not_there_is_refused(small, bucket):
    with (
        pytest.raises(ValueError, match="is there such a bucket"),
        remote_place.staged("gs://other/run"),
    ):
        raise AssertionError
    with contextlib.suppress(ValueError), remote_place.staged("file:///x"):
        raise AssertionError
    assert not list(remote_copies.root().glob("*"))


def test_a_folder_of_another_program_is_no_stage(tmp_path):
    (tmp_path / "stage.json").write_text('{"url": "gs://bucket/theirs"}')
    assert remote_place.url_of(tmp_path / "store") is None
    assert not locks.is_lock(tmp_path)
