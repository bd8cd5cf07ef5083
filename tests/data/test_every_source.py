"""The same images give the same batches from every source."""

import importlib

import numpy as np
import object_store
import pytest
import record_sets
import shipped

from kd_keras import config
from kd_keras.data import (
    augmentation,
    datasets,
    pipeline,
    readers,
    sources,
)
from kd_keras.utils import strategies

COUNT = 30
NAMES = ["airplane", "automobile", "bird"]
SPEC = augmentation.ViewSpec(
    seed=5,
    crop_scale=(0.2, 1.0),
    translate=4,
    mirror="random",
    mixup=0.4,
    cutmix=0.4,
)


@pytest.fixture(scope="module")
def cifar():
    """The first test images of three classes: `(images, labels)`."""
    images, labels = shipped.cifar10_sample()
    chosen = np.flatnonzero(labels < len(NAMES))[:COUNT]
    # In the order of a folder.
    chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    return images[chosen], labels[chosen]


def write_folder(root, images, labels):
    for i, (image, label) in enumerate(zip(images, labels)):
        path = root / NAMES[label] / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(record_sets.png(image))
    return "folder", root


def write_table(root, images, labels):
    write_folder(root / "images", images, labels)
    lines = [
        f"images/{NAMES[label]}/{i:03}.png,{NAMES[label]}"
        for i, label in enumerate(labels)
    ]
    (root / "table.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return "table", root / "table.csv"


def write_array_record(root, images, labels):
    images = [record_sets.png(image) for image in images]
    for i in range(2):
        half = slice(i * COUNT // 2, (i + 1) * COUNT // 2)
        record_sets.write_records(
            root / f"train-{i}.array_record", images[half], labels[half]
        )
    return "array_record", root


def write_hugging_face(root, images, labels):
    library = importlib.import_module("datasets")
    library.Dataset.from_dict(
        {
            "image": [{"bytes": record_sets.png(image)} for image in images],
            "label": labels,
        },
        features=library.Features(
            image=library.Image(), label=library.ClassLabel(names=NAMES)
        ),
    ).save_to_disk(root)
    return "hugging_face", root


def write_tfds(root, images, labels, **options):
    tfds = importlib.import_module("tensorflow_datasets")
    record_sets.prepare(
        root,
        {"train": (images, labels)},
        in_order=True,
        label=tfds.features.ClassLabel(names=NAMES),
        image=tfds.features.Image(shape=(32, 32, 3)),
        **options,
    )
    return "made", root


def write_tfds_array_record(root, images, labels):
    return write_tfds(root, images, labels, file_format="array_record")


WRITERS = [
    write_folder,
    write_tfds_array_record,
    *(
        pytest.param(write, marks=pytest.mark.slow)
        for write in (
            write_table,
            write_array_record,
            write_hugging_face,
            write_tfds,
        )
    ),
]


@pytest.fixture(
    scope="module", params=WRITERS, ids=lambda write: write.__name__[6:]
)
def load(request, tmp_path_factory, cifar):
    """Loads the images from a source on disk: function of a memory limit."""
    root = tmp_path_factory.mktemp("images")
    fields = config.default_config().data
    name, data_dir = request.param(root, *cifar)
    fields.update(name=name)

    def load(memory_limit_mb, bucket=None):
        place = data_dir
        if bucket:
            object_store.put_tree(f"{bucket}/images", root)
            place = f"{bucket}/images/{data_dir.relative_to(root)}"
        fields.update(memory_limit_mb=memory_limit_mb, test_fraction=0)
        fields.update(data_dir=str(place).removesuffix("/."))
        return sources.load_dataset(fields).train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield load


def batches(examples):
    """The batches of two epochs: list of `(images, labels)`."""
    return list(
        pipeline.training_batches(
            examples, batch_size=8, seed=3, epochs=2, spec=SPEC, labels=True
        ).as_numpy_iterator()
    )


@pytest.fixture(scope="module")
def expected(cifar):
    """The batches of the images in memory."""
    return batches(datasets.Examples(*cifar, num_classes=len(NAMES)))


@pytest.mark.slow
def test_batches_are_those_of_images_in_memory(load, expected):
    found = batches(load(memory_limit_mb=0))
    assert len(found) == len(expected) == 8
    for (images, labels), (images_found, labels_found) in zip(expected, found):
        np.testing.assert_array_equal(images_found, images)
        np.testing.assert_array_equal(labels_found, labels)


@pytest.mark.slow
def test_replicas_read_their_rows_of_each_batch(load, expected, monkeypatch):
    # Two workers of five and four replicas; some have no row of a batch.
    examples, total = load(memory_limit_mb=0), 9
    for first, own in ((0, 5), (5, 4)):
        share = strategies.Share(first=first, own=own, total=total)
        monkeypatch.setattr(
            strategies, "share_of", lambda _, share=share: share
        )
        found = batches(examples)
        assert len(found) == own * len(expected)
        for i, (images, labels) in enumerate(found):
            rows = slice(first + i % own, None, total)
            of_all, labels_of_all = expected[i // own]
            np.testing.assert_array_equal(images, of_all[rows])
            np.testing.assert_array_equal(labels, labels_of_all[rows])


def test_small_sets_are_read_into_memory_as_they_are(load, cifar):
    found = load(memory_limit_mb=100)
    assert isinstance(found.reader, readers.ArrayReader)
    np.testing.assert_array_equal(found.images, cifar[0])
    np.testing.assert_array_equal(found.labels, cifar[1])


def test_a_remote_set_is_the_local_one(load, bucket, cifar):
    expected, found = load(100), load(100, bucket)
    assert found.images_record == expected.images_record
    np.testing.assert_array_equal(found.images, cifar[0])
    np.testing.assert_array_equal(found.labels, cifar[1])
