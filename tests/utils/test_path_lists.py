"""Paths of many files in one buffer."""

import os

import numpy as np

from kd_keras.utils import path_lists

NAMES = ["/a/1.png", "/a/ü 2.png", "/b/c/3", "/a/1.png", "/4"]


def test_paths_are_kept_in_their_order_with_folders_once():
    paths = path_lists.PathList.of([*NAMES, b"/a/\xff"])
    assert len(paths) == 6
    assert [paths[i] for i in range(5)] == NAMES
    assert os.fsencode(paths[-1]) == b"/a/\xff"
    assert paths.rows(1, 3) == ["/a/ü 2.png".encode(), b"/b/c/3"]
    assert paths.rows(4, 9) == [b"/4", b"/a/\xff"]
    assert paths.folders == [b"/a", b"/b/c", b"/"]


def test_relative_paths_are_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert path_lists.PathList.of(["x/../y"])[0] == str(tmp_path / "y")


def test_a_selection_keeps_the_order():
    paths = path_lists.PathList.of(NAMES)
    chosen = paths.select(np.array([False, True, True, False, True]))
    assert [chosen[i] for i in range(3)] == [NAMES[1], NAMES[2], NAMES[4]]
    none = paths.select(np.zeros(5, bool))
    assert len(none) == 0 and none.rows(0, 5) == []
