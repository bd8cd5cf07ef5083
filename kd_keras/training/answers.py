"""Makes the answers of the student's teacher: live or from a store."""

import logging

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.distillation import losses
from kd_keras.store import answers as stored
from kd_keras.store import manifest as manifests
from kd_keras.store import probed
from kd_keras.teachers import answers as live
from kd_keras.teachers import copies, probe
from kd_keras.training import (
    cluster,
    feature_targets,
    labelling,
    teacher_files,
    teacher_measure,
)
from kd_keras.utils import digests

_log = logging.getLogger(__name__)


def student_answers(context, parts, spec):
    """The answers of the student's teacher: live or from a store.

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
    shared = context.config.store.share_views
    if shared and not path:
        raise ValueError(
            "store.share_views needs store.path, a store or auto. Received: "
            "a teacher that runs in every step"
        )
    check_shared(context.config, spec)
    if not path:
        files = student_files(context)
        targets = feature_targets.targets(context.config)
        return live_answers(files, parts, targets)
    if path == "auto":
        return _labelled(context, parts, spec)
    return _opened(context, parts, spec)


def live_answers(files, parts, targets=()):
    """The answers of a teacher that is loaded when it is needed.

    Args:
        files: `ensemble.TeacherFiles`.
        parts: dict of the parts of the dataset that the teacher must fit.
        targets: list of `FeatureMatch`, one for each of its features.

    Returns:
        `LiveAnswers`.
    """
    return live.LiveAnswers(
        lambda: teacher_files.load(files, parts),
        record=files.record,
        class_names=files.class_names,
        has_logits=files.has_logits,
        reduce=feature_targets.reducing(targets) if targets else None,
    )


def student_files(context):
    """The files of the student's teacher: `ensemble.TeacherFiles`.

    Args:
        context: `prepare.Context`.

    Raises:
        ValueError: as `teacher_files.find`.
    """
    targets = feature_targets.targets(context.config)
    return teacher_files.find(
        context.config,
        context.savedmodels,
        class_names=context.dataset.class_names,
        features=tuple(match.teacher for match in targets),
    )


def _labelled(context, parts, spec):
    """Answers of `<workdir>/store`, which is written when it is needed."""
    files = student_files(context)
    targets = feature_targets.targets(context.config)
    manifest = labelling.plan(
        context.config,
        parts,
        files,
        spec,
        class_names=context.dataset.class_names,
    )

    def write_and_open():
        path = context.workdir / "store"

        def write():
            is_new = not store.is_finished(
                path,
                manifest,
                verify=False,
                remedy="Take another --workdir",
            )
            if is_new:
                labelling.job(
                    context.config, path, manifest, parts, files
                ).write()
            return is_new

        is_new = cluster.on_chief(context.strategy, write)
        cluster.wait_for_file(context.strategy, path / manifests.NAME)
        opened = store.LogitStore.open(path)
        opened = _checked(context, opened, parts, spec, files, targets)
        # A new store was measured when the teacher was loaded.
        return opened if is_new else _measured(opened, parts)

    return _stored_answers(context, write_and_open, manifest)


def _opened(context, parts, spec):
    """Answers of the store at `config.store.path`."""
    path = context.config.store.path
    opened = store.LogitStore.open(path)
    files = None
    # A finished store replaces the teacher, which need not exist any more.
    if teacher_files.is_given(context.config, context.savedmodels):
        files = student_files(context)
        if _replaces_export(context.config, opened, files):
            files = None
    targets = feature_targets.matches(context.config)
    opened = _checked(context, opened, parts, spec, files, targets)
    manifests.check_class_names(
        opened.manifest, context.dataset.class_names, path
    )
    return _stored_answers(
        context, lambda: _measured(opened, parts), opened.manifest
    )


def _replaces_export(config, opened, files):
    """Whether a store replaces the model that the teacher stage has exported.

    Predictions that were made elsewhere do not come from a teacher that was
    trained here, except for a head on their embeddings.
    """
    return (
        not config.teacher.path
        and manifests.is_imported(opened.manifest)
        and _probe_of(files, opened) is None
    )


def _stored_answers(context, open_store, manifest):
    shared = context.config.store.share_views
    if shared:
        _log.warning(
            "store: all views of an image share one prediction "
            "(store.share_views). A teacher that sees each view teaches "
            "better: https://arxiv.org/abs/2106.05237"
        )
    return stored.StoredAnswers(
        open_store, manifest=manifest, share_views=shared
    )


def check_shared(config, spec):
    """Checks that views may share the prediction of their image.

    Args:
        config: the resolved configuration.
        spec: `augmentation.ViewSpec` of the student's views.

    Raises:
        ValueError: if `store.share_views` is set and views mix two images.
    """
    if config.store.share_views and spec.mixes:
        raise ValueError(
            "store.share_views needs views of one image each. Received: "
            f"data.mixup={spec.mixup}, data.cutmix={spec.cutmix}, which mix "
            "two"
        )


def _measured(opened, parts):
    """Returns an open store whose logits were measured."""
    answers = stored.StoredAnswers(lambda: opened, manifest=opened.manifest)
    teacher_measure.check(answers, _held_parts(opened, parts))
    return opened


def _held_parts(opened, parts):
    """The parts of a dataset that a store holds.

    Predictions that were made elsewhere need not be of all parts.
    """
    if not manifests.is_imported(opened.manifest):
        return parts
    held = opened.manifest["parts"]
    return {name: part for name, part in parts.items() if name in held}


def _check_views(config, opened, spec):
    """Checks that a store holds predictions of the student's views."""
    is_plain = augmentation.is_plain(opened.manifest["spec"])
    if config.store.share_views:
        if not is_plain:
            raise ValueError(
                "store.share_views=true needs a store of images without "
                "augmentation, which was labelled with it. Received: "
                f"{opened.path}, of augmented views; leave store.share_views "
                "out, or label with it into another --workdir"
            )
        return
    # Without augmentation, views do not depend on their seed.
    if is_plain and spec.is_plain:
        return
    if is_plain:
        raise ValueError(
            "predictions of images without augmentation teach such images: "
            "set data.augment=none, data.mixup=0 and data.cutmix=0, or "
            f"store.share_views=true. Received: {opened.path}, and views "
            "with augmentation"
        )
    opened.check(spec=spec.record())


def _checked(context, opened, parts, spec, files, targets):
    """Checks that an open store holds the answers that are needed.

    Returns:
        `LogitStore` of these answers alone.
    """
    _check_views(context.config, opened, spec)
    teacher = None if files is None else files.record
    head = None if files is None else _probe_of(files, opened)
    if head is None:
        _check_top_k(context.config, opened)
    else:
        teacher = head.teacher
        opened = probed.ProbedStore(
            opened,
            head,
            record={key: files.record[key] for key in ("fingerprint", "graph")},
            class_names=files.class_names,
        )
    opened = opened.choose([match.target_record() for match in targets])
    expected = {"parts": store.describe(_held_parts(opened, parts))}
    activation = losses.activation_of(context.config.distill.loss)
    num_logits = teacher_files.num_logits(activation, parts["train"])
    if num_logits and opened.num_classes:
        expected["num_classes"] = num_logits
    if teacher is not None:
        expected["teacher"] = teacher
    opened.check(**expected)
    _log.info(
        "store: %s, %d views, teacher %s",
        opened.path,
        opened.views,
        digests.abbreviated(opened.manifest["teacher"]["fingerprint"]),
    )
    return opened


def _check_top_k(config, opened):
    """Refuses top-k logits where the loss takes those of sigmoids."""
    loss, top_k = config.distill.loss, opened.manifest["top_k"]
    if top_k and losses.activation_of(loss) == "sigmoid":
        raise ValueError(
            f"distill.loss={loss} needs a store of all logits, without "
            "store.top_k: each label has a probability of its own, so there "
            f"is no rest to share. Received: {opened.path} with "
            f"store.top_k={top_k}"
        )


def _probe_of(files, opened):
    """The `Probe` whose backbone's embeddings a store holds, or None."""
    path, *others = map(copies.local, files.paths)
    if others or not probe.can_load(path):
        return None
    head = probe.read(path)
    held = probe.backbone_record(opened.manifest["teacher"])
    return head if held == head.teacher else None
