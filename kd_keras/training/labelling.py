"""Plans the store of a teacher's logits, and the job that writes it."""

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.distillation import losses
from kd_keras.store import manifest as manifests
from kd_keras.training import feature_targets, store_job, teacher_files
from kd_keras.utils import comma_lists


def plan(config, parts, files, spec, *, class_names=None):
    """The manifest of the store that `config.store` describes.

    Args:
        config: the resolved configuration.
        parts: dict of the parts of the dataset.
        files: `ensemble.TeacherFiles`.
        spec: `augmentation.ViewSpec` of the training examples.
        class_names: list of str, the classes of the data, or None.

    Returns:
        dict; see `store.plan`.

    Raises:
        ValueError: as `store.plan` and `check_top_k`.
    """
    fields = config.store
    check_top_k(config, comma_lists.split(config.teacher.outputs))
    targets = feature_targets.targets(config)
    views_count = fields.views
    if fields.share_views:
        spec, views_count = augmentation.ViewSpec(), 1
    return store.plan(
        parts,
        teacher=files.record,
        num_classes=_num_classes(files, parts),
        names=class_names or files.class_names,
        spec=spec,
        views_count=views_count,
        dtype=fields.dtype,
        top_k=fields.top_k,
        shard_views=fields.shard_views,
        # Only the loaded teacher knows the features' sizes.
        features=feature_targets.records(targets, files.teacher)
        if targets
        else (),
    )


def check_top_k(config, outputs=()):
    """Raises a ValueError if `store.top_k` is set for logits of sigmoids.

    The classes that are not among the top k share the rest of a softmax.

    Args:
        config: the resolved configuration.
        outputs: list of str, the meanings of the teachers' outputs.
    """
    loss, meaning = config.distill.loss, "label_probabilities"
    if losses.activation_of(loss) == "sigmoid":
        manifests.check_top_k_is_unset(
            config.store.top_k, f"distill.loss={loss}"
        )
    if meaning in outputs:
        manifests.check_top_k_is_unset(config.store.top_k, meaning)


def job(config, path, manifest, parts, files):
    """Makes the job that writes a teacher's store.

    Args:
        config: the resolved configuration.
        path: the directory.
        manifest: dict, as `plan` returns it.
        parts: dict of the parts of the dataset.
        files: `ensemble.TeacherFiles`; not loaded if nothing is left to do.

    Returns:
        `store_job.StoreJob`, which raises a ValueError as
        `teacher_files.load`, too.
    """

    def load(manifest, *, measured):
        teacher = teacher_files.load(files, parts, measured=measured)
        reduce = feature_targets.reducing(feature_targets.targets(config))
        return store.predicting(
            manifest, parts, lambda images: reduce(teacher.outputs(images))
        )

    return store_job.StoreJob(path, manifest, parts, load)


def _num_classes(files, parts):
    """The number of logits that are stored; 0 for a teacher without any."""
    if not files.has_logits:
        return 0
    known = teacher_files.num_logits(files.activation, parts["train"])
    return known or files.teacher.num_classes
