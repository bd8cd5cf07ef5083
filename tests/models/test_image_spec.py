"""The contract between images and models: types, ranges and shapes."""

import numpy as np
import pytest

from kd_keras.models import image_spec

FRACTIONS = np.random.default_rng(0).random((6, 5, 5, 3))


def spec_of(low, high):
    return image_spec.ImageSpec("float32", low, high)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint16"])
def test_integers_from_0_to_255_are_uint8_whatever_their_type(dtype):
    images = (255 * FRACTIONS).astype(dtype)
    spec = image_spec.measure(images)
    assert spec == image_spec.UINT8
    assert spec.cast(images).dtype == np.uint8
    np.testing.assert_array_equal(spec.cast(images), images)


@pytest.mark.parametrize(
    "images, low, high",
    [
        (np.float64([0.25, 0.5]), 0.25, 0.5),
        (np.float16([-1, 1]), -1, 1),
        (np.float32([0, 255]), 0, 255),
        (np.uint16([0, 65_535]), 0, 65_535),
        (np.int16([-1000, 3000]), -1000, 3000),
        (np.int8([-128, 127]), -128, 127),
        (np.uint32([0, 2**32 - 256]), 0, 2**32 - 256),
    ],
)
def test_all_other_numbers_are_float32_with_their_range(images, low, high):
    spec = image_spec.measure(images)
    assert spec == image_spec.ImageSpec("float32", low, high)
    assert spec.cast(images).dtype == np.float32
    assert image_spec.from_record(spec.record()) == spec


def test_yes_and_no_are_integers():
    spec = image_spec.measure(FRACTIONS > 0.5)
    assert spec == image_spec.UINT8
    assert spec.cast(FRACTIONS > 0.5).dtype == np.uint8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(value):
    images = FRACTIONS.copy()
    images[2:5, 0, 0, 1] = value
    with pytest.raises(ValueError, match="3 values.*3 of 6 .* at index 2"):
        image_spec.measure(images)


@pytest.mark.parametrize("dtype", ["object", "complex64", "str", "datetime64"])
def test_arrays_of_other_things_than_numbers_are_refused(dtype):
    with pytest.raises(ValueError, match="must be numbers"):
        image_spec.measure(np.zeros((4, 2, 2, 3), "int64").astype(dtype))


@pytest.mark.parametrize(
    "shape, hint",
    [
        ((9, 3, 32, 32), "channels first"),
        ((9, 1, 28, 28), "channels first"),
        ((9, 4, 8, 8), "channels first"),
        ((9, 3, 20, 30), "channels first"),
        ((32, 32, 3), "a single image"),
        ((28, 28, 1), "a single image"),
        ((0, 5, 5, 3), "shape"),
        ((5, 5, 5, 0), "shape"),
        ((9, 784), "shape"),
    ],
)
def test_shapes_that_are_not_of_images_are_refused(shape, hint):
    with pytest.raises(ValueError, match=hint):
        image_spec.as_array(np.zeros(shape))


def test_images_of_several_sizes_are_refused():
    with pytest.raises(ValueError, match="must be resized first"):
        image_spec.as_array([np.zeros((4, 4, 3)), np.zeros((5, 4, 3))])


@pytest.mark.parametrize(
    "shape",
    [(6, 5, 5), (9, 1, 128, 9), (9, 4, 128, 9), (2, 3, 3, 3), (2, 4, 4, 4)],
)
def test_images_of_few_rows_or_of_one_channel_are_images(shape):
    assert image_spec.as_array(np.zeros(shape)).shape[:3] == shape[:3]


@pytest.mark.parametrize(
    "model, images",
    [
        (image_spec.UINT8, spec_of(0, 255)),
        # Dark, and with the overshoot of resizing.
        (spec_of(0, 1), spec_of(0.01, 0.1)),
        (spec_of(0, 1), spec_of(-0.05, 1.04)),
        (spec_of(-0.15, 1.05), spec_of(0, 1)),
        (spec_of(-1, 1), spec_of(-0.9, 0.8)),
        (spec_of(-1.3, 1.25), spec_of(-1.1, 1.1)),
        # Standardised, and Hounsfield units.
        (spec_of(-2.1, 2.6), spec_of(-1.8, 3.1)),
        (spec_of(-1024, 3071), spec_of(-1000, 1800)),
        (None, spec_of(0, 1)),
    ],
)
def test_sets_of_the_same_scaling_fit(model, images):
    image_spec.check_same(model, images, model="a model")


@pytest.mark.parametrize(
    "model, images",
    [
        (image_spec.UINT8, spec_of(0, 1)),
        (image_spec.UINT8, spec_of(-1, 1)),
        (image_spec.UINT8, spec_of(0, 65_535)),
        (spec_of(0, 1), spec_of(-1, 1)),
        (spec_of(-2.1, 2.6), spec_of(0, 1)),
        (spec_of(-1.23, 2.1), spec_of(0.02, 0.93)),
        # Standardised digits, most of whose pixels are black.
        (spec_of(-0.42, 2.82), spec_of(0, 1)),
        (spec_of(-1024, 3071), image_spec.UINT8),
    ],
)
def test_sets_of_another_scaling_are_refused_either_way(model, images):
    for one, other in ((model, images), (images, model)):
        with pytest.raises(ValueError, match="scale them in the same way"):
            image_spec.check_same(one, other, model="a model")


@pytest.mark.parametrize(
    "low, high, usual",
    [
        (0, 1, (0, 1)),
        (0.001, 0.03, (0, 1)),
        (-0.05, 1.04, (0, 1)),
        (-0.9, 0.8, (-1, 1)),
        (0, 16, (0, 255)),
        (-3, 258, (0, 255)),
        (0, 4095, (0, 65_535)),
        (-300, 900, None),
        (-2.1, 2.6, None),
        (0, 1e6, None),
    ],
)
def test_the_usual_range_is_the_narrowest_that_holds_the_values(
    low, high, usual
):
    assert spec_of(low, high).usual_range == usual


def test_the_error_names_both_ranges():
    with pytest.raises(ValueError) as caught:
        image_spec.check_same(
            image_spec.UINT8, spec_of(0.02, 0.97), model="teacher.keras"
        )
    assert str(caught.value) == (
        "the images must have the range of values that teacher.keras takes: "
        "uint8 from 0 to 255. Received: float32 from 0.02 to 0.97; scale them "
        "in the same way"
    )


@pytest.mark.parametrize(
    "record",
    [None, {}, [1], {"dtype": "uint8"}, {"dtype": "x", "low": 0, "high": 1}],
)
def test_a_record_without_images_says_nothing(record):
    assert image_spec.from_record(record) is None


def test_images_are_shown_from_black_to_white():
    images = np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1)
    shown = image_spec.for_display(images, image_spec.measure(images))
    assert shown.dtype == np.uint8
    assert shown.ravel().tolist() == [0, 128, 255]
    for channels, seen in ((1, 1), (2, 1), (3, 3), (4, 3), (7, 3)):
        images = np.full((2, 4, 4, channels), 9, "uint8")
        shown = image_spec.for_display(images, image_spec.UINT8)
        assert shown.shape == (2, 4, 4, seen) and (shown == 9).all()


def test_floats_are_rounded_to_integers_and_clipped():
    images = np.float32([-3, 0.4, 99.9, 300])
    integers = image_spec.to_dtype(images, "uint8")
    assert integers.tolist() == [0, 0, 100, 255]
