"""Recipes and the order of augmentations, as users give them."""

import pytest

from kd_keras import config as config_lib
from kd_keras.config import augment, overrides
from kd_keras.utils import arguments


def configured(**texts):
    """The default configuration with `data.augment` changed by flags."""
    config = config_lib.default_config()
    fields = arguments.Fields("config")
    for name, text in texts.items():
        fields.add(name.replace("__", "."), text)
    overrides.apply(config, fields)
    config_lib.validate(config)
    overrides.check_used(config, fields.texts)
    return config


def test_fields_change_what_a_recipe_sets():
    config = configured(
        data__augment__mirror="none",
        data__augment="photos_strong",
        data__augment__blur="0.5",
    )
    found = {name: config.data.augment[name] for name in augment.recipe("none")}
    assert found == {
        **augment.recipe("photos_strong"),
        "mirror": "none",
        "blur": 0.5,
    }
    # The teacher's section follows the data's, unless a recipe sets it.
    assert config.teacher.augment.crop_scale == (0.08, 1.0)
    config = configured(teacher__augment="cifar", data__augment__cutout="8")
    assert config.teacher.augment.translate == 4
    assert config.teacher.augment.cutout == 0
    assert config.data.augment.translate == 0


def test_a_recipe_turns_all_others_off():
    config = config_lib.default_config()
    config.data.augment.cutout = 8
    config.data.augment.seed = 5
    config.data.augment.update(config_lib.augment_recipe("photos_light"))
    assert config.data.augment.cutout == 0
    assert config.data.augment.crop_scale == (0.08, 1.0)
    assert config.data.augment.seed == 5
    config_lib.validate(config)
    # Nothing but fields is recorded.
    assert set(config.data.augment) == {entry.name for entry in augment.FIELDS}


@pytest.mark.parametrize("name", augment.RECIPES)
def test_every_recipe_is_valid(name):
    config = configured(data__augment=name)
    assert (config == config_lib.default_config()) == (name == "none")


@pytest.mark.parametrize("text", ["erasing,blur", "('erasing', 'blur')"])
def test_an_order_is_given_by_names(text):
    config = configured(data__augment__order=text)
    assert config.data.augment.order == ("erasing", "blur")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "data__augment",
            "photos_lite",
            "--config.data.augment must be one of "
            "none, cifar, .*Did you mean 'photos_light'",
        ),
        ("data__augment", None, "--config.data.augment must have a value"),
        ("data__augment__order", "blurr", "order must be a tuple of some of"),
        ("data__augment__order", "blur,blur", "order must be .*, each once"),
        ("data__augment__crop_scale", "0.5", r"\(low, high\) .*: \(0.5,\)"),
        ("data__augment__crop_ratio", "(1, 2)", "crop_ratio has no effect"),
        ("data__augment__blur_sigma", "(1, 2)", "blur_sigma has no effect"),
        ("data__augment__hue", "0.6", "hue must be >= 0 and <= 0.5"),
        ("data", "cifar", "must be given field by field"),
    ],
)
def test_other_values_are_refused(name, text, message):
    with pytest.raises(ValueError, match=message):
        configured(**{name: text})
