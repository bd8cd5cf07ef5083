"""Networks of `keras.applications`, whose weights lie in Keras's cache."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.models import applications, resizing
from kd_keras.teachers import fingerprint, loading
from kd_keras.utils import locks

NAME = "keras_applications:MobileNet"
SIZE = 128


def narrow(function):
    """`MobileNet` of fewer channels and smaller images."""

    def MobileNet(**options):
        shape = (SIZE, SIZE, 3)
        return function(alpha=0.25, input_shape=shape, **options)

    MobileNet.__module__ = function.__module__
    return MobileNet


MobileNet = narrow(keras.applications.MobileNet)


def photos(size, dtype="uint8"):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (2, size, size, 3)).astype(dtype)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Keras's directory, with the weights of a small MobileNet."""
    keras.utils.set_random_seed(0)
    directory = tmp_path_factory.mktemp("keras")
    (directory / "models").mkdir()
    network = MobileNet(weights=None)
    # With untrained weights, all classes are about equally likely.
    head = network.get_layer("conv_preds")
    logits = keras.Model(network.input, head.output)(photos(SIZE) / 127.5 - 1)
    head.kernel.assign(head.kernel / np.std(logits))
    # Keras looks for this name.
    network.save(directory / "models" / f"mobilenet_2_5_{SIZE}_tf.h5")
    return directory, network


@pytest.fixture
def softmax(cache, monkeypatch):
    """The network of the cache, which ends in softmax, as Keras has it."""
    directory, network = cache
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(directory))
    monkeypatch.setattr(keras.applications, "MobileNet", MobileNet)
    return network


@pytest.mark.slow
def test_images_are_resized_and_preprocessed_for_the_network(softmax):
    teacher = kd_keras.load_teacher(NAME, features=["", "conv1"])
    assert teacher.num_classes == 1000 and teacher.image_shape[2] == 3
    outputs = teacher.outputs(photos(32))
    resized = tf.image.resize(photos(32), (SIZE, SIZE), antialias=True)
    # MobileNet takes images from -1 to 1.
    np.testing.assert_allclose(
        tf.nn.softmax(outputs.logits), softmax(resized / 127.5 - 1), rtol=1e-4
    )
    assert np.std(outputs.logits) > 0.2
    pooled, first = outputs.features
    head = softmax.get_layer("conv_preds")
    np.testing.assert_allclose(head(pooled)[:, 0, 0], outputs.logits, atol=1e-4)
    assert first.shape == (2, SIZE // 2, SIZE // 2, 8)


@pytest.mark.slow
def test_the_network_is_used_at_another_size_and_as_an_embedding(softmax):
    teacher = kd_keras.load_teacher(NAME, image_size=32, outputs="features")
    outputs = teacher.outputs(photos(32))
    assert outputs.logits is None and not teacher.has_logits
    # MobileNet is a chain of layers.
    last = softmax.layers.index(softmax.get_layer("dropout"))
    expected = tf.constant(photos(32) / 127.5 - 1.0, tf.float32)
    for layer in softmax.layers[1:last]:
        expected = layer(expected)
    np.testing.assert_allclose(outputs.features[0], expected, atol=1e-4)


def test_a_network_of_images_of_any_size_gets_those_of_the_usual_size(
    monkeypatch,
):
    # Built like the MobileNets of the third version.
    def MobileNetV3Small(weights, classifier_activation):
        inputs = keras.Input((None, None, 3))
        x = keras.layers.GlobalAveragePooling2D()(inputs)
        return keras.Model(inputs, keras.layers.Dense(4)(x))

    MobileNetV3Small.__module__ = keras.applications.MobileNetV3Small.__module__
    monkeypatch.setattr(
        keras.applications, "MobileNetV3Small", MobileNetV3Small
    )
    name = "keras_applications:MobileNetV3Small"
    resize, sizes = resizing.resize, []

    def noted(images, size, *options):
        sizes.append(size)
        return resize(images, size, *options)

    monkeypatch.setattr(resizing, "resize", noted)
    kd_keras.load_teacher(name).function(tf.zeros((1, 32, 32, 3)))
    assert sizes == [(224, 224)]


@pytest.mark.slow
def test_the_network_is_identified_by_its_weights(softmax, tmp_path):
    softmax.save(tmp_path / "network.keras")
    assert fingerprint.fingerprint(NAME) == fingerprint.fingerprint(
        tmp_path / "network.keras"
    )
    graph = fingerprint.graph_fingerprint(NAME)
    assert graph.startswith("keras_applications:")
    assert graph == fingerprint.graph_fingerprint(NAME)
    for a, b in zip(loading.network_weights(NAME), softmax.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_weights_that_cannot_be_fetched_are_one_clear_error(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))

    def unreachable(url, *_):
        raise OSError(f"{url} is not reachable\nfrom here")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    full = keras.applications.MobileNet
    monkeypatch.setattr(keras.applications, "MobileNet", narrow(full))
    with pytest.raises(ValueError) as caught:
        kd_keras.load_teacher(NAME)
    text = str(caught.value)
    assert "of MobileNet must lie in Keras's cache" in text
    assert "is not reachable" in text and "\n" not in text


def test_what_a_stopped_download_left_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    left = tmp_path / "models" / f"mobilenet_2_5_{SIZE}_tf.h5"
    left.write_bytes(b"half")
    full = keras.applications.MobileNet
    monkeypatch.setattr(keras.applications, "MobileNet", narrow(full))
    with pytest.raises(ValueError, match=f"remove .*: {left}; on a machine"):
        kd_keras.load_teacher(NAME)
    assert left.exists()


def test_weights_are_fetched_by_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    held = []

    def MobileNet(weights, classifier_activation):
        with (
            pytest.raises(locks.HeldError),
            locks.holding(tmp_path / "models", part="download"),
        ):
            pass
        held.append(True)
        raise OSError("not reachable")

    monkeypatch.setattr(keras.applications, "MobileNet", MobileNet)
    with pytest.raises(ValueError, match="not reachable"):
        kd_keras.load_teacher(NAME)
    assert held and not (tmp_path / "models").exists()


def test_an_unknown_network_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="'MobileNetV4'. Did you mean 'Mobile"):
        kd_keras.load_teacher("keras_applications:MobileNetV4")


def test_every_network_returns_logits_where_it_is_asked_to():
    for name in applications.names():
        if applications.find(name):
            build = getattr(keras.applications, name)
            arguments = inspect.signature(build).parameters
            assert {"weights", "classifier_activation"} <= arguments.keys()
            assert callable(inspect.getmodule(build).preprocess_input)
