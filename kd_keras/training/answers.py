"""Makes the answers of the student's teacher: live or from a store."""

import logging
import pathlib

from kd_keras import store
from kd_keras.distillation import losses
from kd_keras.store import answers as stored
from kd_keras.store import manifest as manifests
from kd_keras.store import probed
from kd_keras.teachers import answers as live
from kd_keras.teachers import probe
from kd_keras.training import labelling, teacher_files, teacher_measure

_log = logging.getLogger(__name__)


def student_answers(context, parts, spec):
    """The answers of the student's teacher, as `config.store.path` wants them.

    The only place that distinguishes a live teacher from a store.

    Args:
        context: `prepare.Context`.
        parts: dict of the parts that the student is trained and tested on.
        spec: `augmentation.ViewSpec` of the student's views.

    Returns:
        `LiveAnswers`, or `StoredAnswers`. Nothing is loaded or written
        before it is needed.

    Raises:
        ValueError: if the teacher or the store does not exist, or the store
            holds other logits.
    """
    path = context.config.store.path
    if not path:
        files = _files(context)
        return live_answers(files, parts)
    if path == "auto":
        return _labelled(context, parts, spec)
    return _opened(context, parts, spec)


def live_answers(files, parts):
    """The answers of a teacher that is loaded when it is needed.

    Args:
        files: `ensemble.TeacherFiles`.
        parts: dict of the parts of the dataset that the teacher must fit.

    Returns:
        `LiveAnswers`.
    """
    return live.LiveAnswers(
        lambda: teacher_files.load(files, parts),
        record=files.record,
        class_names=files.class_names,
    )


def _files(context):
    return teacher_files.find(
        context.config,
        context.savedmodels,
        class_names=context.dataset.class_names,
    )


def _labelled(context, parts, spec):
    """Answers of `<workdir>/store`, which is written when it is needed."""
    files = _files(context)
    manifest = labelling.plan(
        context.config,
        parts,
        files,
        spec,
        class_names=context.dataset.class_names,
    )

    def write_and_open():
        path = context.workdir / "store"
        is_new = not store.is_finished(path, manifest)
        labelling.write(path, manifest, parts, files)
        # Its files were compared with their checksums.
        opened = _open(path, parts, spec, files, files.activation, verify=False)
        # What is new was measured with the teacher.
        return opened if is_new else _measured(opened, parts)

    return stored.StoredAnswers(write_and_open, manifest=manifest)


def _opened(context, parts, spec):
    """Answers of the store at `config.store.path`."""
    files = None
    # A finished store replaces the teacher, which need not exist any more.
    if teacher_files.is_given(context.config, context.savedmodels):
        files = _files(context)
    activation = losses.activation_of(context.config.distill.loss)
    path = context.config.store.path
    opened = _open(path, parts, spec, files, activation)
    manifests.check_class_names(
        opened.manifest, context.dataset.class_names, path
    )
    return stored.StoredAnswers(
        lambda: _measured(opened, parts), manifest=opened.manifest
    )


def _measured(opened, parts):
    """Returns an open store whose logits were measured."""
    answers = stored.StoredAnswers(lambda: opened, manifest=opened.manifest)
    teacher_measure.check(answers, parts)
    return opened


def _open(path, parts, spec, files, activation, *, verify=True):
    """Opens a store and checks that it holds the logits that are needed."""
    opened = store.LogitStore.open(path, verify=verify)
    teacher = None if files is None else files.record
    head = None if files is None else _probe_of(files, opened)
    if head is not None:
        teacher = head.teacher
        opened = probed.ProbedStore(
            opened,
            head,
            record={key: files.record[key] for key in ("fingerprint", "graph")},
            class_names=files.class_names,
        ).choose([])
    expected = {
        "spec": spec.record(),
        "num_classes": teacher_files.num_logits(activation, parts["train"])
        or opened.num_classes,
        "parts": store.describe(parts),
    }
    if teacher is not None:
        expected["teacher"] = teacher
    opened.check(**expected)
    _log.info(
        "store: %s, %d views, teacher %s",
        path,
        opened.views,
        opened.manifest["teacher"]["fingerprint"][:12],
    )
    return opened


def _probe_of(files, opened):
    """The `Probe` whose backbone's embeddings a store holds, or None."""
    path, *others = map(pathlib.Path, files.paths)
    if others or not probe.can_load(path):
        return None
    head = probe.read(path)
    held = probe.backbone_record(opened.manifest["teacher"])
    return head if held == head.teacher else None
