"""Resolves the configuration and loads the data of a run."""

import dataclasses
import logging
import pathlib

import ml_collections
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.data import datasets, sources, splits
from kd_keras.training import devices

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Context:
    """The inputs that the stages of a run share.

    Attributes:
        config: the resolved configuration.
        strategy: `tf.distribute.Strategy`.
        dataset: `datasets.Dataset`.
        parts: dict of `train` and, if any, `validation` and `test`.
        transfer_parts: the same, with the transfer set as `train`.
        workdir: path; a stage works in `<workdir>/<stage>/`.
        savedmodels: path; exports go to `<savedmodels>/<name>_<stage>/`.
        command: str, as it was typed.
        extend: bool; True goes on with earlier runs for more epochs.
    """

    config: ml_collections.ConfigDict
    strategy: tf.distribute.Strategy
    dataset: datasets.Dataset
    parts: dict
    transfer_parts: dict
    workdir: pathlib.Path
    savedmodels: pathlib.Path
    command: str
    extend: bool = False


def prepare(
    config, *, workdir, savedmodels, dataset=None, command="", extend=False
):
    """Validates and resolves a configuration, and loads its data.

    Args:
        config: `ConfigDict`; see `kd_keras.config`.
        workdir, savedmodels, command, extend: see `Context`.
        dataset: `datasets.Dataset`, or None to load `config.data`.

    Returns:
        `Context`.

    Raises:
        ValueError: if the configuration or the data cannot be used.
    """
    config = config.copy_and_resolve_references()
    config_lib.validate(config)
    config.precision = devices.resolve_precision(config.precision)
    strategy = devices.make_strategy(config.devices)
    # The same command gives the same bits, on GPUs too.
    tf.config.experimental.enable_op_determinism()
    if dataset is None:
        dataset = sources.load_dataset(config.data)
    split = parts(dataset, config)
    return Context(
        config=config,
        strategy=strategy,
        dataset=dataset,
        parts=split,
        transfer_parts=transfer_parts(split, config),
        workdir=pathlib.Path(workdir),
        savedmodels=pathlib.Path(savedmodels),
        command=command,
        extend=extend,
    )


def parts(dataset, config):
    """The parts of a dataset: dict of `train`, `validation` and `test`.

    One line of the log says what was loaded.
    """
    split = splits.split(
        dataset,
        validation_examples=config.data.validation_examples,
        max_train_examples=config.data.max_train_examples,
    )
    _log.info(
        "data: %s from %s: %s examples of %s",
        dataset.name,
        dataset.source,
        ", ".join(f"{len(part)} {name}" for name, part in split.items()),
        " x ".join(map(str, dataset.train.image_shape)),
    )
    return split


def transfer_parts(parts, config):
    """The parts, with the transfer set as `train`."""
    train = splits.transfer_set(parts["train"], **config.transfer)
    if train is not parts["train"]:
        _log.info("transfer set: %s of the train examples", len(train))
    return {**parts, "train": train}
