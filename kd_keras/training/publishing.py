"""Measures the network of a stage, and exports it with its records."""

import logging
import shutil

import keras

from kd_keras.deployment import saved_model
from kd_keras.evaluation import comparison
from kd_keras.training import devices, model_card, run_directory
from kd_keras.utils import files

_log = logging.getLogger(__name__)


def build_in_float32(stage, num_classes):
    """Builds a stage's network in float32, whatever the training's precision.

    What is exported computes in float32, which is exact, and fast on every
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
        **comparison.test_results(
            network, stage.parts.get("test"), answers=stage.answers
        ),
    }


def publish(stage, network, report):
    """Writes the files of a finished stage: model, export and report.

    Args:
        stage: `stages.base.Stage`.
        network: Keras model, in float32.
        report: dict of JSON values.
    """
    run_directory.save_keras(network, stage.run_dir.model_path)
    _export(stage, network, report)
    # Last: the report marks the stage as finished.
    files.write_json(stage.run_dir.report_path, report)
    _log.info("%s: %s", stage.name, stage.run_dir.report_path)


def export_if_missing(stage, report):
    """Exports the model of a finished stage again if its export is gone."""
    if not _export_path(stage).exists():
        model = keras.models.load_model(stage.run_dir.model_path, compile=False)
        _export(stage, model, report)


def check_export_path(stage):
    """Raises a ValueError if somebody else's files are where exports go."""
    files.check_directory(
        _export_path(stage),
        remedy="take another --savedmodels or --config.name, or remove it",
    )


def _export_path(stage):
    return stage.context.savedmodels / stage.model_name


def _export(stage, model, report):
    """Exports a SavedModel with its model card and copies of the records."""
    path, run_dir = _export_path(stage), stage.run_dir
    provenance = run_dir.provenance()
    card = model_card.model_card(
        name=stage.model_name,
        training=stage.card_sentence(report),
        network=stage.network_fields.model,
        config=stage.config,
        dataset=stage.context.dataset,
        train=stage.train,
        report=report,
        command=provenance["command"],
        versions=provenance["versions"],
    )
    with files.replacing_directory(path) as new:
        dtype = stage.train.image_spec.dtype
        saved_model.write_saved_model(model, new, dtype=dtype)
        (new / "model_card.md").write_text(card)
        # So that the record is found without the run directory.
        files.write_json(new / run_dir.report_path.name, report)
        for record in (run_dir.config_path, run_dir.metrics_path):
            # The combination of specialists has no metrics of its own.
            if record.exists():
                shutil.copyfile(record, new / record.name)
    _log.info("%s: exported to %s", stage.name, path)
