"""Tasks of a store: numbered, repeatable, in any order and any process."""

import json

import pytest
import stores
import tensorflow as tf
from example_sets import PngReader

import kd_keras
from kd_keras import store
from kd_keras.data import datasets
from kd_keras.store import manifest as manifests
from kd_keras.store import places, tasks
from kd_keras.utils import locks


@pytest.fixture
def begun(tmp_path, parts, teacher):
    """A directory with a plan: `(directory, manifest, outputs_of)`."""
    directory = places.Directory(tmp_path)
    manifest = directory.begin(stores.plan(parts), parts)
    return directory, manifest, store.predicting(manifest, parts, teacher)


def refuse(name, positions):
    raise AssertionError("the teacher was asked")


def test_tasks_are_numbered_over_all_parts(begun):
    _, manifest, _ = begun
    found = tasks.all_tasks(manifest)
    assert [(t.number, t.part, t.positions, t.views) for t in found] == [
        (0, "train", range(500), 1500),
        (1, "train", range(500, 1000), 1500),
        (2, "train", range(1000, 1200), 600),
        (3, "test", range(50), 50),
    ]
    assert found[1].files == ("train-00001-of-00003.npy",)
    assert tasks.count(manifest) == 4
    assert [tasks.find(manifest, number) for number in range(4)] == found
    for number in (4, -1):
        with pytest.raises(ValueError, match=f"to 3, .* Received: {number}"):
            tasks.find(manifest, number)


@pytest.mark.slow
def test_tasks_in_any_order_and_repeated_write_the_same_bytes(begun, written):
    directory, manifest, outputs_of = begun
    left = []
    for number in (3, 1, 2, 1, 0):
        task = tasks.find(manifest, number)
        checksums = tasks.run(directory, manifest, task, outputs_of)
        # A repeated task is only compared with its checksums.
        again = tasks.run(directory, manifest, task, refuse)
        assert again == checksums and list(checksums) == list(task.files)
        left.append(directory.finish())
    assert left == [3, 2, 1, 1, 0]
    assert stores.contents(directory.path) == stores.contents(written)
    assert manifests.is_complete(manifests.read(directory.path))


def test_no_task_writes_the_plan_again(begun):
    """With 20,000 files, that would take longer than the labelling."""
    directory, manifest, outputs_of = begun
    plan = directory.path / "plan.json"
    before = plan.read_bytes(), plan.stat().st_mtime_ns
    tasks.run(directory, manifest, tasks.find(manifest, 3), outputs_of)
    assert (plan.read_bytes(), plan.stat().st_mtime_ns) == before
    record = directory.path / "test-00000-of-00001.json"
    assert list(json.loads(record.read_text())["checksums"]) == [
        "test-00000-of-00001.npy"
    ]


def test_the_error_about_an_unfinished_store_counts_what_is_left(begun):
    directory, manifest, outputs_of = begun
    tasks.run(directory, manifest, tasks.find(manifest, 3), outputs_of)
    with pytest.raises(ValueError, match="finished.*with 3 of 4 tasks left"):
        kd_keras.LogitStore.open(directory.path)


@pytest.mark.slow
def test_a_damaged_record_is_that_of_a_task_to_do(begun, written):
    directory, manifest, outputs_of = begun
    for task in tasks.all_tasks(manifest):
        tasks.run(directory, manifest, task, outputs_of)
    record = directory.path / "test-00000-of-00001.json"
    record.write_text(record.read_text().replace("checksums", "checksum"))
    assert directory.finish() == 1
    tasks.run(directory, manifest, tasks.find(manifest, 3), outputs_of)
    assert directory.finish() == 0
    assert stores.contents(directory.path) == stores.contents(written)


@pytest.mark.slow
def test_a_task_reads_its_own_examples_alone(parts, teacher, tmp_path):
    class Recording(PngReader):
        def encoded(self, ids):
            shape = ids.shape
            ids = tf.numpy_function(self.record_ids, [ids], tf.int64)
            return super().encoded(tf.ensure_shape(ids, shape))

        def record_ids(self, ids):
            seen.update(ids.tolist())
            return ids

    seen = set()
    train = datasets.Examples(Recording(parts["train"].images[:600]))
    directory = places.Directory(tmp_path)
    manifest = directory.begin(stores.plan({"train": train}), {"train": train})
    outputs_of = store.predicting(manifest, {"train": train}, teacher)
    seen.clear()
    tasks.run(directory, manifest, tasks.find(manifest, 1), outputs_of)
    assert seen == set(range(500, 600))


@pytest.mark.slow
def test_a_store_that_was_begun_by_version_0_3_is_continued(
    begun, written, parts, teacher
):
    """That version kept an unfinished store's checksums in its manifest."""
    directory, manifest, outputs_of = begun
    task = tasks.find(manifest, 0)
    checksums = tasks.run(directory, manifest, task, outputs_of)
    (directory.path / task.record).unlink()
    known = {**manifest["checksums"], **checksums}
    old = {**manifest, "checksums": known}
    manifests.write(directory.path, old)
    (directory.path / "plan.json").rename(directory.path / "manifest.json")
    assert tasks.run(directory, manifests.read(directory.path), task, refuse)
    assert stores.write(directory.path, parts, teacher)
    assert stores.contents(directory.path) == stores.contents(written)


@pytest.mark.slow
def test_a_damaged_store_is_unfinished_until_all_is_repaired(
    begun, parts, teacher
):
    directory, manifest, _ = begun
    assert stores.write(directory.path, parts, teacher)
    file = directory.path / "train-00001-of-00003.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    manifest = manifests.read(directory.path)
    assert [t.number for t in tasks.left(directory, manifest)] == [1]
    assert directory.count_left(manifests.read(directory.path)) == 1
    with pytest.raises(ValueError, match="must be finished"):
        kd_keras.LogitStore.open(directory.path)


def test_repairing_forgets_no_task_that_another_process_may_just_end(begun):
    directory, manifest, outputs_of = begun
    done = tasks.find(manifest, 1)
    tasks.run(directory, manifest, done, outputs_of)
    (directory.path / done.files[0]).unlink()
    forgotten = []
    directory.forget = forgotten.extend
    assert [t.number for t in tasks.left(directory, manifest)] == [0, 1, 2, 3]
    assert [task.number for task in forgotten] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("finished", [True, False])
def test_repairing_forgets_no_task_that_another_process_has_repaired(
    begun, finished
):
    directory, manifest, outputs_of = begun
    chosen = tasks.all_tasks(manifest)[: None if finished else 2]

    def run():
        for task in chosen:
            tasks.run(directory, manifest, task, outputs_of)
        return directory.finish()

    left = run()
    file = directory.path / chosen[1].files[0]
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    forget = directory.forget

    def repaired_meanwhile(damaged):
        assert forget(damaged) == [chosen[1]]
        assert run() == left
        assert forget(damaged) == []

    directory.forget = repaired_meanwhile
    tasks.left(directory, manifests.read(directory.path))
    assert directory.count_left(manifests.read(directory.path)) == left


def test_a_finished_store_has_no_locks_of_processes_that_were_killed(begun):
    directory, manifest, outputs_of = begun
    left = directory.path / ".kd_keras-lock-0-of-3"
    left.touch()
    with locks.holding(directory.path, part="1-of-3"):
        for task in tasks.all_tasks(manifest):
            tasks.run(directory, manifest, task, outputs_of)
        assert directory.finish() == 0
        held = list(filter(locks.is_lock, directory.path.iterdir()))
        assert [path.name for path in held] == [".kd_keras-lock-1-of-3"]


def test_removing_a_store_removes_the_records_of_its_tasks(begun):
    directory, manifest, outputs_of = begun
    tasks.run(directory, manifest, tasks.find(manifest, 3), outputs_of)
    (directory.path / "mine.json").write_text("{}")
    store.remove(directory.path)
    assert [x.name for x in directory.path.iterdir()] == ["mine.json"]
