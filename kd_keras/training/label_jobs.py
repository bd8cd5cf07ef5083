"""Opens the store that a configuration describes, to be written."""

import contextlib

from kd_keras.data import pipeline
from kd_keras.store import prediction_files, remote_place
from kd_keras.training import answers, importing, labelling, prepare
from kd_keras.training.stages import stage_class


@contextlib.contextmanager
def opened(config, *, workdir, savedmodels, dataset=None, predictions=""):
    """Plans `<workdir>/store`; writes nothing yet.

    Args:
        config: as of `runs.label`.
        workdir: as of `runs.label`.
        savedmodels: as of `runs.label`.
        dataset: as of `runs.label`.
        predictions: as of `runs.label`.

    Yields:
        `store_job.StoreJob`.

    Raises:
        ValueError: as `runs.label`.
    """
    with remote_place.staged(workdir) as place:
        context = prepare.prepare(
            config,
            workdir=place,
            savedmodels=savedmodels,
            dataset=dataset,
            check=lambda _: _check_predictions(predictions),
        )
        with _job(context, predictions) as job, contextlib.closing(job):
            yield job


def _check_predictions(file):
    """Checks the suffix before the data are read, which may take long."""
    if file:
        prediction_files.check_suffix(file)


def _job(context, predictions):
    """A context with the `StoreJob` of the student's teacher."""
    stage = stage_class("student")(context)
    pipeline.check_views(stage.train, stage.view_spec)
    answers.check_shared(context.config, stage.view_spec)
    if predictions:
        return importing.job(stage, predictions)
    files = answers.student_files(context)
    manifest = labelling.plan(
        context.config,
        stage.parts,
        files,
        stage.view_spec,
        class_names=context.dataset.class_names,
    )
    path = context.workdir / "store"
    return contextlib.nullcontext(
        labelling.job(context.config, path, manifest, stage.parts, files)
    )
