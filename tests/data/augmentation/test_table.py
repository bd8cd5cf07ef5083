"""Every augmentation: the views that it makes, and how it draws."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import views

from kd_keras.data import augmentation, order
from kd_keras.data.augmentation import ViewSpec, table

# One set of fields for each augmentation of the table.
FIELDS = {
    "translate_mirror": {"translate": 2, "mirror": "random"},
    "rand_augment": {"rand_augment": 2},
    "trivial_augment": {"trivial_augment": True},
    "colour": {
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.2,
        "grey": 0.3,
    },
    "blur": {"blur": 0.7},
    "cutout": {"cutout": 6},
    "erasing": {"erasing": 0.7},
}
ALL = {
    name: value for fields in FIELDS.values() for name, value in fields.items()
}
IMAGES = views.images()


def digest(pixels):
    """A short number that changes with the pixels and their places."""
    places = np.arange(pixels.size).reshape(pixels.shape) % 65_521 + 1
    return int((pixels.astype("int64") * places).sum() % 2**31)


def test_every_augmentation_is_tried():
    assert list(FIELDS) == list(table.AUGMENTATIONS)
    for name, fields in FIELDS.items():
        assert ViewSpec(**fields).used == [name]


# Stores hold the teacher's logits for such views: they must never change
# without another version of the augmentation.
@pytest.mark.parametrize(
    ("name", "version", "golden"),
    [
        ("translate_mirror", None, 1919020174),
        ("rand_augment", 1, 817806951),
        ("trivial_augment", 1, 1988940503),
        ("colour", 1, 1175602486),
        ("blur", 1, 2124258235),
        ("cutout", None, 2116426225),
        ("erasing", 1, 272163756),
    ],
)
def test_views_stay_what_stores_were_made_with(name, version, golden):
    assert table.AUGMENTATIONS[name].version == version
    assert digest(views.make(IMAGES, **FIELDS[name])) == golden


def test_crops_stay_what_stores_were_made_with():
    assert table.CROPS["random_crop"].version == 1
    crop = augmentation.crop_of(ViewSpec(seed=3, crop_scale=(0.1, 1.0)), view=4)
    boxes = crop(
        tf.constant([0, 1, 2], tf.int64),
        tf.constant([300, 200, 20]),
        tf.constant([400, 100, 900]),
    )
    assert boxes.numpy().tolist() == [
        [35, 19, 263, 300],
        [128, 7, 70, 79],
        # None of ten boxes fits.
        [0, 436, 20, 27],
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_a_view_depends_on_seed_view_and_id_alone(name):
    fields = FIELDS[name]
    together = views.make(IMAGES, **fields)
    assert together.dtype == np.uint8
    shuffled = np.random.default_rng(1).permutation(len(IMAGES))
    np.testing.assert_array_equal(
        views.make(IMAGES[shuffled], ids=shuffled, **fields), together[shuffled]
    )
    for index in (0, 11):
        one = slice(index, index + 1)
        np.testing.assert_array_equal(
            views.make(IMAGES[one], ids=[index], **fields), together[one]
        )
    for change in ({"view": 5}, {"ids": np.arange(len(IMAGES)) + 99}):
        other = views.make(IMAGES, **change, **fields)
        same = (other == together).all(axis=(1, 2, 3))
        assert same.mean() < 0.4


@pytest.mark.slow
def test_views_in_a_pipeline_are_those_of_one_call():
    fields = {"mirror": "random", "contrast": 0.4, "hue": 0.2, "blur": 0.5}
    spec = ViewSpec(seed=3, **fields)
    pipeline = tf.data.Dataset.from_tensor_slices(
        (IMAGES, np.arange(len(IMAGES)))
    ).batch(5)
    made = pipeline.map(
        lambda images, ids: augmentation.make_views(
            images, ids, view=tf.constant(4, tf.int64), spec=spec
        ),
        num_parallel_calls=2,
    )
    np.testing.assert_array_equal(
        np.concatenate(list(made.as_numpy_iterator())),
        views.make(IMAGES, **fields),
    )


_PROGRAM = """
import json, sys
sys.path.insert(0, "tests")
import numpy as np
import views
fields = json.loads(sys.argv[1])
made = views.make(views.images(), **fields)
print(made.astype("int64").sum(), made[5].sum(axis=(0, 1)).tolist())
"""


@pytest.mark.slow
def test_views_in_another_process_are_the_same():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(ALL)],
        capture_output=True,
        text=True,
        check=True,
    )
    made = views.make(IMAGES, **ALL)
    assert done.stdout.split("\n")[-2] == (
        f"{made.astype('int64').sum()} {made[5].sum(axis=(0, 1)).tolist()}"
    )


def test_steps_follow_the_order():
    fields = {"blur": 1.0, "erasing": 1.0}
    blurred = views.make(IMAGES, blur=1.0)
    np.testing.assert_array_equal(
        views.make(IMAGES, **fields), views.make(blurred, erasing=1.0)
    )
    turned = views.make(IMAGES, **fields, order=("erasing", "blur"))
    erased = views.make(IMAGES, erasing=1.0)
    np.testing.assert_array_equal(turned, views.make(erased, blur=1.0))
    assert (turned != views.make(IMAGES, **fields)).any()


class RecordingDraws(order.Draws):
    """Draws that remember the numbers of the hash."""

    numbers = {}

    def _number(self, draw, times):
        number = super()._number(draw, times)
        found = np.ravel(number).tolist()
        self.numbers.setdefault(self.purpose, set()).update(found)
        return number


def test_no_two_augmentations_share_a_draw(monkeypatch):
    """Checks the augmentations of an image, the crop and the mixing."""
    monkeypatch.setattr(order, "Draws", RecordingDraws)
    monkeypatch.setattr(RecordingDraws, "numbers", {})
    spec = ViewSpec(seed=3, crop_scale=(0.1, 1.0), mixup=0.5, cutmix=0.5, **ALL)
    ids = tf.range(len(IMAGES), dtype=tf.int64)
    images = tf.constant(IMAGES)
    sizes = tf.fill([len(IMAGES)], 100)
    augmentation.make_views(images, ids, view=0, spec=spec)
    augmentation.crop_of(spec, view=0)(ids, sizes, sizes)
    augmentation.partners(ids, view=0, spec=spec, count=9)
    augmentation.mix(images, images, ids, view=0, spec=spec)
    found = RecordingDraws.numbers
    assert set(found) == {"", "random_crop", *table.AUGMENTATIONS}
    numbers = [number for drawn in found.values() for number in drawn]
    assert len(numbers) == len(set(numbers)) >= 45
    assert {x for x in numbers if x < 2**62} == set(range(1, 11))
