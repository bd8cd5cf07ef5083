"""Teachers from `.keras` and `.h5` files, which Keras writes."""

import pathlib

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.teachers import fingerprint, loading

KERAS_2 = pathlib.Path(__file__).parents[1] / "files" / "keras2"


@pytest.fixture
def network():
    return nets.make_network()


@pytest.mark.parametrize("name", ["teacher.keras", "teacher.h5"])
def test_a_file_has_the_network_s_logits_and_inner_outputs(
    network, tmp_path, name
):
    images = nets.make_images(8)
    network.save(tmp_path / name)
    inner, last = network.layers[-2:]
    teacher = kd_keras.load_teacher(
        tmp_path / name, features=("", last.name, inner.name)
    )
    logits = network.predict(images, verbose=0)
    np.testing.assert_allclose(teacher(images), logits, atol=1e-5)
    outputs = teacher.outputs(images)
    np.testing.assert_array_equal(outputs.logits, teacher(images))
    pooled, logits, hidden = outputs.features
    np.testing.assert_allclose(last(pooled), outputs.logits, atol=1e-5)
    np.testing.assert_array_equal(logits, outputs.logits)
    np.testing.assert_array_equal(hidden, pooled)
    assert teacher.feature_shapes == [(16,), (nets.NUM_CLASSES,), (16,)]
    for a, b in zip(
        loading.network_weights(tmp_path / name), network.get_weights()
    ):
        np.testing.assert_array_equal(a, b)


def test_a_legacy_file_has_fingerprints_of_its_own_network(network, tmp_path):
    network.save(tmp_path / "first.keras")
    first, renamed = tmp_path / "first.h5", tmp_path / "renamed.h5"
    network.save(first)
    # Other names of layers, as another process counts them.
    copy = keras.models.clone_model(
        network,
        clone_function=lambda layer: type(layer).from_config(
            {**layer.get_config(), "name": f"{layer.name}_other"}
        ),
    )
    copy.set_weights(network.get_weights())
    copy.save(renamed)
    weights = fingerprint.fingerprint(first)
    assert weights == fingerprint.fingerprint(tmp_path / "first.keras")
    graph = fingerprint.graph_fingerprint(first)
    assert graph == fingerprint.graph_fingerprint(renamed)
    kernel, bias = copy.layers[-1].get_weights()
    copy.layers[-1].set_weights([kernel, bias + 1])
    copy.save(renamed)
    assert weights != fingerprint.fingerprint(renamed)
    assert graph != fingerprint.graph_fingerprint(renamed)


def test_a_network_without_a_classifier_is_an_embedding(tmp_path):
    inputs = keras.Input(nets.IMAGE_SHAPE)
    maps = keras.layers.Conv2D(3, 3, name="maps")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(inputs, pooled)
    network.save(tmp_path / "embedding.keras")
    images = nets.make_images(4)
    for names, shapes in (((), [(3,)]), (("maps", ""), [(6, 6, 3), (3,)])):
        teacher = kd_keras.load_teacher(
            tmp_path / "embedding.keras", outputs="features", features=names
        )
        outputs = teacher.outputs(images)
        assert not teacher.has_logits and outputs.logits is None
        assert teacher.feature_shapes == shapes
        np.testing.assert_allclose(
            outputs.features[-1], network(images), atol=1e-6
        )
    with pytest.raises(ValueError, match="logits need a teacher"):
        teacher(images)


def test_a_layer_that_is_not_there_is_named_with_those_that_are(
    network, tmp_path
):
    network.save(tmp_path / "teacher.keras")
    name, other = network.layers[-2].name, network.layers[1].name
    with pytest.raises(
        ValueError, match=f"'{name}x'. Did you mean '{name}'.* {other},.*keras"
    ):
        kd_keras.load_teacher(
            tmp_path / "teacher.keras", features=(f"{name}x",)
        )


def test_a_file_of_keras_2_has_its_logits():
    teacher = kd_keras.load_teacher(KERAS_2 / "network.h5", features=["maps"])
    with np.load(KERAS_2 / "expected.npz") as expected:
        outputs = teacher.outputs(expected["images"])
        np.testing.assert_allclose(
            outputs.logits, expected["logits"], atol=1e-4
        )
        np.testing.assert_allclose(
            outputs.features[0], expected["maps"], atol=1e-4
        )


def test_a_file_of_keras_2_that_keras_3_cannot_read_has_a_remedy():
    with pytest.raises(ValueError, match="of Keras 2.*tf_keras.* SavedModel"):
        kd_keras.load_teacher(KERAS_2 / "depthwise.h5")


def test_a_file_of_weights_alone_is_refused(network, tmp_path):
    network.save_weights(tmp_path / "a.weights.h5")
    for read in (kd_keras.load_teacher, fingerprint.fingerprint):
        with pytest.raises(ValueError, match="must hold the network.*alone"):
            read(tmp_path / "a.weights.h5")


def test_probabilities_become_logits(network, tmp_path):
    images = nets.make_images(8)
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    softmax.build((None, *nets.IMAGE_SHAPE))
    softmax.save(tmp_path / "softmax.keras")
    teacher = kd_keras.load_teacher(
        tmp_path / "softmax.keras", outputs="probabilities"
    )
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        softmax.predict(images, verbose=0),
        atol=1e-5,
    )


def test_an_output_has_no_name(network, tmp_path):
    network.save(tmp_path / "teacher.keras")
    with pytest.raises(ValueError, match="outputs must be .*'scores'"):
        kd_keras.load_teacher(tmp_path / "teacher.keras", outputs="scores")


def test_the_output_of_a_keras_file_is_chosen_by_name(tmp_path):
    inputs = keras.Input(nets.IMAGE_SHAPE)
    flat = keras.layers.Flatten()(inputs)
    outputs = {"flat": flat, "scores": keras.layers.Dense(3)(flat)}
    path = tmp_path / "heads.keras"
    keras.Model(inputs, outputs).save(path)
    teacher = kd_keras.load_teacher(path, outputs="scores")
    assert teacher.num_classes == 3
    assert teacher(nets.make_images(2)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"outputs must .*'scores' .*heads"):
        kd_keras.load_teacher(path)
    with pytest.raises(ValueError, match="among several .*flat, scores.*heads"):
        kd_keras.load_teacher(path, outputs="features")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.Lambda(lambda x: x * 2), "no Python code"),
        (type("Own", (keras.layers.Layer,), {}), "--import=MODULE.* 'Own'"),
    ],
)
@pytest.mark.parametrize("name", ["own.keras", "own.h5"])
def test_layers_that_cannot_be_loaded_are_named(layer, message, name, tmp_path):
    layer = layer() if isinstance(layer, type) else layer
    network = keras.Sequential(
        [keras.Input((2, 2, 1)), layer, keras.layers.Flatten()]
    )
    network.save(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        kd_keras.load_teacher(tmp_path / name)
    assert "\n" not in str(caught.value)
