"""Imports predictions that were made elsewhere into a store."""

import contextlib
import functools
import logging
import pathlib

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.models import class_names as class_name_checks
from kd_keras.store import importing, layout, prediction_files
from kd_keras.teachers import class_map
from kd_keras.training import (
    feature_targets,
    label_inputs,
    labelling,
    store_job,
    teacher_files,
)
from kd_keras.utils import digests, remote_copies, scratch

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def job(stage, file):
    """Yields a job that writes `<workdir>/store` from a file of predictions.

    Args:
        stage: `stages.student.StudentStage`, which will learn from them.
        file: str or path of a .npy, .npz or Parquet file; see
            `prediction_files`.

    Yields:
        `store_job.StoreJob`.

    Raises:
        ValueError: if the predictions do not fit the data.
    """
    context = stage.context
    label_inputs.check_teacher_is_unset(context.config)
    file = remote_copies.local(file, "--from")
    matches = feature_targets.matches(context.config)
    classes = class_map.find(context.config.teacher.classes)
    if classes is not None:
        classes = classes.in_order_of(context.dataset.class_names)
    is_new = not context.workdir.exists()
    try:
        with scratch.directory(context.workdir) as folder:
            predictions = importing.Predictions(
                prediction_files.read(file, folder),
                stage.parts,
                outputs=context.config.teacher.outputs,
                features=[match.target_record() for match in matches],
                classes=classes,
            )
            yield store_job.StoreJob(
                context.workdir / "store",
                _plan(stage, file, predictions, classes),
                predictions.parts,
                functools.partial(_outputs_of, predictions),
            )
    finally:
        # Refused predictions leave no directory.
        if is_new and not any(context.workdir.iterdir()):
            context.workdir.rmdir()


def _outputs_of(predictions, manifest, *, measured):
    """The `outputs_of` of `store.write`."""
    del measured  # Predictions are checked when they are read.
    return lambda name, positions: predictions.outputs(
        name, positions, layout.batch_size(name, manifest)
    )


def _plan(stage, file, predictions, classes):
    """The manifest of the store; see `store.plan`."""
    fields = stage.context.config.store
    labelling.check_top_k(stage.context.config, [predictions.choice.meaning])
    _check_classes(stage, file, predictions)
    names = stage.context.dataset.class_names or predictions.class_names
    spec = _spec(stage.view_spec, file, predictions)
    _log_parts(stage, predictions)
    return store.plan(
        predictions.parts,
        teacher={
            "fingerprint": digests.sha256_of_file(
                pathlib.Path(file).expanduser()
            ),
            **predictions.choice.record(),
            **({"classes": classes.record} if classes else {}),
        },
        num_classes=predictions.num_classes,
        names=names if predictions.num_classes else None,
        spec=spec,
        views_count=predictions.views,
        dtype=fields.dtype,
        top_k=fields.top_k,
        shard_views=fields.shard_views,
        features=predictions.features,
    )


def _check_classes(stage, file, predictions):
    if not predictions.num_classes:
        return
    expected = teacher_files.num_logits(stage.activation, stage.train)
    if expected and expected != predictions.num_classes:
        raise ValueError(
            "predictions must be of the classes of the data, "
            f"{expected:,} numbers for each image. Received: {file}, "
            f"{predictions.choice.logits} with {predictions.num_classes:,}"
        )
    class_name_checks.check_same(
        predictions.class_names,
        stage.context.dataset.class_names,
        model=str(file),
    )


def _spec(spec, file, predictions):
    """The augmentation that made the views of the predictions."""
    if predictions.plain:
        return augmentation.ViewSpec()
    if spec.is_plain:
        raise ValueError(
            "predictions of several views need the data.augment that the "
            f"views were made by. Received: {file} with {predictions.views} "
            "views, and no augmentation"
        )
    return spec


def _log_parts(stage, predictions):
    counts = [f"{len(x):,} {name}" for name, x in predictions.parts.items()]
    lacking = [name for name in stage.parts if name not in predictions.parts]
    _log.info(
        "predictions: %s of %s images%s",
        ", ".join(predictions.choice.names),
        ", ".join(counts),
        f"; none of {' and '.join(lacking)} images" if lacking else "",
    )
    shares = stage.context.config.store.share_views
    if predictions.plain and not (shares or stage.view_spec.is_plain):
        _log.warning(
            "predictions: of images without augmentation. Train with "
            "--config.data.augment=none, or with "
            "--config.store.share_views=true, and without mixup and cutmix"
        )
