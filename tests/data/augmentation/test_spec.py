"""Settings of the augmentation and their records."""

import dataclasses

import pytest

from kd_keras.data.augmentation import ViewSpec, table

# The record in stores of version 0.1.
FIRST = {"seed": 1, "translate": 2, "mirror": "random", "cutout": 3}
FIRST |= {"mixup": 0.5, "cutmix": 0.25}


def test_the_record_of_first_augmentations_is_that_of_older_stores():
    assert ViewSpec(**FIRST).record() == FIRST
    assert ViewSpec.from_record(FIRST) == ViewSpec(**FIRST)
    assert ViewSpec(**FIRST).steps == []
    # Options without an effect change nothing.
    spec = ViewSpec(
        **FIRST, blur_sigma=(0.5, 1.0), order=("translate_mirror", "cutout")
    )
    assert spec.record() == FIRST


def test_the_record_of_others_has_what_is_used_and_their_versions():
    spec = ViewSpec(**FIRST, crop_scale=(0.1, 1.0), blur=0.5)
    assert spec.record() == {
        **FIRST,
        "crop_scale": [0.1, 1.0],
        "crop_ratio": [3 / 4, 4 / 3],
        "blur": 0.5,
        "blur_sigma": [0.1, 2.0],
        "steps": ["random_crop 1", "translate_mirror 0", "blur 1", "cutout 0"],
    }
    assert ViewSpec.from_record(spec.record()).record() == spec.record()


def test_the_record_of_a_changed_order_has_it():
    spec = ViewSpec(**FIRST, order=("cutout", "blur", "translate_mirror"))
    assert spec.used == ["cutout", "translate_mirror"]
    assert spec.record() == {
        **FIRST,
        "steps": ["cutout 0", "translate_mirror 0"],
    }
    assert ViewSpec.from_record(spec.record()).used == spec.used


def test_a_record_of_another_version_is_refused(monkeypatch):
    record = ViewSpec(blur=0.5).record()
    newer = dataclasses.replace(table.ALL["blur"], version=2)
    monkeypatch.setitem(table.ALL, "blur", newer)
    with pytest.raises(ValueError, match="same versions.*blur 1.*blur 2"):
        ViewSpec.from_record(record)


def test_a_record_of_unknown_fields_is_refused():
    with pytest.raises(ValueError, match="augmentations of the record"):
        ViewSpec.from_record({**FIRST, "swirl": 3, "steps": ["swirl 1"]})


def test_an_order_without_an_augmentation_that_is_used_is_refused():
    with pytest.raises(
        ValueError,
        match="augment.order must name every .* cutout,blur without "
        "translate_mirror, which is used: translate=2, mirror='none'",
    ):
        ViewSpec(translate=2, order=("cutout", "blur"))


@pytest.mark.parametrize(
    "order", [("swirl",), ("blur", "blur"), (1,), (["blur"],)]
)
def test_an_order_of_other_names_is_refused(order):
    with pytest.raises(ValueError, match="order must be a tuple of some of"):
        ViewSpec(order=order)
