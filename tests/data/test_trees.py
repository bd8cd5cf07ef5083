"""Files are found at any depth, without hidden ones and endless loops."""

import os

import pytest

from kd_keras.data.sources import trees


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(*folders):
    """The names of all files below the folders, and the listing."""
    finder = trees.Finder()
    for group, folder in enumerate(folders):
        finder.add_tree(str(folder), group)
    listing = finder.listing(place="here")
    paths = [listing.paths[i] for i in range(len(listing.paths))]
    return [os.path.relpath(path, folders[0]) for path in paths], listing


def test_a_tree_is_walked_in_order_files_first(tmp_path):
    put(tmp_path, "b/2", "b/1", "a/x/3", "a/x/y/0", "9", "a/1", "ü")
    names, listing = found(tmp_path)
    assert names == ["9", "ü", "a/1", "a/x/3", "a/x/y/0", "b/1", "b/2"]
    assert listing.groups.tolist() == [0] * 7
    assert not listing.skipped and not listing.failures


def test_hidden_files_and_those_of_systems_are_skipped(tmp_path):
    hidden = [
        *(".git/a.png", ".ipynb_checkpoints/a.png", "._1.png", ".DS_Store"),
        *("__MACOSX/x/1.png", "Thumbs.db", "desktop.ini", "@eaDir/1.png"),
        *("x/.hidden/1.png", "x/THUMBS.DB"),
    ]
    put(tmp_path, *hidden, "x/1.png")
    names, listing = found(tmp_path)
    assert names == ["x/1.png"]
    assert listing.skipped == {"hidden": 10}
    assert trees.subfolders(str(tmp_path)) == ["x"]


def test_links_are_followed_and_loops_are_not(tmp_path):
    put(tmp_path, "root/a/1", "root/b/2", "elsewhere/3", "elsewhere/deep/4")
    root = tmp_path / "root"
    (root / "a" / "file").symlink_to(tmp_path / "elsewhere" / "3")
    (root / "a" / "folder").symlink_to(tmp_path / "elsewhere")
    # Links to the folder itself, to one above, to all files, to another loop.
    for number, target in enumerate([root / "a", root, "/", tmp_path]):
        (root / "a" / f"loop{number}").symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(root / "a")
    names, _ = found(root / "a")
    assert names == ["1", "file", "folder/3", "folder/deep/4"]
    # Trees whose own path has a link.
    (tmp_path / "direct").symlink_to(root / "a")
    names, _ = found(tmp_path / "direct")
    assert names == ["1", "file", "folder/3", "folder/deep/4"]
    (tmp_path / "link").symlink_to(root)
    names, _ = found(tmp_path / "link" / "a")
    assert names == ["1", "file", "folder/3", "folder/deep/4"]


def test_what_is_no_file_is_skipped_and_a_broken_image_is_not(tmp_path):
    put(tmp_path, "1.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "2.png").symlink_to("missing")
    (tmp_path / "3.txt").symlink_to("missing")
    names, listing = found(tmp_path)
    assert names == ["1.png", "2.png"]
    assert listing.skipped == {"not a regular file": 2}


def test_names_may_be_of_any_bytes(tmp_path):
    folder = os.fsencode(tmp_path)
    with open(os.path.join(folder, b"\xff[*].png"), "wb"):
        pass
    _, listing = found(tmp_path)
    assert listing.paths.rows(0, 1) == [os.path.join(folder, b"\xff[*].png")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_a_failure(tmp_path):
    put(tmp_path, "a/1", "b/2")
    (tmp_path / "a").chmod(0)
    names, listing = found(tmp_path)
    (tmp_path / "a").chmod(0o700)
    assert names == ["b/2"]
    assert list(listing.failures.values()) == [
        f"Permission denied: {tmp_path / 'a'}"
    ]


def test_each_tree_has_its_group(tmp_path):
    put(tmp_path, "a/1", "a/x/2", "b/3")
    _, listing = found(tmp_path / "a", tmp_path / "b")
    assert listing.groups.tolist() == [0, 0, 1]
