"""Writes small stores, and the logits that they must hold."""

import pathlib

import nets
import tensorflow as tf

from kd_keras import store
from kd_keras.data import augmentation as views
from kd_keras.data import pipeline
from kd_keras.teachers.outputs import Outputs

SPEC = views.ViewSpec(seed=5, translate=2, mirror="random", cutout=2)
VIEWS = 3


def plan(parts, **options):
    fields = {
        "teacher": {"fingerprint": "abc"},
        "num_classes": nets.NUM_CLASSES,
        "spec": SPEC,
        "views_count": VIEWS,
        "dtype": "float32",
        # Three shards: 500, 500 and 200 examples.
        "shard_views": 1500,
    }
    return store.plan(parts, **{**fields, **options})


def write(
    path, parts, teacher, *, shard=0, num_shards=1, record=None, **options
):
    if record:
        options["teacher"] = record
    manifest = plan(parts, **options)
    return store.label(
        path, manifest, parts, teacher, shard=shard, num_shards=num_shards
    )


FEATURES = [{"teacher": "pooled", "shape": [4]}, {"teacher": "", "shape": [6]}]


def with_features(teacher, *, logits=True):
    """A teacher that returns the features `FEATURES` beside its logits."""

    def outputs(images):
        flat = tf.reshape(images, (tf.shape(images)[0], 64))
        flat = tf.cast(flat, tf.float32)
        features = (flat[:, :4] / 8, tf.sqrt(flat[:, 8:14]))
        return Outputs(teacher(images) if logits else None, features)

    return outputs


def live_logits(teacher, examples, ids, view, spec=SPEC):
    """The live teacher's logits for a view of the examples with these ids."""
    return teacher(
        pipeline.make_views(examples, tf.constant(ids), view=view, spec=spec)
    ).numpy()


def contents(path):
    return {
        file.name: file.read_bytes()
        for file in pathlib.Path(path).iterdir()
        if file.is_file()
    }


def without_locks(path):
    """As `contents`; a killed process leaves its lock, which is free."""
    return {
        name: content
        for name, content in contents(path).items()
        if not name.startswith(".kd_keras-lock")
    }
