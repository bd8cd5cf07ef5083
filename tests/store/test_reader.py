"""Reading a store: by id and view, checked, in little memory."""

import json
import pathlib
import shutil

import nets
import numpy as np
import pytest
import stores
import tensorflow as tf

import kd_keras
from kd_keras.data import augmentation as views
from kd_keras.data import datasets
from kd_keras.utils import command_line, digests, records


def test_stored_logits_are_those_of_the_live_teacher(written, parts, teacher):
    opened = kd_keras.LogitStore.open(written)
    assert (opened.views, opened.num_classes) == (
        stores.VIEWS,
        nets.NUM_CLASSES,
    )
    ids = np.random.default_rng(0).permutation(parts["train"].ids)[:700]
    seen = []
    for view in range(stores.VIEWS):
        stored = opened.logits(ids, view)
        assert stored.dtype == np.float32
        np.testing.assert_allclose(
            stored,
            stores.live_logits(teacher, parts["train"], ids, view),
            atol=1e-4,
        )
        seen.append(stored)
    # The views do differ, so that one cannot stand for another.
    assert np.abs(seen[0] - seen[1]).mean() > 0.01
    # Test images are stored without augmentation.
    test = parts["test"]
    np.testing.assert_allclose(
        opened.logits(test.ids, part="test"), teacher(test.images), atol=1e-4
    )


@pytest.mark.slow
def test_views_without_an_augmentation_of_the_store_are_refused(
    parts, teacher, tmp_path
):
    few = {"train": parts["train"].subset(np.arange(20))}
    spec = views.ViewSpec(translate=1, erasing=0.5)
    stores.write(tmp_path, few, teacher, spec=spec, views_count=1)
    opened = kd_keras.LogitStore.open(tmp_path)
    opened.check(spec=spec.record())
    other = views.ViewSpec(translate=1)
    words = r"Differing: data.augment.erasing \(was 0.5, is 0.0\); spec.steps"
    with pytest.raises(ValueError, match=words) as error:
        opened.check(spec=other.record())
    assert "remove" not in str(error.value)


def test_unknown_ids_views_and_parts_are_refused(written):
    opened = kd_keras.LogitStore.open(written)
    with pytest.raises(ValueError, match="ids .* Received: 601 and 1 more"):
        opened.logits([0, 601, 4000])
    with pytest.raises(ValueError, match="view must be >= 0 and < 3.*: 3"):
        opened.logits([0], 3)
    with pytest.raises(ValueError, match="one of train, test.*'validation'"):
        opened.logits([0], part="validation")


def test_ids_may_be_in_any_order(parts, teacher, tmp_path):
    images = parts["train"].images[:300]
    ids = np.random.default_rng(2).permutation(300) * 7
    examples = datasets.Examples(images, ids=ids)
    plain = views.ViewSpec()
    stores.write(
        tmp_path, {"train": examples}, teacher, spec=plain, views_count=1
    )
    opened = kd_keras.LogitStore.open(tmp_path)
    chosen = [250, 3, 17]
    np.testing.assert_allclose(
        opened.logits(ids[chosen]), teacher(images[chosen]), atol=1e-4
    )


def test_no_ids_have_no_rows_and_others_are_whole_numbers(written):
    # A replica of many may have no row of a batch.
    opened = kd_keras.LogitStore.open(written)
    outputs = opened.lookup(tf.constant([], tf.int64))
    assert outputs.logits.shape == (0, nets.NUM_CLASSES)
    assert opened.logits([]).shape == (0, nets.NUM_CLASSES)
    with pytest.raises(ValueError, match="whole numbers. Received: float64"):
        opened.logits([0.5])
    with pytest.raises(ValueError, match=r"such as \[7\].*shape \(\)"):
        opened.logits(7)


def test_a_dataset_without_batches_of_ids_is_refused(written):
    opened = kd_keras.LogitStore.open(written)
    ids, images = np.arange(2), np.zeros((2, 8, 8, 1))
    whole = tf.data.Dataset.from_tensors((ids, images))
    for dataset in (
        whole.unbatch(),
        whole.map(lambda ids, images: images),
        whole.map(lambda ids, images: (images, ids)),
        whole.map(lambda ids, images: {"ids": ids, "images": images}),
    ):
        with pytest.raises(ValueError, match="have batches .ids, images.*Rec"):
            opened.attach(dataset)


def test_a_store_is_opened_by_the_path_of_its_directory(written):
    with pytest.raises(ValueError, match="the directory .*json, a file"):
        kd_keras.LogitStore.open(written / "manifest.json")
    with pytest.raises(ValueError, match="a str or a path. Received: None"):
        kd_keras.LogitStore.open(None)


def test_a_damaged_file_is_named_when_it_is_first_used(
    written, parts, tmp_path
):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    shard = tmp_path / "train-00001-of-00003.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    opened = kd_keras.LogitStore.open(tmp_path)
    ids = parts["train"].ids
    opened.logits(ids[:500])
    opened.logits(ids[1000:])
    for _ in range(2):
        with pytest.raises(
            ValueError, match="00001-of-00003.npy, which is damaged.*label"
        ):
            opened.logits(ids[498:502])
    trusted = kd_keras.LogitStore.open(tmp_path, verify=False)
    assert trusted.logits(ids[500:501]).shape == (1, 5)
    # In a pipeline, the line is part of TensorFlow's message.
    batches = opened.attach(tf.data.Dataset.from_tensors((ids, ids)))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        next(iter(batches))
    line = command_line.one_line(caught.value)
    assert line.startswith("a logit store's files must be as they were written")
    assert line.endswith("the same `kd-keras label` writes it again")
    # A repaired store is opened again, a removed file is missed.
    shard.write_bytes((written / shard.name).read_bytes())
    opened.logits(ids)


@pytest.mark.parametrize(
    "damage, reason",
    [
        (pathlib.Path.unlink, "is missing"),
        (lambda path: path.write_bytes(b""), "is damaged .its size differs"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["train-00001-of-00003.npy", "train-ids.npy"])
def test_missing_and_cut_files_are_named_when_a_store_is_opened(
    written, tmp_path, name, damage, reason
):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}, which {reason}.*label"):
        kd_keras.LogitStore.open(tmp_path)


@pytest.mark.parametrize("finished", [True, False])
def test_a_store_of_an_earlier_version_is_read_and_continued(
    written, parts, teacher, tmp_path, finished
):
    """It has files of ids even for ranges, and a manifest from the start."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    record = json.loads((written / "manifest.json").read_text())
    del record["sha256"]
    for name, part in record["parts"].items():
        del part["ids"]
        file = tmp_path / f"{name}-ids.npy"
        np.save(file, parts[name].ids)
        record["checksums"][file.name] = digests.sha256_of_file(file)
    ids = parts["test"].ids[::-7]
    if not finished:
        del record["checksums"]["test-00000-of-00001.npy"]
    (tmp_path / "manifest.json").write_text(json.dumps(records.sealed(record)))
    if not finished:
        with pytest.raises(ValueError, match="with 1 of 4 tasks left"):
            kd_keras.LogitStore.open(tmp_path)
    assert stores.write(tmp_path, parts, teacher)
    opened = kd_keras.LogitStore.open(tmp_path)
    expected = kd_keras.LogitStore.open(written)
    np.testing.assert_array_equal(
        opened.logits(ids, part="test"), expected.logits(ids, part="test")
    )
    with pytest.raises(ValueError, match="Received: 1249 and 0 more"):
        opened.logits([1249], part="test")


def test_a_damaged_manifest_is_refused(written, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    del record["sha256"]
    newer = records.sealed({**record, "format": 99})
    manifest.write_text(json.dumps(newer))
    with pytest.raises(ValueError, match="must be of format 1.*format 99"):
        kd_keras.LogitStore.open(tmp_path)
    manifest.write_text("{")
    with pytest.raises(
        ValueError, match="manifest.json .it is no JSON.*label into"
    ):
        kd_keras.LogitStore.open(tmp_path)
    with pytest.raises(ValueError, match="without manifest.json"):
        kd_keras.LogitStore.open(tmp_path / "nothing")


@pytest.mark.slow
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/smaps").exists(), reason="needs Linux's /proc"
)
def test_reading_all_of_a_store_does_not_fill_the_memory(tmp_path):
    """Of 40 MB that are read, half at most stays in the process."""
    examples = datasets.Examples(np.zeros((100_000, 1, 1, 1), "uint8"))
    stores.write(
        tmp_path,
        {"train": examples},
        lambda images: tf.zeros((tf.shape(images)[0], 100)),
        num_classes=100,
        views_count=2,
        dtype="float16",
        spec=views.ViewSpec(),
        shard_views=10**6,
    )
    opened = kd_keras.LogitStore.open(tmp_path)
    order = np.random.default_rng(0).permutation(100_000)
    for view in range(2):
        for start in range(0, 100_000, 500):
            opened.logits(order[start : start + 500], view)
    smaps = pathlib.Path("/proc/self/smaps").read_text()
    mapped = smaps[smaps.index("train-00000-of-00001.npy") :]
    fields = dict(line.split(":", 1) for line in mapped.splitlines()[1:5])
    assert int(fields["Size"].split()[0]) > 39_000
    assert int(fields["Rss"].split()[0]) < 25_000
