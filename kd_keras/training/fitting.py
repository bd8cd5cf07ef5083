"""Compiles and fits the network of a stage."""

import logging

import keras
import tensorflow as tf

from kd_keras.data import pipeline, splits
from kd_keras.models import image_spec, optimizers
from kd_keras.training import (
    callbacks,
    checkpoints,
    cluster,
    devices,
    resuming,
    save_times,
)
from kd_keras.utils import interruption, progress, tables

_log = logging.getLogger(__name__)

_SAMPLE_VIEWS = 8


def compile_network(stage, num_classes):
    """Builds a stage's network and the compiled model that trains it.

    Args:
        stage: `stages.base.Stage`.
        num_classes: int.

    Returns:
        `(network, model)`: two Keras models; `model.fit` trains `network`.
    """
    policy = devices.precision_policy(stage.config.precision)
    with stage.context.strategy.scope(), policy:
        network = stage.build(num_classes)
        optimizer = optimizers.make_optimizer(
            stage.optimizer_fields,
            steps_per_epoch=stage.steps_per_epoch,
            epochs=stage.ends[-1],
            extended_from=stage.ends[:-1],
        )
        model = stage.make_trainer(network, stage.steps_per_epoch)
        model.compile(optimizer)
        # Compiling may have wrapped the optimizer, for float16's loss scale.
        model.optimizer.build(model.trained_variables)
    return network, model


def log_size(stage, network, num_macs):
    """Logs the size of a stage's network and of its training."""
    _log.info(
        "%s: %s, %s parameters, %s multiply-accumulates, %s of %s, "
        "batch %d, %s, %d x %s",
        stage.name,
        stage.network_fields.model,
        f"{network.count_params():,}",
        f"{num_macs:,}",
        tables.counted(stage.fields.epochs, "epoch"),
        tables.counted(stage.steps_per_epoch, "step"),
        stage.fields.batch_size,
        stage.config.precision,
        stage.context.strategy.num_replicas_in_sync,
        tf.config.list_logical_devices()[-1].device_type,
    )


def fit(stage, network, model):
    """Trains a stage's network from its last checkpoint to the last epoch.

    Args:
        stage: `stages.base.Stage`.
        network, model: as `compile_network` returns them.
    """
    states = checkpoints.Checkpoints(stage.run_dir.checkpoints_dir, model)
    start = states.restore()
    cluster.agree(
        stage.context.strategy,
        {"the last state": str(start)},
        hint=cluster.SHARED.format(path=stage.run_dir.path),
    )
    if start != checkpoints.Position(0):
        _log_resuming(stage, start)
    if start.epochs == stage.fields.epochs:
        return
    verbose = 0
    if cluster.is_chief(stage.context.strategy):
        verbose = progress.verbosity()
    with interruption.deferred() as deferral:
        model.fit(
            stage.training_batches(start.epochs, start.steps),
            epochs=stage.fields.epochs,
            initial_epoch=start.epochs,
            steps_per_epoch=stage.steps_per_epoch,
            shuffle=False,
            verbose=verbose,
            validation_data=stage.validation_batches(),
            callbacks=resuming.ResumedCallbacks(
                _callbacks(stage, network, states, start, deferral),
                first_step=start.steps,
                restore_metrics=states.restore_metrics,
                model=model,
                add_history=True,
                add_progbar=True,
                verbose=verbose,
                epochs=stage.fields.epochs,
                steps=stage.steps_per_epoch,
            ),
        )


def _log_resuming(stage, start):
    step = ""
    if start.steps:
        step = f", step {start.steps} of {stage.steps_per_epoch}"
    _log.info(
        "%s: resumes after epoch %d of %d%s, from %s",
        stage.name,
        start.epochs,
        stage.fields.epochs,
        step,
        stage.run_dir.checkpoints_dir,
    )
    recorded = len(stage.run_dir.metrics())
    if recorded < start.epochs:
        _log.warning(
            "%s: %s holds %d of these epochs; the seconds of the others "
            "are not counted",
            stage.name,
            stage.run_dir.metrics_path,
            recorded,
        )


def _callbacks(stage, network, states, start, deferral):
    log = callbacks.MetricsLog(
        stage.run_dir,
        num_examples=stage.passes * len(stage.train),
        first_epoch=start.epochs,
        seconds=states.seconds,
        writes=cluster.is_chief(stage.context.strategy),
    )
    strategy = stage.context.strategy
    return [
        callbacks.StopOnNaN(
            steps_per_epoch=stage.steps_per_epoch,
            checkpoints_dir=stage.run_dir.checkpoints_dir,
        ),
        log,
        *(_drawing(stage, network) if cluster.is_chief(strategy) else []),
        # Last: an epoch is recorded before its state is saved.
        callbacks.SaveCheckpoint(
            states,
            times=save_times.make(stage.config.checkpoint_minutes, strategy),
            steps_per_epoch=stage.steps_per_epoch,
            log=log,
            interruption=deferral,
        ),
    ]


def _drawing(stage, network):
    """The callbacks of TensorBoard, which create files at once."""
    return [
        keras.callbacks.TensorBoard(
            str(stage.run_dir.tensorboard_dir), write_graph=False
        ),
        _sample_views(stage, network),
    ]


def _sample_views(stage, network):
    ids = tf.constant(splits.spread(stage.train, _SAMPLE_VIEWS).ids)

    def sample(epoch):
        view = stage.view_of(epoch)
        shown = pipeline.make_views(
            stage.train, ids, view=view, spec=stage.view_spec
        )
        predictions = stage.sample_predictions(network, ids, view, shown)
        drawn = image_spec.for_display(shown.numpy(), stage.train.image_spec)
        return drawn, predictions

    return callbacks.SampleViews(
        stage.run_dir.tensorboard_dir / "views", sample
    )
