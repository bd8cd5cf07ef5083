"""Folders of images."""

import numpy as np
import pytest
import tensorflow as tf

from kd_keras import config
from kd_keras.data.sources import folder


def load(path, **options):
    fields = config.default_config().data
    fields.update(data_dir=str(path), **options)
    return folder.load(fields)


def write_images(path, images):
    path.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        data = tf.io.encode_png(image)
        (path / f"{i:03d}.png").write_bytes(data.numpy())


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_a_flat_folder_is_a_transfer_set_without_labels(
    tmp_path, mnist, memory_limit_mb
):
    write_images(tmp_path, mnist.test.images[:12])
    dataset = load(tmp_path, memory_limit_mb=memory_limit_mb)
    assert not dataset.train.labelled and dataset.test is None
    assert dataset.train.image_shape == (28, 28, 1)
    batches = dataset.train.batches(5, labels=False)
    images = np.concatenate([images for _, images in batches])
    np.testing.assert_array_equal(images, mnist.test.images[:12])


def test_a_folder_with_a_subfolder_per_class_has_labels(tmp_path, mnist):
    for name, label in (("cat", 3), ("ant", 1)):
        write_images(
            tmp_path / name, mnist.test.images[mnist.test.labels == label][:10]
        )
    dataset = load(tmp_path, test_fraction=0.2)
    assert dataset.class_names == ["ant", "cat"]
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    ones = mnist.test.images[mnist.test.labels == 1][:10]
    for image, label in zip(dataset.train.images, dataset.train.labels):
        is_one = (ones == image).all(axis=(1, 2, 3)).any()
        assert label == (0 if is_one else 1)


def test_a_folder_may_hold_train_and_test_folders(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for label, name in enumerate("ab"):
            images = np.full((count, 8, 8, 1), label * 100, np.uint8)
            write_images(tmp_path / part / name, images)
    dataset = load(tmp_path)
    assert dataset.class_names == ["a", "b"]
    assert (len(dataset.train), len(dataset.test)) == (12, 6)
    for examples in (dataset.train, dataset.test):
        np.testing.assert_array_equal(
            examples.images[:, 0, 0, 0], examples.labels * 100
        )


def test_images_of_several_sizes_need_image_size(tmp_path):
    write_images(tmp_path, [np.zeros((8, 8, 3), np.uint8)])
    write_images(tmp_path / "b", [np.full((6, 9, 3), 200, np.uint8)])
    (tmp_path / "b" / "000.png").rename(tmp_path / "odd.png")
    (tmp_path / "b").rmdir()
    with pytest.raises(ValueError, match=r"Received: 6 x 9 in .*odd\.png"):
        load(tmp_path)
    dataset = load(tmp_path, image_size=10)
    assert dataset.train.images.shape == (2, 10, 10, 3)
    assert (dataset.train.images[1] == 200).all()


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none in"):
        load(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_the_error_for_a_damaged_image_has_its_path(tmp_path, mnist):
    write_images(tmp_path, mnist.test.images[:3])
    (tmp_path / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    with pytest.raises(ValueError, match=r"damaged one: .*001\.png"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ["train/a", "train/b", "test/a", "test/c"],
            r"subfolders of train/.*Received: c in .*, a, b in train/",
        ),
        (["train/a", "train/b", "test"], "none in .*test"),
        (["train", "test"], "test images need labels"),
        (["a", "b", "."], "images beside a, b"),
        (["a", "a/nested", "c/nested"], "with none in c"),
        (["a"], "two classes or more"),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, folders, message):
    for name in folders:
        write_images(tmp_path / name, np.zeros((3, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_hidden_folders_and_missing_test_classes_are_no_error(tmp_path):
    for name in ("train/a", "train/b", "test/b", "train/.cache/x"):
        write_images(tmp_path / name, np.zeros((3, 8, 8, 1), np.uint8))
    dataset = load(tmp_path)
    assert dataset.class_names == ["a", "b"]
    assert dataset.test.labels.tolist() == [1, 1, 1]


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_is_lost_of_an_image_is_said(tmp_path, caplog):
    generator = np.random.default_rng(0)
    for name, channels, count in (("a", 1, 2), ("b", 3, 3), ("c", 4, 1)):
        images = generator.integers(0, 256, (count, 5, 5, channels), np.uint8)
        write_images(tmp_path / name, images)
    (tmp_path / "b" / "animation.gif").write_bytes(b"GIF89a")
    dataset = load(tmp_path, test_fraction=0)
    assert dataset.train.image_shape == (5, 5, 1)
    left_out, dropped, converted = said(caplog)
    assert "1 images that are not PNG or JPEG" in left_out
    assert left_out.endswith("animation.gif")
    assert dropped == "the transparency of 1 images is dropped"
    assert "4 images of colour are converted to grey" in converted


def test_nothing_is_said_where_nothing_is_lost(tmp_path, caplog):
    for name, channels in (("a", 3), ("b", 1)):
        write_images(tmp_path / name, np.zeros((2, 5, 5, channels), np.uint8))
    assert load(tmp_path, test_fraction=0).train.image_shape == (5, 5, 3)
    assert not said(caplog)
