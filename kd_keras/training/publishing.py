"""Measures the network of a stage, and exports it with its records."""

import itertools
import logging
import os
import shutil

import keras

from kd_keras import config as config_lib
from kd_keras.evaluation import trained
from kd_keras.teachers import options
from kd_keras.training import (
    devices,
    model_card,
    outcome,
    run_directory,
    run_records,
)
from kd_keras.utils import files, locks, manifests

_log = logging.getLogger(__name__)

_OTHER_NAME = "take another --savedmodels or --config.name"
_REMEDY = f"{_OTHER_NAME}, or remove it"
# Files without which there is no SavedModel.
_NEEDED = ("saved_model.pb", "variables/variables.index")


def build_in_float32(stage, num_classes):
    """Builds a stage's network in float32, whatever the training's precision.

    The exported model computes in float32, which is exact, and fast on every
    machine; the variables are float32 in any case.
    """
    with devices.precision_policy("float32"):
        return stage.build(num_classes)


def measured(stage, network, num_macs):
    """The entries of a stage's report about its network.

    Args:
        stage: `stages.base.Stage`.
        network: Keras model, in float32.
        num_macs: int, its multiply-accumulates for an image.

    Returns:
        dict of JSON values.
    """
    return {
        "stage": stage.name,
        "parameters": network.count_params(),
        "macs": num_macs,
        "images": stage.train.image_spec.record(),
        **class_names(stage),
        **_results(stage, network),
    }


def _results(stage, network):
    """Entries about the network's predictions; none without logits."""
    test = stage.parts.get("test") if stage.has_logits else None
    results = trained.test_results(network, test, answers=stage.answers)
    if not stage.has_logits:
        return {**results, "outputs": options.FEATURES}
    return {**results, **outcome.warnings(stage, network)}


def class_names(stage):
    """The entry of a report about the classes, if their names are known."""
    names = stage.class_names if stage.has_logits else None
    return {"class_names": list(names)} if names else {}


def publish(stage, network, report):
    """Writes the files of a finished stage: model, export and report.

    Args:
        stage: `stages.base.Stage`.
        network: Keras model, in float32.
        report: dict of JSON values.
    """
    stage.run_dir.write_model(network)
    # Checked again: another run may have exported meanwhile.
    check_export_path(stage, stage.run_dir.recorded()["depends_on"])
    _export(stage, network, report)
    # Last: the report marks the stage as finished.
    stage.run_dir.write_json(stage.run_dir.report_path.name, report)
    _log.info("%s: %s", stage.name, stage.run_dir.report_path)
    outcome.log(stage, report)


def repair_export(stage, report, depends_on):
    """Exports a finished stage again if its export is missing or damaged.

    Files that changed since they were written are kept in a directory beside
    the export.

    Args:
        stage: `stages.base.Stage`.
        report: dict, the stage's report.
        depends_on: dict; see `RunDir.check`.

    Raises:
        ValueError: as `check_export_path`.
    """
    path = export_path(stage)
    if path.exists() and not _is_listed_as_own(stage):
        _check_run_of_export(stage, depends_on)
    damaged = _damaged_files(path)
    if not damaged:
        return
    if (path / manifests.NAME).exists() and not _is_replaceable(path):
        aside = _free_name(path)
        path.resolve().rename(aside)
        _log.warning(
            "%s: %s was changed or damaged (%s); it is kept as %s",
            stage.name,
            path,
            files.named(damaged),
            aside,
        )
    model = keras.models.load_model(stage.run_dir.model_path, compile=False)
    _export(stage, model, report)


def check_export_path(stage, depends_on):
    """Raises a ValueError if the stage may not export to its path.

    It may not if the path holds files of somebody else, or the export of
    another run.

    Args:
        stage: `stages.base.Stage`.
        depends_on: dict; see `RunDir.check`.
    """
    _check_run_of_export(stage, depends_on)
    files.check_directory(export_path(stage), remedy=_REMEDY)


def holding(savedmodels, name):
    """Context that keeps other runs from exporting a model of the same name.

    Args:
        savedmodels: path; see `prepare.Context`.
        name: str, the model's name.

    Raises:
        ValueError: on entry, if another run holds it.
    """
    return locks.holding(savedmodels, part=name, remedy=_OTHER_NAME)


def export_list_path(stage):
    """The path of the list of the files of a stage's export."""
    return export_path(stage) / manifests.NAME


def _check_run_of_export(stage, depends_on):
    path = export_path(stage)
    copy = path / run_directory.CONFIG_NAME
    if not copy.exists():
        return
    record = run_records.read_exported_config(copy, remedy=_REMEDY)
    if stage.run_dir.owns(record, depends_on):
        return
    by = record.get("directory", record["command"])
    lines = config_lib.differing(record["depends_on"], depends_on)
    raise ValueError(
        f"{path} must not be the export of another run. Received: the one of "
        f"{by}, with other {files.named(lines)}; {_REMEDY}"
    )


def _is_listed_as_own(stage):
    """Whether the export's list of files has the run's own `config.json`."""
    run_dir = stage.run_dir
    try:
        listed = manifests.read(export_path(stage))
    except ValueError:
        return False
    return manifests.is_as_written(
        run_dir.path, run_dir.config_path.name, listed
    )


def _damaged_files(path):
    """Names of files of an export that are missing or damaged."""
    if not path.exists():
        return [path.name]
    try:
        listed = manifests.read(path)
    except ValueError:
        return [manifests.NAME]
    if listed:
        return manifests.changed(path, listed)
    # Version 0.1 wrote no list.
    return [name for name in _NEEDED if not (path / name).is_file()]


def _is_replaceable(path):
    try:
        files.check_directory(path)
    except ValueError:
        return False
    return True


def _free_name(path):
    """A path beside `path` at which nothing exists: str."""
    names = (f"{path.resolve()}.damaged-{i}" for i in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))


def export_path(stage):
    """The directory of a stage's exported model."""
    return stage.context.savedmodels / stage.model_name


def _export(stage, model, report):
    """Exports a model with its model card and copies of the records."""
    path, run_dir = export_path(stage), stage.run_dir
    provenance = run_dir.provenance()
    with files.replacing_directory(path) as new:
        card = model_card.model_card(
            name=stage.model_name,
            training=stage.card_sentence(report),
            outputs=stage.write_export(model, new),
            network=stage.architecture,
            image_size=stage.network_fields.image_size,
            config=stage.config,
            dataset=stage.context.dataset,
            train=stage.train,
            few_labels=stage.few_labels,
            report=report,
            command=provenance["command"],
            versions=provenance["versions"],
        )
        (new / "model_card.md").write_text(card)
        # A copy, so that the record is found without the run directory.
        files.write_json(new / run_dir.report_path.name, report)
        for record in (run_dir.config_path, run_dir.metrics_path):
            # The combination of specialists has no metrics of its own.
            if record.exists():
                shutil.copyfile(record, new / record.name)
    _log.info("%s: exported to %s", stage.name, path)
