"""Probe teachers: a linear head on the embeddings of another model.

A directory holds the head, and the name of the other model, the backbone, with
its options and fingerprint. The backbone may be of any kind, and is not copied;
if TensorFlow runs it, the directory is also a SavedModel of both.
"""

import dataclasses
import os
import pathlib

import numpy as np

from kd_keras.teachers import kind
from kd_keras.teachers.options import TeacherOptions
from kd_keras.utils import digests, files, records

RECORD = "probe.json"
HEAD = "head.npz"
_FORM = {
    "backbone": str,
    "options": dict,
    "teacher": {"fingerprint": str},
    "layer": str,
}
_MESSAGE = {
    "what": "the record of a probe teacher",
    "remedy": "train it again with --restart",
}


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear head, and the backbone whose embeddings it reads.

    Attributes:
        kernel: float32 array `(d, num_classes)`.
        bias: float32 array `(num_classes,)`.
        backbone: str, the path or name of the backbone; empty if only its
            stored embeddings exist.
        options: `TeacherOptions` of the backbone.
        teacher: dict, the record of the backbone with its fingerprints, as a
            store of its embeddings has it.
        layer: str, the feature that is the embedding.
    """

    kernel: np.ndarray
    bias: np.ndarray
    backbone: str
    options: TeacherOptions
    teacher: dict
    layer: str

    @property
    def num_classes(self):
        return self.bias.shape[0]

    def logits(self, embedding):
        """The logits of embeddings, a tensor `(batch, d)`."""
        import tensorflow as tf

        embedding = tf.cast(embedding, tf.float32)
        return tf.matmul(embedding, self.kernel) + self.bias

    def with_variables(self):
        """A copy with variables of TensorFlow, to be saved as weights."""
        import tensorflow as tf

        variables = {
            name: tf.Variable(getattr(self, name), trainable=False, name=name)
            for name in ("kernel", "bias")
        }
        return dataclasses.replace(self, **variables)

    def head_network(self):
        """The head as a Keras model, embeddings -> logits."""
        import keras

        network = keras.Sequential(
            [
                keras.Input((len(self.kernel),), name="embedding"),
                keras.layers.Dense(self.num_classes, name="logits"),
            ],
            name="probe",
        )
        network.set_weights([self.kernel, self.bias])
        return network


def write(directory, probe):
    """Writes a probe teacher into a directory.

    Args:
        directory: path.
        probe: `Probe`.
    """
    directory = pathlib.Path(directory)
    np.savez(directory / HEAD, kernel=probe.kernel, bias=probe.bias)
    record = {
        "backbone": probe.backbone,
        "options": dataclasses.asdict(probe.options),
        "teacher": probe.teacher,
        "layer": probe.layer,
    }
    files.write_json(directory / RECORD, records.sealed(record))


def read(path):
    """Reads a probe teacher, without its backbone.

    Args:
        path: str or path of its directory.

    Returns:
        `Probe`.

    Raises:
        ValueError: if a file is damaged.
    """
    path = pathlib.Path(path)
    record = records.read_json(path / RECORD, _FORM, **_MESSAGE)
    with (
        kind.errors_of_loading(path / HEAD),
        np.load(path / HEAD, allow_pickle=False) as head,
    ):
        kernel, bias = head["kernel"], head["bias"]
        if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
            raise kind.Unusable(
                "a probe's head must be a kernel (d, num_classes) and a bias "
                f"(num_classes,). Received: {path / HEAD} with {kernel.shape} "
                f"and {bias.shape}"
            )
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["options"].items()
    }
    return Probe(
        kernel=kernel,
        bias=bias,
        backbone=record["backbone"],
        options=TeacherOptions(**options),
        teacher=record["teacher"],
        layer=record["layer"],
    )


def can_load(path):
    return (path / RECORD).is_file()


def load(path, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    loaded = load_teacher(path, TeacherOptions())
    return teacher.classifier_of(loaded, kind=KIND.name)


def load_teacher(path, options):
    if options.outputs != "logits":
        raise kind.Unusable(
            "a probe teacher returns logits: outputs must be 'logits'. "
            f"Received: {options.outputs!r} for {path}"
        )
    return teacher_of(read(path), path=path, features=options.features)


def teacher_of(probe, *, path, features=()):
    """Makes a teacher of a probe and its backbone.

    Args:
        probe: `Probe`.
        path: path of its directory.
        features: tuple of str, the features of the backbone that it returns;
            empty text for the embedding that the head reads.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the backbone is missing, or is another one.
    """
    from kd_keras.teachers.outputs import Outputs

    names = [name or probe.layer for name in features]
    backbone = _load_backbone(path, probe, (probe.layer, *names))

    def function(images):
        embedding, *others = backbone.outputs(images).features
        return Outputs(probe.logits(pooled(embedding)), tuple(others))

    return backbone.replaced(
        function=function,
        path=str(path),
        num_classes=probe.num_classes,
        has_logits=True,
        feature_shapes=backbone.feature_shapes[1:],
        class_names=None,
        outputs_activation=None,
    )


def pooled(feature):
    """The mean of a feature over space or tokens: `(batch, channels)`."""
    import tensorflow as tf

    axes = list(range(1, len(feature.shape) - 1))
    return tf.reduce_mean(feature, axis=axes) if axes else feature


def backbone_options(options, layer):
    """The options of a backbone that returns a feature as its embedding.

    Args:
        options: `TeacherOptions`, as they are declared.
        layer: str, the name of the feature.
    """
    return dataclasses.replace(options, features=(layer,))


def backbone_record(record):
    """The record that identifies a backbone, whichever features are read.

    Args:
        record: dict, as `ensemble.TeacherFiles.record`.
    """
    return {key: value for key, value in record.items() if key != "features"}


def weight_arrays(path):
    probe = read(path)
    return [probe.kernel, probe.bias]


def graph(path):
    """Digest of the backbone, which need not exist, and of the head."""
    probe = read(path)
    head = digests.sha256_of_arrays(probe.kernel, probe.bias)
    teacher = sorted(probe.teacher.items())
    return digests.sha256_of_text(f"{teacher} {probe.layer} {head}")


def size(path):
    return sum(os.path.getsize(path / name) for name in (RECORD, HEAD))


def _load_backbone(path, probe, features):
    """Loads the backbone, which must be the one that the head belongs to."""
    # Imported here: `loading` has this kind in its table.
    from kd_keras.teachers import ensemble, loading

    reference = _find_backbone(path, probe)
    options = dataclasses.replace(probe.options, features=features)
    found = ensemble.TeacherFiles([reference], options=[options]).record
    for name in ("fingerprint", "graph"):
        if found[name] != probe.teacher[name]:
            raise kind.Unusable(
                "a probe teacher needs the backbone that it was trained on. "
                f"Received: {reference}, whose {name} is {found[name][:20]} "
                f"instead of {probe.teacher[name][:20]}"
            )
    return loading.load(reference, options)


def _find_backbone(path, probe):
    """The backbone's reference: where it was, or in the probe's directory."""
    from kd_keras.teachers import loading

    if not probe.backbone:
        raise kind.Unusable(
            "a probe teacher of stored embeddings alone needs them: "
            f"--config.store.path=DIR. Received: {path} without"
        )
    beside = pathlib.Path(path) / pathlib.PurePath(probe.backbone).name
    if beside.exists():
        return str(beside)
    try:
        loading.find_teacher(probe.backbone)
    except FileNotFoundError:
        raise kind.Unusable(
            "a probe teacher needs its backbone where it was, or in its own "
            f"directory. Received: {probe.backbone}, which does not exist, and "
            f"no {beside}"
        ) from None
    return probe.backbone


KIND = kind.TeacherKind(
    name="probe",
    title="probe",
    expected="directory of a probe teacher (with probe.json)",
    can_load=can_load,
    load=load,
    size=size,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
)
