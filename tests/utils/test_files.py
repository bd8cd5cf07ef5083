"""Files and directories: written whole or not at all, only over our own."""

import json
import os
import pathlib

import pytest
from scratch import KINDS, occupy, tree

from kd_keras.utils import files, locks, manifests


class Interrupted(Exception):
    pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "before")
    with pytest.raises(Interrupted), files.replacing_file(path) as temporary:
        temporary.write_text("half")
        raise Interrupted
    assert tree(tmp_path) == {"file": b"before"}


def test_a_file_never_takes_the_place_of_a_directory(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ValueError, match="directory. Received"):
        files.write_text(folder, "text")
    assert tree(tmp_path) == {"folder": None}


def test_an_output_file_may_be_new_empty_or_our_own(tmp_path):
    path = tmp_path / "new" / "results.json"
    files.write_json_output(path, {"a": 1}, by="evaluate", command="x")
    files.write_json_output(path, {"a": 2}, by="evaluate", command="x")
    assert json.loads(path.read_text())["a"] == 2
    path.write_text("")
    files.write_json_output(path, {"a": 3}, by="evaluate", command="x")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    files.write_json_output(link, {"a": 4}, by="evaluate", command="x")
    assert link.is_symlink() and json.loads(path.read_text())["a"] == 4


@pytest.mark.parametrize(
    "head",
    [
        f'{{"generator": "{files.MARK} evaluate (kd-keras evaluate)"}}',
        f'{{"generator": "{files.MARK} (kd-keras evaluate --model=a)"}}',
        f'{{"generator": "{files.MARK} (python -m kd_keras.evaluate)"}}',
        f'{{"generator": "{files.MARK} (python -m kd_keras evaluate)"}}',
    ],
)
def test_a_command_replaces_only_its_own_files(tmp_path, head):
    path = tmp_path / "results.json"
    path.write_text(head)
    with pytest.raises(ValueError, match="same command.*written by evaluate"):
        files.write_json_output(path, {}, by="latency", command="x")
    assert path.read_text() == head
    files.write_json_output(path, {}, by="evaluate", command="x")
    # The pages of version 0.2 do not name the command.
    page = f'<!doctype html>\n<meta name="generator" content="{files.MARK}">'
    path.write_text(page)
    files.check_output(path, by="report")


@pytest.mark.parametrize(
    "text",
    [
        f"Notes. The page was {files.MARK} report (kd-keras report).",
        f'{{"notes": "{files.MARK} report"}}',
        f"<!doctype html><p>{files.MARK} report</p>",
        f"\x89PNG\r\n\x1a\nIHDR tEXtComment\0{files.MARK} report",
    ],
    ids=["text", "json", "page", "png"],
)
def test_a_file_that_only_mentions_the_mark_is_kept(tmp_path, text):
    path = tmp_path / "notes"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="by a command.*another file"):
        files.check_output(path, by="report")


def test_the_manifest_is_no_output_of_a_command(tmp_path):
    with files.replacing_directory(tmp_path / "model") as new:
        (new / "weights").write_text("")
    path = tmp_path / "model" / manifests.NAME
    with pytest.raises(ValueError, match="by a command.*another file"):
        files.check_output(path, by="evaluate")


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_file_of_somebody_else_is_refused(tmp_path, kind):
    path = tmp_path / "given"
    occupy(path, kind)
    before = tree(tmp_path)
    for write in (
        lambda: files.check_output(path, by="report"),
        lambda: files.write_output(
            path, f'{{"generator": "{files.MARK} report"}}', by="report"
        ),
    ):
        with pytest.raises(ValueError, match="output file must"):
            write()
    assert tree(tmp_path) == before


def test_an_output_file_needs_a_directory_above_and_no_device(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="where .*file is a file"):
        files.check_output(tmp_path / "file" / "results.json", by="report")
    with pytest.raises(ValueError, match="regular file. Received: /dev/null"):
        files.check_output("/dev/null", by="report")


def write_directory(path, text="ours"):
    with files.replacing_directory(path) as new:
        (new / "variables").mkdir()
        (new / "variables" / "data").write_text(text)


def test_a_directory_of_ours_is_replaced(tmp_path):
    path = tmp_path / "model"
    write_directory(path)
    (path / "variables" / "data").unlink()  # may be missing, and is ours
    write_directory(path, "new")
    assert (path / "variables" / "data").read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["model"]
    link = tmp_path / "link"
    link.symlink_to(path)
    write_directory(link, "newer")
    assert link.is_symlink()
    assert (path / "variables" / "data").read_text() == "newer"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "thesis.txt").write_text("years of work"),
        lambda path: (path / "variables" / "data").write_text("edited"),
        lambda path: (path / "link").symlink_to(path.parent),
        lambda path: (path / manifests.NAME).unlink(),
    ],
)
def test_a_directory_with_anything_else_is_refused(tmp_path, change):
    path = tmp_path / "model"
    write_directory(path)
    change(path)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="hold only what this program wrote"):
        write_directory(path, "new")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("text", ["[]", "{", '{"files": 3}'])
def test_a_directory_whose_list_is_damaged_is_refused(tmp_path, text):
    path = tmp_path / "model"
    write_directory(path)
    (path / manifests.NAME).write_text(text)
    before = tree(tmp_path)
    with pytest.raises(
        ValueError, match=f"{manifests.NAME} .*; remove it to use"
    ):
        write_directory(path, "new")
    assert tree(tmp_path) == before


def test_a_directory_that_is_changed_meanwhile_is_refused(tmp_path):
    path = tmp_path / "model"
    write_directory(path)
    with (
        pytest.raises(ValueError, match="thesis.txt"),
        files.replacing_directory(path) as new,
    ):
        (new / "data").write_text("new")
        (path / "thesis.txt").write_text("years of work")
    assert (path / "thesis.txt").exists()
    assert (path / "variables" / "data").exists()


def test_only_a_directory_of_ours_is_removed(tmp_path):
    path = tmp_path / "model"
    files.remove_directory(path)
    write_directory(path)
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="thesis.txt"):
        files.remove_directory(path)
    (path / "thesis.txt").unlink()
    files.remove_directory(path)
    assert not path.exists()


def test_a_directory_is_not_written_over_a_file(tmp_path):
    path = tmp_path / "model"
    path.write_text("years of work")
    with pytest.raises(ValueError, match="must not be a file"):
        write_directory(path)
    assert path.read_text() == "years of work"


def test_an_output_directory_needs_a_directory_above(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run" / "teacher"
    with pytest.raises(ValueError, match="must lie in a directory. Received"):
        files.check_directory(path)
    files.check_directory(tmp_path / "new" / "run" / "teacher")


def test_files_of_an_output_directory(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    directory = files.OutputDirectory(tmp_path)
    directory.write_text("card.md", "one")
    directory.write_text("card.md", "two")
    assert (tmp_path / "card.md").read_text() == "two"
    with pytest.raises(ValueError, match="thesis.txt; take another"):
        directory.write_text("thesis.txt", "ours")
    (tmp_path / "card.md").write_text("edited")
    with pytest.raises(ValueError, match="card.md"):
        directory.check(["card.md", "new.md"])
    assert (tmp_path / "card.md").read_text() == "edited"
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_output_file_of_a_killed_process_is_still_ours(
    tmp_path, monkeypatch
):
    directory = files.OutputDirectory(tmp_path)
    directory.write_text("card.md", "one")
    replace, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if pathlib.Path(target).name == "card.md":
            raise Interrupted
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Interrupted):
        directory.write_text("card.md", "two")
    monkeypatch.undo()
    assert (tmp_path / "card.md").read_text() == "one"
    directory.write_text("card.md", "three")
    assert (tmp_path / "card.md").read_text() == "three"


def test_lock_files_are_no_files_of_somebody_else(tmp_path):
    path = tmp_path / "model"
    write_directory(path)
    with locks.holding(path):
        files.check_directory(path)
        assert manifests.NAME in files.files_below(path)
    assert files.foreign_files(path) == []


def test_an_error_shortens_a_long_list_of_names():
    assert files.named(["a", "b"]) == "a, b"
    assert files.named("abcdefgh") == "a, b, c, d, e and 3 more"


def test_files_and_directories_are_not_written_afar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("gs://bucket/x.json", "file:///x.json"):
        with pytest.raises(ValueError, match="an output file must be"):
            files.write_json_output(path, {}, by="x", command="x")
        with pytest.raises(ValueError, match="an output directory must be"):
            files.check_directory(path)
    assert tree(tmp_path) == {}
