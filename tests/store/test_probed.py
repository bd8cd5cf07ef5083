"""A store of embeddings, read as one of a probe teacher's logits."""

import numpy as np
import pytest
import tensorflow as tf
from example_sets import numbered

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.store import probed
from kd_keras.teachers import probe
from kd_keras.teachers.options import TeacherOptions
from kd_keras.teachers.outputs import Outputs

KERNEL = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def head(kernel=KERNEL, layer=""):
    return probe.Probe(
        kernel=kernel,
        bias=np.arange(4, dtype="float32"),
        backbone="",
        options=TeacherOptions(),
        teacher={},
        layer=layer,
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A store of two features of each image: its mean colour, its corner."""
    path, parts = tmp_path_factory.mktemp("store"), {"train": numbered(20)}
    manifest = store.plan(
        parts,
        teacher={"fingerprint": "0"},
        num_classes=0,
        features=[
            {"teacher": "corner", "shape": [2, 2, 3]},
            {"teacher": "", "shape": [3]},
        ],
        spec=augmentation.ViewSpec(mirror="alternating"),
        views_count=2,
        dtype="float32",
    )

    def features(images):
        images = tf.cast(images, tf.float32)
        mean = tf.reduce_mean(images, axis=(1, 2))
        return Outputs(None, (images[:, :2, :2], mean))

    store.label(path, manifest, parts, features, verbose=0)
    return store.LogitStore.open(path)


def test_logits_are_the_heads_and_features_are_beside_them(opened):
    read = probed.ProbedStore(
        opened, head(), record={"fingerprint": "1"}, class_names=list("abcd")
    )
    ids = np.array([3, 17])
    corner, mean = opened.features(ids, 1)
    expected = mean @ KERNEL + np.arange(4)
    np.testing.assert_allclose(read.logits(ids, 1), expected, rtol=1e-5)
    answer = read.lookup(tf.constant(ids), 1)
    np.testing.assert_allclose(answer.logits, expected, rtol=1e-5)
    assert len(answer.features) == 2
    chosen = read.choose([{"teacher": "corner"}])
    logits, features = chosen.lookup(tf.constant(ids), 1)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    np.testing.assert_array_equal(features[0], corner)
    assert read.choose([]).lookup(tf.constant(ids)).features == ()
    assert chosen.manifest["num_classes"] == 4
    assert chosen.manifest["probe"] == {"fingerprint": "1"}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (head(KERNEL[:2]), r"with \(3,\), a probe of \(2,\)"),
        (head(layer="corner"), r"'corner' of shape \(2, 2, 3\)"),
        (head(layer="corne"), "Did you mean 'corner'"),
    ],
)
def test_other_embeddings_are_refused(opened, made, message):
    with pytest.raises(ValueError, match=message):
        probed.ProbedStore(opened, made, record={})
