"""Examples that a file lists by id or by file name."""

import numpy as np
import pytest
from example_sets import numbered

from kd_keras.data import datasets, listed_ids, readers


class NamedReader(readers.ArrayReader):
    """Images in memory, with the names of files."""

    def name(self, example_id):
        return f"/images/{'ab'[example_id % 2]}/{example_id // 2}.png"


def named(count):
    images = numbered(count).images
    return datasets.Examples(NamedReader(images))


def found(examples, path):
    return listed_ids.positions(examples, path, field="ids").tolist()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "12\n\n10\n"),
        ("ids.csv", "12,cat\n10,dog\n"),
        ("ids.csv", "\ufeffid,class\n12,cat\n10,dog\n"),
    ],
)
def test_ids_are_found_in_a_subset(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    part = numbered(20).subset(np.array([9, 10, 12]))
    assert found(part, tmp_path / name) == [2, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "a/1.png\n/images/b/0.png\n"),
        ("names.csv", "image\na/1.png\nb/0.png\n"),
    ],
)
def test_file_names_are_whole_or_the_end_of_a_path(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert found(named(6), tmp_path / name) == [2, 1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "empty"),
        ("a.txt", "3\n99\n98\n", "with 99 and 1 more that are none"),
        ("a.txt", "3\n4\n3\n", "with 3 twice"),
        ("a.txt", "1.png\n", "must be that of one example.*1.png"),
        ("a.txt", "a/7.png\n", "with a/7.png and 0 more that are none"),
        ("a.json", "[]", "must be one of .txt, .csv, .npy"),
        ("a.npy", "no array", "must be a readable file"),
    ],
)
def test_wrong_lists_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        found(named(6), tmp_path / name)
    assert "\n" not in str(error.value)


def test_unknown_ids_and_names_have_no_place():
    part = numbered(20).subset(np.array([9, 4]))
    assert listed_ids.places(part, np.array([4, 5, 9])).tolist() == [1, -1, 0]
    names = ["b/0.png", "c/0.png", "/images/a/2.png"]
    assert listed_ids.places(named(6), names).tolist() == [1, -1, 4]


def test_a_missing_file_names_for_images_without_any_and_other_arrays(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        found(numbered(3), tmp_path / "absent.txt")
    (tmp_path / "a.txt").write_text("a.png\n")
    with pytest.raises(ValueError, match="listed by their ids"):
        found(numbered(3), tmp_path / "a.txt")
    np.save(tmp_path / "a.npy", np.array([0.5]))
    with pytest.raises(ValueError, match="integer array"):
        found(numbered(3), tmp_path / "a.npy")
