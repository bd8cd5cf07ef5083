"""Labelling: shared by processes, resumed, refused."""

import contextlib
import json
import pathlib
import shutil

import nets
import numpy as np
import pytest
import stores
import tensorflow as tf
from example_sets import PngReader

import kd_keras
from kd_keras import store
from kd_keras.data import augmentation as views
from kd_keras.data import datasets
from kd_keras.store import manifest as manifests
from kd_keras.utils import files, locks


def test_the_shards_are_arrays_to_map_into_memory(written):
    shard = np.load(written / "train-00001-of-00003.npy", mmap_mode="r")
    assert shard.shape == (stores.VIEWS, 500, nets.NUM_CLASSES)
    assert shard.dtype == np.float32


@pytest.mark.slow
@pytest.mark.parametrize(
    "order", [(0, 1), pytest.param((1, 0), marks=pytest.mark.slow)]
)
def test_two_processes_write_the_bytes_of_one(
    written, parts, teacher, tmp_path, order
):
    first, second = order
    assert not stores.write(tmp_path, parts, teacher, shard=first, num_shards=2)
    with pytest.raises(ValueError, match="finished.*with 2 of 4 tasks left"):
        kd_keras.LogitStore.open(tmp_path)
    assert stores.write(tmp_path, parts, teacher, shard=second, num_shards=2)
    assert stores.contents(tmp_path) == stores.contents(written)


def test_processes_that_begin_at_once_need_the_same_plan(
    parts, teacher, tmp_path, monkeypatch
):
    holding = locks.holding

    @contextlib.contextmanager
    def later(directory, **options):
        with holding(directory, **options):
            other = stores.plan(parts, dtype="float16")
            files.write_json(tmp_path / "manifest.json", other)
            yield

    monkeypatch.setattr(locks, "holding", later)
    with pytest.raises(ValueError, match=r"store\.dtype \(was 'float16'"):
        stores.write(tmp_path, parts, teacher)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.slow
def test_an_interrupted_store_resumes_at_its_shard(
    written, parts, teacher, tmp_path
):
    asked = []

    def interrupted(images):
        # Within the second shard of 500 examples, 3 views.
        tf.py_function(lambda: asked.append(1) or fail_at(4), [], [])
        return teacher(images)

    def fail_at(call):
        if len(asked) == call + 1:
            raise RuntimeError("interrupted")

    with pytest.raises(tf.errors.UnknownError, match="interrupted"):
        stores.write(tmp_path, parts, interrupted)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "train-00000-of-00003.npy" in names
    assert "train-00001-of-00003.npy" not in names
    asked = [0] * 10
    assert stores.write(tmp_path, parts, interrupted)
    # Two shards of train and one of test are left: 3 + 3 + 1 batches.
    assert len(asked) == 10 + 7
    assert stores.contents(tmp_path) == stores.contents(written)
    # A finished store needs no prediction.
    assert stores.write(tmp_path, parts, interrupted)
    assert len(asked) == 10 + 7


def counting(teacher):
    """The teacher, and a list that grows with each batch that it predicts."""
    asked = []

    def teacher_that_counts(images):
        tf.py_function(lambda: asked.append(1), [], [])
        return teacher(images)

    return teacher_that_counts, asked


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip, pathlib.Path.unlink])
def test_only_damaged_files_are_written_again(
    written, parts, teacher, tmp_path, damage
):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    for name in ("train-00002-of-00003.npy", "train-ids.npy"):
        damage(tmp_path / name)
    counted, asked = counting(teacher)
    assert stores.write(tmp_path, parts, counted)
    # The 200 examples of the shard, 3 views.
    assert len(asked) == 3
    assert stores.contents(tmp_path) == stores.contents(written)


@pytest.mark.slow
def test_each_process_repairs_its_own_files(written, parts, teacher, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    for index in (0, 1):
        flip(tmp_path / f"train-0000{index}-of-00003.npy")
    assert not stores.write(tmp_path, parts, teacher, shard=0, num_shards=2)
    assert stores.write(tmp_path, parts, teacher, shard=1, num_shards=2)
    assert stores.contents(tmp_path) == stores.contents(written)


@pytest.mark.slow
def test_tasks_that_others_have_finished_are_not_done_again(
    parts, teacher, tmp_path
):
    asked = []

    def outputs_of(name, positions):
        asked.append((name, positions[0]))
        if len(asked) == 1:
            # Others do all tasks, also this one, and finish the store.
            assert stores.write(tmp_path, parts, teacher)
        return by_teacher(name, positions)

    manifest = stores.plan(parts)
    by_teacher = store.predicting(manifest, parts, teacher)
    assert store.write(tmp_path, manifest, parts, outputs_of)
    assert asked == [("train", 0)]
    assert manifests.is_complete(manifests.read(tmp_path))


@pytest.mark.slow
def test_an_unfinished_store_is_repaired_too(written, parts, teacher, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    manifest = manifests.read(tmp_path)
    del manifest["checksums"]["test-00000-of-00001.npy"]
    manifests.write(tmp_path, manifest)
    flip(tmp_path / "train-00002-of-00003.npy")
    counted, asked = counting(teacher)
    assert stores.write(tmp_path, parts, counted)
    assert len(asked) == 3 + 1
    assert stores.contents(tmp_path) == stores.contents(written)


@pytest.mark.slow
def test_an_unfinished_store_of_version_0_2_is_continued(
    written, parts, teacher, tmp_path
):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "manifest.json"
    record = json.loads(path.read_text())
    del record["sha256"]
    path.write_text(json.dumps({**record, "checksums": None}))
    with pytest.raises(ValueError, match="finished.*with 4 of 4 tasks left"):
        kd_keras.LogitStore.open(tmp_path)
    cut(tmp_path / "train-00002-of-00003.npy")
    counted, asked = counting(teacher)
    assert stores.write(tmp_path, parts, counted)
    assert len(asked) == 3
    assert stores.contents(tmp_path) == stores.contents(written)


@pytest.mark.slow
def test_an_encoded_set_gives_the_store_of_one_in_memory(
    written, parts, teacher, tmp_path
):
    whole = parts["train"]
    images = np.zeros((whole.ids.max() + 1, *whole.image_shape), "uint8")
    images[whole.ids] = whole.images
    encoded = datasets.Examples(PngReader(images), ids=whole.ids)
    assert stores.write(tmp_path, {"train": encoded}, teacher)
    for name, content in stores.contents(tmp_path).items():
        if name != "manifest.json":
            assert content == stores.contents(written)[name], name


@pytest.mark.slow
@pytest.mark.parametrize("spec", [{"mixup": 0.6}, {"cutmix": 0.6}])
def test_mixed_views_are_stored_as_the_teacher_saw_them(
    parts, teacher, tmp_path, spec
):
    spec = views.ViewSpec(seed=1, translate=1, **spec)
    stores.write(tmp_path, parts, teacher, spec=spec)
    ids = parts["train"].ids[::3]
    np.testing.assert_allclose(
        kd_keras.LogitStore.open(tmp_path).logits(ids, 1),
        stores.live_logits(teacher, parts["train"], ids, 1, spec),
        atol=1e-4,
    )


@pytest.mark.slow
def test_crops_and_colours_are_stored_as_the_teacher_saw_them(
    parts, teacher, tmp_path
):
    """From memory and from encoded images alike."""
    spec = views.ViewSpec(
        seed=1,
        crop_scale=(0.2, 1.0),
        mirror="random",
        contrast=0.4,
        blur=0.5,
        blur_sigma=(0.1, 1.0),
        erasing=0.5,
    )
    train = parts["train"].subset(np.arange(120))
    images = np.zeros((train.ids.max() + 1, *train.image_shape), "uint8")
    images[train.ids] = train.images
    written = []
    for name, examples in {
        "memory": train,
        "encoded": datasets.Examples(PngReader(images), ids=train.ids),
    }.items():
        path = tmp_path / name
        stores.write(path, {"train": examples}, teacher, spec=spec)
        opened = kd_keras.LogitStore.open(path)
        written.append(opened.logits(train.ids[::3], 1))
        np.testing.assert_allclose(
            written[-1],
            stores.live_logits(teacher, examples, train.ids[::3], 1, spec),
            atol=1e-4,
        )
    np.testing.assert_array_equal(*written)


@pytest.mark.slow
def test_a_bar_shows_the_rate_and_the_time_that_is_left(
    parts, teacher, tmp_path, capsys
):
    manifest = stores.plan(parts, views_count=1)
    store.label(tmp_path, manifest, parts, teacher, verbose=1)
    shown = capsys.readouterr().out
    # 1,200 training images and 50 test images.
    assert "1250/1250" in shown and "views_per_second" in shown
    assert "s/view" in shown


@pytest.mark.slow
def test_logits_that_do_not_fit_are_refused(parts, teacher, tmp_path):
    def large(images):
        return teacher(images) * 1e6

    with pytest.raises(ValueError, match="fit float16 .*store.dtype=float32"):
        stores.write(tmp_path / "a", parts, large, dtype="float16")
    with pytest.raises(ValueError, match="a logit for each class.*: 4 logits"):
        stores.write(tmp_path / "b", parts, lambda x: teacher(x)[:, :4])
