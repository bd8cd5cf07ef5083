"""Headers are read once, and unreadable files are reported at once."""

import logging
import os

import numpy as np
import pytest
from PIL import Image

from kd_keras.data import image_files, scanning
from kd_keras.utils import file_cache, path_lists


def write(path, *, height=4, width=6, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height)).save(path)
    return path


def listing(paths, **options):
    options = {"groups": np.arange(len(paths), dtype=np.int32), **options}
    place = os.path.dirname(paths[0])
    return scanning.Listing(
        path_lists.PathList.of(paths), place=place, **options
    )


@pytest.fixture
def messy(tmp_path):
    """Two images, two other files and four images that cannot be read."""
    paths = [
        write(tmp_path / "a.png"),
        write(tmp_path / "b.jpg", height=8, width=2, mode="L"),
        *(tmp_path / name for name in ("c.txt", "d", "e.jpg", "f.heic")),
        *(tmp_path / name for name in ("g.png", "h.webp")),
    ]
    for path in paths[2:5]:
        path.write_text("no image")
    paths[5].write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    paths[6].write_bytes(paths[0].read_bytes()[:20])
    paths[7].symlink_to("missing")
    return paths


def test_images_are_told_from_other_files_and_from_damaged_ones(messy):
    scan = scanning.scan(listing(messy, skipped={"hidden": 3}))
    assert [scan.paths[i] for i in range(len(scan))] == list(
        map(str, messy[:2])
    )
    assert scan.groups.tolist() == [0, 1]
    assert scan.headers["height"].tolist() == [4, 8]
    assert scan.headers["width"].tolist() == [6, 2]
    assert scan.headers["channels"].tolist() == [3, 1]
    assert scan.skipped == {"hidden": 3, "of another type (.txt, no suffix)": 2}
    assert len(scan.failures) == 4
    assert list(scan.failures) == list(map(str, messy[4:]))
    for path, line in scan.failures.items():
        assert path in line and "\n" not in line
    assert line == f"No such file or directory: {messy[7]}"


def test_every_file_of_a_table_must_be_an_image(messy):
    scan = scanning.scan(listing(messy, all_images=True))
    assert len(scan) == 2 and len(scan.failures) == 6 and not scan.skipped


def test_all_unreadable_files_are_named_at_once(messy, caplog):
    scans = [scanning.scan(listing(part)) for part in (messy[:6], messy[6:])]
    with pytest.raises(ValueError, match="data.on_error=skip.*: 4 that cannot"):
        scanning.check_readable(scans, skip=False)
    assert len(caplog.records) == 4
    caplog.clear()
    scanning.check_readable(scans, skip=True)
    assert len(caplog.records) == 4


def test_a_message_is_bounded_and_the_log_is_not(tmp_path, caplog):
    paths = [tmp_path / f"{number:02d}.png" for number in range(25)]
    scan = scanning.scan(listing(paths))
    with pytest.raises(ValueError) as caught:
        scanning.check_readable([scan], skip=False)
    message = str(caught.value)
    assert "09.png and 15 more" in message and "10.png" not in message
    assert len(caplog.records) == 25


def test_the_summary_has_counts_reasons_classes_and_sizes(messy, caplog):
    caplog.set_level(logging.INFO)
    scan = scanning.scan(listing(messy, skipped={"hidden": 3}))
    scanning.log_summary("train", scan)
    scanning.log_classes("train", scan, ["cat", "dog"])
    assert [record.getMessage() for record in caplog.records] == [
        "train: 11 found, 2 images used; skipped: 3 hidden, 2 of another type "
        "(.txt, no suffix), 4 unreadable",
        "train: height 4 to 8, median 6; width 2 to 6, median 4",
        "train: 2 classes of 1 images: cat 1, dog 1",
    ]


def test_a_header_is_read_again_only_after_a_change(
    tmp_path, own_cache, monkeypatch
):
    monkeypatch.setattr(file_cache, "_SETTLED_SECONDS", -1)
    read, original = [], image_files.read_header

    def counting(path):
        read.append(os.path.basename(path))
        return original(path)

    monkeypatch.setattr(scanning.image_files, "read_header", counting)
    paths = [write(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    (tmp_path / "d.txt").write_text("other")
    (tmp_path / "e.png").write_text("damaged")
    paths += [tmp_path / "d.txt", tmp_path / "e.png"]
    first = scanning.scan(listing(paths))
    assert sorted(read) == ["a.png", "b.png", "c.png", "d.txt", "e.png"]
    read.clear()
    again = scanning.scan(listing(paths))
    # A file that could not be read may have been mended elsewhere.
    assert read == ["e.png"]
    assert again.headers.tolist() == first.headers.tolist()
    assert again.skipped == first.skipped
    read.clear()
    write(paths[1], height=9)
    assert scanning.scan(listing(paths)).headers["height"].tolist() == [4, 9, 4]
    assert sorted(read) == ["b.png", "e.png"]


def test_names_with_line_feeds_stay_in_their_line(messy, caplog):
    caplog.set_level(logging.INFO)
    scan = scanning.scan(listing(messy[:2]))
    scanning.log_classes("train", scan, ["cat\nx", "ü"])
    assert caplog.records[0].getMessage().endswith(r"cat\nx 1, ü 1")
    scan = scanning.scan(listing([messy[0].with_name("a\nb.png")]))
    with pytest.raises(ValueError) as caught:
        scanning.check_readable([scan], skip=False)
    assert r"a\nb.png" in str(caught.value)
    assert "\n" not in str(caught.value) + caplog.records[-1].getMessage()


def test_damaged_images_leave_a_scan(messy):
    scan = scanning.scan(listing(messy))
    rest = scan.without({0: "cut short"})
    assert rest.paths[0] == str(messy[1]) and rest.groups.tolist() == [1]
    assert rest.headers["height"].tolist() == [8]
    assert rest.failures == {str(messy[0]): "cut short"}


def test_lost_transparency_and_colour_are_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    modes = ("L", "RGB", "RGBA", "LA")
    paths = [write(tmp_path / f"{mode}.png", mode=mode) for mode in modes]
    scan = scanning.scan(listing(paths))
    scanning.log_conversions("test", scan, 3)
    (transparent,) = [record.getMessage() for record in caplog.records]
    assert transparent.startswith("test: 2 images may have transparent pixels")
    scanning.log_conversions("test", scan, 1)
    said = caplog.records[-1].getMessage()
    assert said == "test: 2 images of colour become grey"
