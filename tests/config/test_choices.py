"""Names that the configuration accepts, against the code that they choose."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.config import augment, distill, general, optimizer, store
from kd_keras.data import augmentation
from kd_keras.data.augmentation import table
from kd_keras.distillation import distiller, losses
from kd_keras.evaluation.comparison import evaluate_model
from kd_keras.models import optimizers


def test_losses():
    assert tuple(losses.LOSSES) == distill.SOFT_LOSSES


@pytest.mark.parametrize("name", distill.SOFT_LOSSES)
def test_the_options_of_a_loss_have_the_defaults_of_its_function(name):
    parameters = inspect.signature(losses.LOSSES[name]).parameters
    for option in distill.LOSS_OPTIONS[name]:
        assert parameters[option.name].default == option.default


@pytest.mark.parametrize("function", [distiller.Distiller, evaluate_model])
def test_the_default_temperature_is_that_of_the_configuration(function):
    default = inspect.signature(function).parameters["temperature"].default
    assert default == config_lib.default_config().distill.temperature


def test_optimizers_differ():
    made = []
    for name in optimizer.OPTIMIZERS:
        fields = config_lib.default_config().student.optimizer
        fields.name = name
        made += [optimizers.make_optimizer(fields, steps_per_epoch=1, epochs=1)]
    assert len(set(map(type, made))) == len(optimizer.OPTIMIZERS)


def test_schedules_differ():
    half_way = {
        float(
            optimizers.WarmupThenDecay(
                peak=1.0,
                warmup_steps=0,
                total_steps=100,
                shape=shape,
                final_factor=0.0,
            )(20)
        )
        for shape in optimizer.SCHEDULES
    }
    assert len(half_way) == len(optimizer.SCHEDULES)


def test_augmentation_has_the_fields_and_defaults_of_a_view():
    config = config_lib.default_config().data
    fields = {
        **config.augment,
        "mixup": config.mixup,
        "cutmix": config.cutmix,
    }
    assert fields == dataclasses.asdict(augmentation.ViewSpec())


def test_augmentations():
    assert tuple(table.AUGMENTATIONS) == augment.AUGMENTATIONS


def test_mirrors_differ():
    images = tf.random.stateless_uniform((64, 4, 4, 1), seed=(0, 0))
    ids = tf.range(64, dtype=tf.int64)
    views = set()
    for mirror in augment.MIRRORS:
        spec = augmentation.ViewSpec(mirror=mirror)
        epochs = [
            augmentation.make_views(images, ids, view=view, spec=spec)
            for view in range(2)
        ]
        views.add(np.stack(epochs).tobytes())
    assert len(views) == len(augment.MIRRORS)


@pytest.mark.parametrize("name", general.PRECISIONS[1:])
def test_precisions_are_those_of_keras(name):
    assert keras.dtype_policies.get(name).name == name


@pytest.mark.parametrize("name", store.STORE_DTYPES)
def test_stored_types_are_those_of_numpy(name):
    assert np.dtype(name).kind == "f"
