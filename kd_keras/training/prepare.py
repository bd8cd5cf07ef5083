"""Resolves the configuration and loads the data of a run."""

import dataclasses
import logging
import pathlib
import platform

import ml_collections
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.data import datasets, sources, splits
from kd_keras.training import cluster, devices, teacher_paths
from kd_keras.utils import provenance

_log = logging.getLogger(__name__)
# Fields that may differ between workers: paths, and patience.
_OWN_FIELDS = {
    "cluster.patience_seconds",
    "data.data_dir",
    "data.labelled_ids",
    "store.path",
    "student.weights",
    "teacher.backbone",
    "teacher.path",
    "teacher.weights",
}


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
        extend: bool; True trains earlier runs for more epochs.
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
    config,
    *,
    workdir,
    savedmodels,
    dataset=None,
    command="",
    extend=False,
    workers=None,
    facts=None,
    check=lambda config: None,
):
    """Validates and resolves a configuration, and loads its data.

    Args:
        config: `ConfigDict`; see `kd_keras.config`.
        workdir, savedmodels, command, extend: see `Context`.
        dataset: `datasets.Dataset`, or None to load `config.data`.
        workers: `tf_config.Workers` that train together, or None.
        facts: dict of JSON values that must be the same on all workers.
        check: function of the configuration that raises a ValueError if it
            cannot be used; called before the data are read.

    Returns:
        `Context`.

    Raises:
        ValueError: if the configuration or the data cannot be used, or the
            workers differ.
    """
    config = config.copy_and_resolve_references()
    if workers is None:
        _check(config, check)
    else:
        _meet(config, workers, facts, check)
    config.precision = devices.resolve_precision(config.precision)
    if config.teacher.precision == "auto":
        config.teacher.precision = devices.teacher_precision(
            is_graph=teacher_paths.are_graphs(
                teacher_paths.of(config, savedmodels)
            )
        )
    strategy = _make_strategy(config, workers)
    # The same command gives the same bits, on GPUs too.
    tf.config.experimental.enable_op_determinism()
    with cluster.failing_together(strategy):
        if dataset is None:
            dataset = sources.load_dataset(config.data)
        split = parts(dataset, config)
        transfer = transfer_parts(split, config)
    return Context(
        config=config,
        strategy=strategy,
        dataset=dataset,
        parts=split,
        transfer_parts=transfer,
        workdir=pathlib.Path(workdir),
        savedmodels=pathlib.Path(savedmodels),
        command=command,
        extend=extend,
    )


def _check(config, check):
    config_lib.validate(config)
    check(config)


def _meet(config, workers, facts, check):
    """Waits for all workers, which must be about to do the same.

    A worker whose configuration is refused tells the others before it ends.
    """
    failure = None
    try:
        _check(config, check)
    except ValueError as error:
        failure = error
    mine = {
        **facts,
        **_shared_fields(config),
        **{
            f"version of {name}": version
            for name, version in provenance.versions()["packages"].items()
        },
        "version of python": platform.python_version(),
        "commit of kd_keras": provenance.own_version(),
        # TensorFlow expects the same number everywhere.
        "number of GPUs": len(tf.config.list_physical_devices("GPU")),
    }
    cluster.meet(
        workers,
        mine,
        patience_seconds=config.cluster.patience_seconds,
        failure=str(failure or ""),
    )
    if failure is not None:
        raise failure


def _shared_fields(config):
    """The fields of the configuration that workers must share: flat dict.

    Other fields, such as paths, must only be set on all workers or on none.
    The contents of files are compared where the files are read.
    """
    fields = config_lib.flatten(config.to_dict())
    return {
        name: bool(value) if name in _OWN_FIELDS and value != "auto" else value
        for name, value in fields.items()
    }


def _make_strategy(config, workers):
    if workers is None:
        return devices.make_strategy(config.devices)
    return cluster.make_strategy(
        workers,
        device_count=config.devices,
        patience_seconds=config.cluster.patience_seconds,
    )


def parts(dataset, config):
    """The parts of a dataset: dict of `train`, `validation` and `test`.

    Logs their sizes and the source of the data in one line.
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
