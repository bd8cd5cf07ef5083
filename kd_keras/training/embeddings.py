"""Finds the embeddings of images that a probe teacher is fitted to."""

import logging
import pathlib

import numpy as np

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.store import manifest as manifests
from kd_keras.store import probed
from kd_keras.teachers import copies, ensemble, loading, probe
from kd_keras.teachers import options as teacher_options
from kd_keras.teachers.outputs import Outputs
from kd_keras.training import cluster, teacher_files
from kd_keras.utils import digests, locks, progress, remote, scratch

_log = logging.getLogger(__name__)


class Embeddings:
    """The embeddings of a dataset by one model, in a store.

    Args:
        open_store: function without arguments that returns the `LogitStore`,
            which has the embedding as its only feature. Called once.
        manifest: dict, the store's.
        backbone: str, the path or name of the model; empty where only the
            store exists.
        options: `TeacherOptions` of the model.
        layer: str, the name of the feature that is the embedding.
    """

    def __init__(self, open_store, *, manifest, backbone, options, layer):
        self._open_store = open_store
        self._store = None
        self._manifest = manifest
        self.backbone = backbone
        self.options = options
        self.layer = layer
        # A probe depends on it.
        self.record = {
            f"store.{key}": value
            for key, value in store.comparable(manifest).items()
        }

    @property
    def teacher(self):
        """The record of the model: dict."""
        return probe.backbone_record(self._manifest["teacher"])

    def count_parameters(self):
        """The number of the model's weights; 0 if the model is missing."""
        if not self.backbone:
            return 0
        kind, reference = loading.find_teacher(self.backbone)
        return sum(np.size(array) for array in kind.weight_arrays(reference))

    def open(self):
        """Opens the store, after writing it if it is missing."""
        if self._store is None:
            self._store = self._open_store()

    def of(self, examples, part):
        """Reads the embeddings of all stored views of some examples.

        Args:
            examples: `Examples`.
            part: `train`, `validation` or `test`.

        Returns:
            float32 array `(n, views, d)`.
        """
        self.open()
        views = self._manifest["parts"][part]["views"]
        (shape,) = self._store.feature_shapes
        values = np.empty((len(examples), views, *shape), "float32")
        for view in range(views):
            (values[:, view],) = self._store.features(examples.ids, view, part)
        return values


def find(context, parts, spec):
    """Finds the embeddings for `config.teacher.backbone`.

    Args:
        context: `prepare.Context`.
        parts: dict of the parts, with the labelled examples as `train`.
        spec: `augmentation.ViewSpec` of the views of the labelled examples.

    Returns:
        `Embeddings`, in the store at `config.store.path` or, without one, in
        a store of these parts below `<workdir>/embeddings`. Nothing is
        written before it is opened.

    Raises:
        ValueError: if the backbone or the store does not exist, or the store
            holds no such embeddings of these images.
    """
    fields = context.config.teacher
    _check_backbone(fields.backbone)
    if _is_store(fields.backbone):
        return _opened(context, fields.backbone, None)
    options = probe.backbone_options(
        teacher_options.of_fields(fields), fields.backbone_layer
    )
    files = ensemble.TeacherFiles([fields.backbone], options=[options])
    if _has_store(context.config):
        return _opened(context, context.config.store.path, files)
    return _planned(context, parts, spec, files)


def check(config):
    """Raises a ValueError if an input on local disk does not exist.

    Args:
        config: the configuration, with `teacher.backbone`.
    """
    backbone, path = config.teacher.backbone, config.store.path
    if not remote.is_remote(backbone):
        _check_backbone(backbone)
    if _has_store(config) and not remote.is_remote(path):
        store.LogitStore.open(path)


def _check_backbone(path):
    try:
        if not _is_store(path):
            loading.find_teacher(path)
    except FileNotFoundError:
        raise ValueError(
            "teacher.backbone must be a model, as of teacher.path, or a store "
            f"of embeddings. Received: {path}, which does not exist"
        ) from None


def _is_store(path):
    return manifests.exists(copies.local(path))


def _has_store(config):
    return config.store.path not in ("", "auto")


def _opened(context, path, files):
    """Embeddings in a store that exists."""
    layer = context.config.teacher.backbone_layer
    opened = probed.embeddings_alone(store.LogitStore.open(path), layer)
    expected = {"parts": store.describe(context.transfer_parts)}
    if files is not None:
        expected["teacher"] = probe.backbone_record(files.record)
    opened.check(**expected)
    _log.info("embeddings: %s, %d views", path, opened.views)
    return Embeddings(
        lambda: opened,
        manifest=opened.manifest,
        backbone="" if files is None else _absolute(files.paths[0]),
        options=files.options[0] if files else teacher_options.TeacherOptions(),
        layer=layer,
    )


def _planned(context, parts, spec, files):
    """Embeddings in a store of the labelled images, written when needed."""
    config = context.config
    backbone = files.teacher
    teacher_files.check_images(backbone, parts["train"])
    (shape,) = backbone.feature_shapes
    layer = files.options[0].features[0]
    is_plain = spec == augmentation.ViewSpec(seed=spec.seed)
    manifest = store.plan(
        parts,
        teacher=probe.backbone_record(files.record),
        num_classes=0,
        features=[
            {"teacher": files.options[0].features[0], "shape": shape[-1:]}
        ],
        spec=spec,
        views_count=1 if is_plain else config.store.views,
        dtype="float32",
        shard_views=config.store.shard_views,
    )
    key = digests.sha256_of_text(
        str(sorted(store.comparable(manifest).items()))
    )
    path = context.workdir / "embeddings" / key[:12]

    def embed(images):
        return Outputs(
            None, (probe.pooled(backbone.outputs(images).features[0]),)
        )

    def write():
        scratch.clear(path)
        if not store.is_finished(path, manifest, verify=False):
            with locks.holding(path):
                store.label(
                    path, manifest, parts, embed, verbose=progress.verbosity()
                )

    def write_and_open():
        cluster.on_chief(context.strategy, write)
        cluster.wait_for_file(context.strategy, path / manifests.NAME)
        return store.LogitStore.open(path)

    return Embeddings(
        write_and_open,
        manifest=manifest,
        backbone=_absolute(files.paths[0]),
        options=files.options[0],
        layer=layer,
    )


def _absolute(reference):
    """Makes an existing path absolute; leaves a name as it is."""
    path = pathlib.Path(reference)
    return str(path.resolve()) if path.exists() else reference
