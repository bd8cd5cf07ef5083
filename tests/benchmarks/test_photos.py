"""The benchmark of photos starts and measures; see `test_speed`."""

import pytest
from PIL import Image

from benchmarks import photos, sample_photos


def test_sample_photos_are_real_and_differ(tmp_path):
    sample_photos.make(tmp_path / "photos", 20)
    files = sorted((tmp_path / "photos").glob("*/*.jpg"))
    assert len({file.read_bytes() for file in files}) == 20
    for file in files:
        assert min(Image.open(file).size) >= 250
        assert max(Image.open(file).size) <= 500
    sample_photos.link(tmp_path / "links", 50, tmp_path / "photos")
    assert len(list((tmp_path / "links").glob("class_*/*.jpg"))) == 50


@pytest.mark.slow
def test_every_contestant_of_the_photos_is_measured(tmp_path):
    sample_photos.make(tmp_path / "photos", 20)
    pipelines = photos.contestants(tmp_path)
    # Keras's layer takes many seconds to trace.
    slow = pipelines.pop("Keras's RandAugment")
    assert slow.cardinality() == pipelines["RandAugment"].cardinality()
    rates = photos.alternate(pipelines, rounds=0)
    rates["Keras's RandAugment"] = [1.0, 1.0]
    named = {name for mark in photos.MARKS for name in mark[:2]}
    in_memory = {name for name in named if "CIFAR-10" in name}
    assert set(rates) == named - in_memory
    rates |= {name: [1.0, 1.0] for name in in_memory}
    assert photos.markdown(rates).count("\n") == len(rates) + 4 + len(
        photos.MARKS
    )
