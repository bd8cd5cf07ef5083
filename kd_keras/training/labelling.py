"""Plans and writes the store of a teacher's logits."""

import logging

from kd_keras import store
from kd_keras.training import teacher_files
from kd_keras.utils import locks, progress, scratch

_log = logging.getLogger(__name__)


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
    """
    fields = config.store
    num_classes = (
        teacher_files.num_logits(files.activation, parts["train"])
        or files.teacher.num_classes
    )
    return store.plan(
        parts,
        teacher=files.record,
        num_classes=num_classes,
        names=class_names or files.class_names,
        spec=spec,
        views_count=fields.views,
        dtype=fields.dtype,
        top_k=fields.top_k,
        shard_views=fields.shard_views,
    )


def write(path, manifest, parts, files, *, shard=0, num_shards=1):
    """Writes a store, or those of its files that do not exist yet.

    Args:
        path: the directory.
        manifest: dict, as `plan` returns it.
        parts: dict of the parts of the dataset.
        files: `ensemble.TeacherFiles`; not loaded if nothing is left to do.
        shard: int, the index of this process, from 0.
        num_shards: int, how many processes write the store.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: as `store.label` and `teacher_files.load`, or if another
            process writes the same shard.
    """
    scratch.clear(path)
    if store.is_finished(path, manifest):
        _log.info("store: finished before, in %s", path)
        return True
    with locks.holding(path, part=f"{shard}-of-{num_shards}"):
        teacher = teacher_files.load(files, parts)
        return store.label(
            path,
            manifest,
            parts,
            teacher,
            shard=shard,
            num_shards=num_shards,
            verbose=progress.verbosity(),
        )
