"""The logit store: what is read is what the teacher said of that view."""

import json
import pathlib
import re

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras import store
from kd_keras.data import augmentation as views
from kd_keras.data import datasets, pipeline
from kd_keras.store import answers

SPEC = views.ViewSpec(seed=5, translate=2, mirror="random", cutout=2)
VIEWS = 3


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(3)
    return nets.make_network(units=32)


@pytest.fixture(scope="module")
def parts():
    images = nets.make_images(1300).astype("uint8")
    examples = datasets.Examples(images)
    # Ids with gaps, as those of a split are.
    return {
        "train": examples.subset(np.arange(0, 1200) + (np.arange(1200) > 600)),
        "test": examples.subset(np.arange(1250, 1300)),
    }


def plan(parts, **options):
    fields = {
        "teacher": {"fingerprint": "abc"},
        "num_classes": nets.NUM_CLASSES,
        "spec": SPEC,
        "views_count": VIEWS,
        "dtype": "float32",
        # Three shards: 500, 500 and 200 examples.
        "shard_views": 1500,
    }
    return store.plan(parts, **{**fields, **options})


def write(
    path, parts, teacher, *, shard=0, num_shards=1, record=None, **options
):
    if record:
        options["teacher"] = record
    manifest = plan(parts, **options)
    return store.label(
        path, manifest, parts, teacher, shard=shard, num_shards=num_shards
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory, parts, teacher):
    path = tmp_path_factory.mktemp("store")
    assert write(path, parts, teacher)
    return path


def said_of(teacher, examples, ids, view, spec=SPEC):
    """The live teacher's logits for a view of the examples with these ids."""
    images = examples.subset(np.searchsorted(examples.ids, ids)).images
    return teacher(
        pipeline.make_views(
            examples,
            tf.constant(images),
            tf.constant(ids),
            view=view,
            spec=spec,
        )
    ).numpy()


def contents(path):
    return {
        file.name: file.read_bytes()
        for file in pathlib.Path(path).iterdir()
        if file.is_file()
    }


def test_what_is_stored_is_what_the_teacher_said_of_that_view(
    written, parts, teacher
):
    opened = kd_keras.LogitStore.open(written)
    assert (opened.views, opened.num_classes) == (VIEWS, nets.NUM_CLASSES)
    ids = np.random.default_rng(0).permutation(parts["train"].ids)[:700]
    seen = []
    for view in range(VIEWS):
        stored = opened.logits(ids, view)
        assert stored.dtype == np.float32
        np.testing.assert_allclose(
            stored, said_of(teacher, parts["train"], ids, view), atol=1e-4
        )
        seen.append(stored)
    # The views do differ, so that one cannot stand for another.
    assert np.abs(seen[0] - seen[1]).mean() > 0.01
    # The test pictures are stored as they are.
    test = parts["test"]
    np.testing.assert_allclose(
        opened.logits(test.ids, part="test"), teacher(test.images), atol=1e-4
    )


def test_float16_is_the_same_rounded(written, parts, teacher, tmp_path):
    write(tmp_path, parts, teacher, dtype="float16")
    ids = parts["train"].ids
    exact = kd_keras.LogitStore.open(written).logits(ids, 1)
    np.testing.assert_array_equal(
        kd_keras.LogitStore.open(tmp_path).logits(ids, 1),
        exact.astype("float16").astype("float32"),
    )


def test_the_shards_are_arrays_to_map_into_memory(written):
    shard = np.load(written / "train-00001-of-00003.npy", mmap_mode="r")
    assert shard.shape == (VIEWS, 500, nets.NUM_CLASSES)
    assert shard.dtype == np.float32


def test_the_top_classes_are_exact_and_the_rest_keeps_its_probability(
    written, parts, teacher, tmp_path
):
    write(tmp_path, parts, teacher, top_k=2)
    ids = parts["train"].ids[::7]
    whole = kd_keras.LogitStore.open(written).logits(ids, 2)
    kept = kd_keras.LogitStore.open(tmp_path).logits(ids, 2)
    p, q = (tf.nn.softmax(logits).numpy() for logits in (whole, kept))
    top = np.argsort(-whole, axis=-1)[:, :2]
    np.testing.assert_array_equal(
        np.take_along_axis(kept, top, -1), np.take_along_axis(whole, top, -1)
    )
    np.testing.assert_allclose(
        np.take_along_axis(q, top, -1),
        np.take_along_axis(p, top, -1),
        rtol=1e-4,
    )
    # Spread evenly over the three others.
    rest = np.argsort(-whole, axis=-1)[:, 2:]
    others = np.take_along_axis(q, rest, -1)
    np.testing.assert_allclose(
        others, np.repeat(others[:, :1], 3, axis=-1), rtol=1e-5
    )
    with pytest.raises(ValueError, match="top_k .* Received: 5 of 5"):
        plan(parts, top_k=5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_processes_write_the_bytes_of_one(
    written, parts, teacher, tmp_path, order
):
    first, second = order
    assert not write(tmp_path, parts, teacher, shard=first, num_shards=2)
    with pytest.raises(ValueError, match="finished.*lacks"):
        kd_keras.LogitStore.open(tmp_path)
    assert write(tmp_path, parts, teacher, shard=second, num_shards=2)
    assert contents(tmp_path) == contents(written)


def test_an_interrupted_store_goes_on_at_its_shard(
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
        write(tmp_path, parts, interrupted)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "train-00000-of-00003.npy" in names
    assert "train-00001-of-00003.npy" not in names
    asked = [0] * 10
    assert write(tmp_path, parts, interrupted)
    # Two shards of train and one of test are left: 3 + 3 + 1 batches.
    assert len(asked) == 10 + 7
    assert contents(tmp_path) == contents(written)
    # Once more, nobody is asked.
    assert write(tmp_path, parts, interrupted)
    assert len(asked) == 10 + 7


def test_files_of_another_size_are_no_other_store(
    written, parts, teacher, tmp_path
):
    assert write(written, parts, teacher, shard_views=10**6)
    # What is begun goes on with the files that it has.
    assert not write(tmp_path, parts, teacher, num_shards=2)
    assert write(tmp_path, parts, teacher, shard_views=10**6)
    assert contents(tmp_path) == contents(written)


def test_a_streamed_set_gives_the_store_of_one_in_memory(
    written, parts, teacher, tmp_path
):
    whole = parts["train"]

    def open_stream():
        return tf.data.Dataset.from_tensor_slices((whole.ids, whole.images))

    count = int(whole.ids.max()) + 1
    streamed = datasets.StreamedExamples(
        open_stream,
        count=count,
        image_shape=whole.image_shape,
        labelled=False,
        ids=whole.ids,
    )
    assert write(tmp_path, {"train": streamed}, teacher)
    for name, content in contents(tmp_path).items():
        if name != "manifest.json":
            assert content == contents(written)[name], name
    mixed = views.ViewSpec(mixup=0.5)
    with pytest.raises(ValueError, match="mixup and data.cutmix need a set in"):
        write(tmp_path / "mixed", {"train": streamed}, teacher, spec=mixed)


@pytest.mark.parametrize("spec", [{"mixup": 0.6}, {"cutmix": 0.6}])
def test_mixed_views_are_stored_as_the_teacher_saw_them(
    parts, teacher, tmp_path, spec
):
    spec = views.ViewSpec(seed=1, translate=1, **spec)
    write(tmp_path, parts, teacher, spec=spec)
    ids = parts["train"].ids[::3]
    np.testing.assert_allclose(
        kd_keras.LogitStore.open(tmp_path).logits(ids, 1),
        said_of(teacher, parts["train"], ids, 1, spec),
        atol=1e-4,
    )


def test_what_is_not_stored_is_refused(written):
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
    write(tmp_path, {"train": examples}, teacher, spec=plain, views_count=1)
    opened = kd_keras.LogitStore.open(tmp_path)
    chosen = [250, 3, 17]
    np.testing.assert_allclose(
        opened.logits(ids[chosen]), teacher(images[chosen]), atol=1e-4
    )


def test_a_bar_shows_the_rate_and_the_time_that_is_left(
    parts, teacher, tmp_path, capsys
):
    manifest = plan(parts, views_count=1)
    store.label(tmp_path, manifest, parts, teacher, verbose=1)
    shown = capsys.readouterr().out
    # 1,200 training pictures and 50 test pictures.
    assert "1250/1250" in shown and "views_per_second" in shown
    assert "s/view" in shown


def test_another_plan_is_refused_with_what_differs(
    written, parts, teacher, tmp_path
):
    def refused(field, changed=parts, **options):
        with pytest.raises(ValueError, match=rf"Differing: .*{field} \(was"):
            write(written, changed, teacher, **options)

    refused(r"teacher\.fingerprint", record={"fingerprint": "def"})
    refused("num_classes", num_classes=6)
    refused("dtype", dtype="float16")
    refused(r"spec\.seed", spec=views.ViewSpec(**{**vars(SPEC), "seed": 6}))
    refused(r"spec\.cutout", spec=views.ViewSpec(**{**vars(SPEC), "cutout": 3}))
    refused(r"parts\.train\.views", views_count=4)
    fewer = {**parts, "train": parts["train"].subset(np.arange(1199))}
    refused(r"parts\.train\.fingerprint", fewer)
    brighter = datasets.Examples(
        np.maximum(parts["train"].images, 1), ids=parts["train"].ids
    )
    refused(r"parts\.train\.fingerprint", {**parts, "train": brighter})
    # An unfinished one too, which would be half of each.
    write(tmp_path, parts, teacher, num_shards=2)
    with pytest.raises(ValueError, match=r"Differing: dtype \(was"):
        write(tmp_path, parts, teacher, dtype="float16")


def test_damage_is_named(written, parts, teacher, tmp_path):
    for name, content in contents(written).items():
        (tmp_path / name).write_bytes(content)
    shard = tmp_path / "train-00001-of-00003.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        ValueError, match="00001-of-00003.npy, which is damaged"
    ):
        kd_keras.LogitStore.open(tmp_path)
    shard.unlink()
    with pytest.raises(
        ValueError, match="00001-of-00003.npy, which is missing"
    ):
        kd_keras.LogitStore.open(tmp_path, verify=False)
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(ValueError, match="must be of format 1.*format 99"):
        kd_keras.LogitStore.open(tmp_path)
    manifest.write_text("{")
    with pytest.raises(ValueError, match="manifest.json, which is damaged"):
        kd_keras.LogitStore.open(tmp_path)
    with pytest.raises(ValueError, match="without manifest.json"):
        kd_keras.LogitStore.open(tmp_path / "nothing")


def test_logits_that_do_not_fit_are_refused(parts, teacher, tmp_path):
    def large(images):
        return teacher(images) * 1e6

    with pytest.raises(ValueError, match="fit float16 .*store.dtype=float32"):
        write(tmp_path / "a", parts, large, dtype="float16")
    with pytest.raises(ValueError, match="a logit for each class.*: 4 logits"):
        write(tmp_path / "b", parts, lambda x: teacher(x)[:, :4])


def test_a_distiller_learns_from_any_dataset_with_ids(written, parts, teacher):
    """One epoch from the store is one epoch from the teacher."""
    opened = kd_keras.LogitStore.open(written)
    examples = parts["train"]
    batches = tf.data.Dataset.from_tensor_slices(
        (examples.ids, examples.images)
    ).batch(100)
    shown = batches.map(
        lambda ids, images: (
            ids,
            views.make_views(images, ids, view=2, spec=SPEC),
        )
    )
    stored_student = nets.make_network()
    live_student = nets.copy_of(stored_student)
    for student, source, data in (
        (stored_student, None, opened.attach(shown, view=2)),
        (live_student, teacher, shown.map(lambda ids, images: images)),
    ):
        distiller = kd_keras.Distiller(student, source)
        distiller.compile(optimizer=keras.optimizers.SGD(0.01))
        distiller.fit(data, verbose=0, shuffle=False)
    nets.assert_same_weights(stored_student, live_student, atol=1e-5)
    labelled = shown.map(lambda ids, images: (ids, images, ids % 5))
    images, y = next(iter(opened.attach(labelled, view=2)))
    assert images.shape == (100, *nets.IMAGE_SHAPE)
    assert y["teacher_logits"].shape == (100, nets.NUM_CLASSES)
    np.testing.assert_array_equal(y["labels"], examples.ids[:100] % 5)


def test_the_readme_s_store_works(written, parts, monkeypatch):
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(store = .*?)```", readme, re.S)
    folder = written.parent / "runs" / "cifar10"
    folder.mkdir(parents=True)
    (folder / "store").symlink_to(written)
    monkeypatch.chdir(written.parent)
    # The README's view of a larger store.
    snippet = snippet.replace("view=3", "view=2")
    examples = parts["train"]
    names = {
        "kd_keras": kd_keras,
        "student": nets.make_network(),
        "ids": examples.ids[:9],
        "dataset": tf.data.Dataset.from_tensor_slices(
            (examples.ids, examples.images)
        ).batch(100),
    }
    before = nets.snapshot(names["student"])
    exec(snippet, names)
    assert names["logits"].shape == (9, nets.NUM_CLASSES)
    assert all(nets.moved(names["student"], before))


def test_training_repeats_the_stored_views(written, parts, teacher):
    opened = kd_keras.LogitStore.open(written)
    stored = answers.StoredAnswers(lambda: opened, manifest=opened.manifest)
    batches = pipeline.training_batches(
        parts["train"],
        batch_size=1200,
        seed=0,
        epochs=VIEWS + 1,
        spec=SPEC,
        labels=False,
        view_of=stored.view_of,
        join=stored.join,
    )
    first, *_, last = (
        (images.numpy(), y["teacher_logits"].numpy()) for images, y in batches
    )
    for images, logits in (first, last):
        np.testing.assert_allclose(teacher(images), logits, atol=1e-4)
    # Epoch 3 shows view 0, in another order.
    assert not np.array_equal(first[0], last[0])
    key = lambda pair: np.sort(pair[0].reshape(1200, -1).sum(-1))  # noqa: E731
    np.testing.assert_array_equal(key(first), key(last))


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/smaps").exists(), reason="needs Linux's /proc"
)
def test_reading_all_of_a_store_does_not_fill_the_memory(tmp_path):
    """Of 40 MB that are read, half at most stays in the process."""
    examples = datasets.Examples(np.zeros((100_000, 1, 1, 1), "uint8"))
    write(
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
