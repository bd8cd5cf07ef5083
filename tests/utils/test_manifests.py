"""Lists of written files show which files have changed."""

import pytest

from kd_keras.utils import files, manifests


@pytest.fixture
def directory(tmp_path):
    written = files.OutputDirectory(tmp_path)
    for name in ("a.bin", "b.bin", "c.txt"):
        written.write_text(name, name)
    return tmp_path


def check(directory):
    manifests.check(
        directory,
        lambda name: name.endswith(".bin"),
        what="a model",
        remedy="write it again",
    )


def test_files_as_they_were_written_pass(directory, tmp_path):
    check(directory)
    # Files that are not checked or not listed are not reported.
    (directory / "c.txt").write_text("changed")
    (directory / "d.bin").touch()
    check(directory)
    assert manifests.changed(directory, manifests.read(directory)) == ["c.txt"]


def test_a_changed_or_missing_file_is_refused(directory):
    (directory / "b.bin").write_text("changed")
    with pytest.raises(ValueError, match=r"b.bin \(its SHA-256 .*; write it a"):
        check(directory)
    (directory / "b.bin").unlink()
    with pytest.raises(ValueError, match=r"b.bin \(it is missing, and listed"):
        check(directory)


def test_a_list_in_which_a_digit_was_changed_is_refused(directory):
    path = directory / manifests.NAME
    text = path.read_text()
    digit = text.index('"a.bin"') + 30
    path.write_text(text[:digit] + "g" + text[digit + 1 :])
    with pytest.raises(ValueError, match="SHA-256.*; remove it to use"):
        check(directory)
