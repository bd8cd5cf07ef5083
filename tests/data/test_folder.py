"""Folders of images."""

import logging
import os

import numpy as np
import pytest
from PIL import Image

from kd_keras import config
from kd_keras.data import sources
from kd_keras.data.sources import folder


def load(path, **options):
    fields = config.default_config().data
    fields.update(name="folder", data_dir=str(path), channels=1, **options)
    return folder.load(fields)


def put(root, *names, size=(4, 4), mode="L"):
    """Writes images whose value is their number."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size[::-1], number).save(path)


def values(examples):
    """The value and the label of each image."""
    return list(zip(examples.images[:, 0, 0, 0], examples.labels))


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_a_flat_folder_is_a_transfer_set_without_labels(
    tmp_path, mnist, memory_limit_mb
):
    for number, image in enumerate(mnist.test.images[:12]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number:02d}.png")
    dataset = load(tmp_path, memory_limit_mb=memory_limit_mb)
    assert not dataset.train.labelled and dataset.test is None
    np.testing.assert_array_equal(dataset.train.images, mnist.test.images[:12])


@pytest.mark.parametrize("memory_limit_mb", [100, 0])
def test_class_folders_may_be_deep_and_of_any_format(tmp_path, memory_limit_mb):
    put(tmp_path, "b/1.bmp", "a/deep/er/0.tif", "a/0.png", "b/x/2.gif")
    put(tmp_path, ".git/0.png", "__MACOSX/a/0.png", "a/._0.png", "b/.x/0.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "README.md").write_text("no image")
    dataset = load(tmp_path, memory_limit_mb=memory_limit_mb, test_fraction=0)
    assert dataset.class_names == ["a", "b"]
    assert values(dataset.train) == [(2, 0), (1, 0), (0, 1), (3, 1)]


def test_a_flat_folder_may_lie_beside_hidden_folders(tmp_path):
    put(tmp_path, "0.png", "1.png", ".ipynb_checkpoints/0.png")
    assert len(load(tmp_path).train) == 2


def test_a_test_set_is_held_out_of_class_folders(tmp_path):
    put(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(10)))
    dataset = load(tmp_path, test_fraction=0.2)
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    both = values(dataset.train) + values(dataset.test)
    assert sorted(both) == [(i, i // 10) for i in range(20)]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("train", "valid", None),
        ("Training", "validation", "Testing"),
        ("train", None, "test"),
        ("train", None, None),
    ],
)
def test_a_folder_may_be_split(tmp_path, train, validation, test):
    names = {"train": train, "validation": validation, "test": test}
    for part, count in (("train", 4), ("validation", 2), ("test", 1)):
        if names[part]:
            put(
                tmp_path / names[part],
                *(f"{c}/{i}.png" for c in "ab" for i in range(count)),
            )
    (tmp_path / "README.md").write_text("no image")
    dataset = load(tmp_path, test_fraction=0)
    assert dataset.class_names == ["a", "b"]
    assert len(dataset.train) == 8
    assert len(dataset.validation or ()) == (4 if validation else 0)
    assert len(dataset.test or ()) == (2 if test else 0)
    for part in filter(None, (dataset.train, dataset.test)):
        half = len(part) // 2
        assert part.labels.tolist() == [0] * half + [1] * half


def test_train_may_be_the_name_of_a_class(tmp_path):
    put(tmp_path, *(f"{c}/{i}.png" for c in ("train", "car") for i in "01"))
    assert load(tmp_path).class_names == ["car", "train"]


def test_names_of_splits_are_classes_in_a_folder_of_their_own(tmp_path):
    put(tmp_path / "train", "train/0.png", "test/0.png", "bus/0.png")
    dataset = load(tmp_path, test_fraction=0)
    assert dataset.class_names == ["bus", "test", "train"]


def test_folders_beside_splits_are_named(tmp_path, caplog):
    put(tmp_path, "train/a/0.png", "train/b/1.png", "test/a/0.png")
    put(tmp_path, "bus/0.png")
    load(tmp_path)
    assert "test, train taken for splits, so that bus is not" in caplog.text


def test_of_several_folders_the_one_with_splits_is_named(tmp_path):
    put(tmp_path, "x/0.png", "y/train/0.png", "y/test/0.png")
    with pytest.raises(ValueError, match="Received: .*/y with test, train wit"):
        load(f"{tmp_path}/x,{tmp_path}/y")


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "a\x1b[0m", "a\x85"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_names_of_classes_must_be_printable(tmp_path, name, part):
    put(tmp_path, "train/a/0.png", "train/b/0.png", f"{part}/{name}/0.png")
    with pytest.raises(ValueError, match="must be printable UTF-8") as error:
        load(tmp_path)
    assert f"Received: {name!r} in {tmp_path}/{part}" in str(error.value)
    # Without labels it is a folder as any other.
    assert load(tmp_path, labels="none").class_names is None


def test_classes_may_have_names_of_any_language(tmp_path):
    names = sorted(["été", "猫", "👩‍🔬", "a b", "می‌خواهم", "a\u3000b"])
    put(tmp_path, *(f"{name}/0.png" for name in names))
    assert load(tmp_path, test_fraction=0).class_names == names


def test_a_part_may_lack_classes(tmp_path):
    put(tmp_path, "train/a/0.png", "train/b/0.png", "test/b/0.png")
    dataset = load(tmp_path)
    assert dataset.test.labels.tolist() == [1]
    assert dataset.test.num_classes == 2


def test_all_images_of_any_tree_may_be_without_labels(tmp_path):
    put(tmp_path, "0.png", "a/1.png", "a/b/2.png", "empty/.hidden.png")
    dataset = load(tmp_path, labels="none")
    assert len(dataset.train) == 3 and not dataset.train.labelled
    assert dataset.class_names is None and dataset.test is None
    # Test images stay apart.
    put(tmp_path, "split/train/a/0.png", "split/test/a/0.png")
    assert len(load(tmp_path / "split", labels="none").train) == 1


def test_several_folders_are_one_set_of_all_their_classes(
    tmp_path, monkeypatch
):
    put(tmp_path / "x", "a/0.png", "b/1.png")
    put(tmp_path / "y", "b/0.png", "c/1.png")
    put(tmp_path / "z", "train/a/0.png", "test/c/1.png")
    monkeypatch.chdir(tmp_path)
    dataset = load("x, y,z")
    assert dataset.class_names == ["a", "b", "c"]
    assert values(dataset.train) == [(0, 0), (1, 1), (0, 1), (1, 2), (0, 0)]
    assert values(dataset.test) == [(1, 2)]
    assert dataset.name == "x, y, z"
    # A folder with exactly this name is preferred.
    put(tmp_path / "x,y", "0.png")
    assert len(load("x,y").train) == 1
    for names in ("x,x", "x,x/a", "y,x/a,x", "./x,x"):
        with pytest.raises(ValueError, match="must not lie in each other"):
            load(names)


def test_a_home_directory_is_found(tmp_path, monkeypatch):
    put(tmp_path / "x", "a/0.png", "b/1.png")
    put(tmp_path / "y", "b/0.png", "c/1.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    fields = config.default_config().data
    fields.update(name="folder", data_dir="~/x,~/y")
    assert sources.load_dataset(fields).class_names == ["a", "b", "c"]


def test_images_are_colour_unless_channels_are_1(tmp_path):
    put(tmp_path, "train/a/0.png", "train/b/1.png")
    put(tmp_path, "test/a/0.png", "test/b/1.png", mode="RGB")
    dataset = load(tmp_path)
    assert dataset.train.image_shape == dataset.test.image_shape == (4, 4, 1)
    fields = config.default_config().data
    fields.update(name="folder", data_dir=str(tmp_path))
    dataset = folder.load(fields)
    assert dataset.train.image_shape == dataset.test.image_shape == (4, 4, 3)


def test_images_of_several_sizes_need_image_size(tmp_path):
    put(tmp_path, "0.png")
    put(tmp_path, "odd.png", size=(6, 9))
    with pytest.raises(
        ValueError, match=r"set data.image_size, .*6 x 9 in .*odd\.png"
    ):
        load(tmp_path)
    dataset = load(tmp_path, image_size=10)
    assert dataset.train.image_shape == (10, 10, 1)


def test_all_that_cannot_be_read_is_listed_or_left_out(tmp_path, caplog):
    put(tmp_path, *(f"{c}/{i}.png" for c in "abc" for i in range(3)))
    for name in ("a/0.png", "b/1.png", "c/0.png", "c/1.png", "c/2.png"):
        (tmp_path / name).write_bytes(b"\x89PNG no more")
    with pytest.raises(ValueError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "5 that cannot be read" in message and "\n" not in message
    assert all(f"{c}/{i}.png" in message for c, i in ("a0", "b1", "c2"))
    with pytest.raises(ValueError, match="none in c$"):
        load(tmp_path, on_error="skip")
    put(tmp_path, "c/0.png")
    dataset = load(tmp_path, on_error="skip", test_fraction=0)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 2]


def test_damaged_pixels_are_listed_or_left_out_as_well(tmp_path, caplog):
    names = [
        f"{part}/{c}/{i}.png"
        for part in ("train", "test")
        for c in "ab"
        for i in range(3)
    ]
    put(tmp_path, *names)
    for name in ("train/a/1.png", "test/b/2.png"):
        contents = (tmp_path / name).read_bytes()
        # The header is whole.
        (tmp_path / name).write_bytes(contents[:-20])
    with pytest.raises(ValueError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "2 that cannot be read" in message and "\n" not in message
    assert "train/a/1.png" in message and "test/b/2.png" in message
    caplog.set_level(logging.INFO)
    dataset = load(tmp_path, on_error="skip")
    assert values(dataset.train) == [(0, 0), (2, 0), (3, 1), (4, 1), (5, 1)]
    assert len(dataset.test) == 5
    # The first counts are of the headers.
    lines = [record.getMessage() for record in caplog.records]
    assert [x for x in lines if x.startswith("train: ") and "images" in x] == [
        "train: 6 found, 6 images used; skipped: none",
        "train: 2 classes of 3 images: a 3, b 3",
        "train: 5 images used; 1 with damaged pixels skipped",
        "train: 2 classes of 2 to 3 images: a 2, b 3",
    ]
    (tmp_path / "train/a/0.png").unlink()
    (tmp_path / "train/a/2.png").unlink()
    with pytest.raises(ValueError, match="none in a$"):
        load(tmp_path, on_error="skip")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/a", "train/b", "test/a", "test/c"],
            r"subfolders of train/.*Received: c in .*, a, b in train/",
        ),
        (["train/a", "train/b", "val/c"], r"validation images must.*: c in"),
        (["train/a", "train/b", "test"], "must lie in one subfolder"),
        (
            ["train", "test"],
            "taken for splits .*with test, train without subfolders; if these "
            "are classes, move .*/train;",
        ),
        (["train", "test", "bus"], "taken for splits .*with test, train with"),
        (["test/a", "val/a"], "must have those of training in train/"),
        (["train/a", "val/a", "valid/a"], "one folder of validation images"),
        (["a", "b", "."], "data.labels=none.*0.png beside a, b"),
        (["a/nested", "b"], "1 class|none in c"),
        (["a/nested"], "two classes or more.*data.data_dir=.*/a;"),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, names, message):
    for name in names:
        put(tmp_path, *(f"{name}/{i}.png" for i in range(3)))
    if message.endswith("c"):
        (tmp_path / "c" / "empty").mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, message in (
        ("photos", "must have images.* none .*photos"),
        ("photo", "Received: '.*photo'.* Did you mean '.*photos'"),
        ("photos,other", "Received: 'other'"),
        ("list.csv", "data.name=table. Received: '.*list.csv'"),
    ):
        path = name if "," in name else tmp_path / name
        with pytest.raises(ValueError, match=message):
            load(str(path).replace("photos,", f"{tmp_path}/photos,"))
    with pytest.raises(ValueError, match="must be a folder.* Received: ''"):
        load("")


def test_a_file_that_vanishes_is_named_when_it_is_read(tmp_path):
    put(tmp_path, "0.png", "1.png")
    dataset = load(tmp_path, memory_limit_mb=0)
    os.remove(tmp_path / "1.png")
    with pytest.raises(Exception, match=r"1\.png"):
        np.asarray(dataset.train.images)
