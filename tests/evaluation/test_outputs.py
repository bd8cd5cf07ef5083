"""Outputs of models, read as logits over classes."""

import logging

import keras
import nets
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import kd_keras
from kd_keras.data import datasets
from kd_keras.evaluation import metrics, outputs
from kd_keras.teachers import classifier


def dataset(num_classes, count=80):
    images = nets.make_images(count).astype("uint8")
    labels = np.arange(count) % num_classes
    examples = datasets.Examples(images, labels, num_classes=num_classes)
    return datasets.Dataset("random", examples, examples, "a generator")


def ending(activation, num_outputs):
    network = nets.make_network(num_classes=num_outputs)
    layer = keras.layers.Activation(activation)
    return network, keras.Model(network.input, layer(network.output))


def measured(model, data, **options):
    return kd_keras.evaluate_model(model, data=data, verbose=0, **options)


@pytest.mark.slow
def test_one_logit_is_measured_by_hand():
    network, other = (nets.make_network(num_classes=1) for _ in range(2))
    data = dataset(2)
    results = measured(network, data, teacher=other)
    labels, found = data.test.labels, results["models"]["model"]
    z, v = (
        x.predict(data.test.images, verbose=0)[:, 0].astype("float64")
        for x in (network, other)
    )
    p = scipy.special.expit(z)
    assert found["errors"] == np.sum((z > 0) != labels)
    nll = -np.mean(np.where(labels, np.log(p), np.log1p(-p)))
    assert found["nll"] == pytest.approx(nll, rel=1e-5)
    # Both classes have the same squared error.
    assert found["brier"] == pytest.approx(2 * np.mean((p - labels) ** 2))
    agreement = results["against_teacher"]["agreement"]
    assert agreement == pytest.approx(np.mean((z > 0) == (v > 0)))


def test_one_logit_is_compared_with_two():
    two = nets.make_network(num_classes=2)
    difference = keras.layers.Lambda(lambda x: x[:, 1:] - x[:, :1])
    one = keras.Model(two.input, difference(two.output))
    results = measured(one, dataset(2), baseline=two, teacher=two)
    expected = results["models"]["baseline"]
    found = results["models"]["model"]
    assert found["confusion"] == expected["confusion"]
    for key in ("errors", "nll", "brier", "ece"):
        assert found[key] == pytest.approx(expected[key])
    assert results["against_teacher"]["kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("as_given", [lambda x: x, lambda x: lambda i: x(i)])
def test_softmax_is_measured_as_its_logarithm(as_given, caplog):
    network, model = ending("softmax", 5)
    data = dataset(5)
    expected = measured(network, data)["models"]["model"]
    with caplog.at_level(logging.WARNING):
        found = measured(as_given(model), data)["models"]["model"]
    for key in ("errors", "nll", "brier", "ece"):
        assert found[key] == pytest.approx(expected[key], rel=1e-4)
    # Reported only if the model itself does not show its softmax.
    said = "measured as their logarithms" in caplog.text
    assert said == (as_given(model) is not model)


def test_one_sigmoid_of_keras_is_measured_as_its_logit():
    network, model = ending("sigmoid", 1)
    expected = measured(network, dataset(2))["models"]["model"]
    found = measured(model, dataset(2))["models"]["model"]
    assert found["errors"] == expected["errors"]
    assert found["nll"] == pytest.approx(expected["nll"], rel=1e-3)


@pytest.mark.parametrize("as_given", [lambda x: x, lambda x: lambda i: x(i)])
@pytest.mark.parametrize("num_outputs", [1, 5])
def test_sigmoids_are_refused(as_given, num_outputs):
    _, model = ending("sigmoid", num_outputs)
    if num_outputs == 1 and as_given(model) is model:
        pytest.skip("measured")
    with pytest.raises(ValueError, match="logits"):
        measured(as_given(model), dataset(max(num_outputs, 2)))


def test_an_ensemble_of_probabilities_is_their_mean():
    pairs = [ending("softmax", 5) for _ in range(2)]
    data = dataset(5)
    expected = measured([network for network, _ in pairs], data)
    found = measured([lambda x, m=m: m(x) for _, m in pairs], data)
    nll = expected["models"]["model"]["nll"]
    assert found["models"]["model"]["nll"] == pytest.approx(nll, rel=1e-4)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_one_logit_needs_two_classes(num_classes):
    network = nets.make_network(num_classes=1)
    for model in (network, lambda x: network(x)):
        with pytest.raises(ValueError, match="classes"):
            measured(model, dataset(num_classes))


def test_few_or_large_values_are_logits():
    few = np.array([[0.2, 0.9], [0.4, 0.5]])
    np.testing.assert_array_equal(outputs.class_logits(few, name="m"), few)
    many = np.linspace(0, 1.1, 100).reshape(50, 2)
    np.testing.assert_array_equal(outputs.class_logits(many, name="m"), many)
    with pytest.raises(ValueError, match="m, with all outputs from 0 to 1"):
        outputs.class_logits(many / 2, name="m")


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1, 1)])
def test_axes_of_1_around_the_classes_are_left_out(shape, tmp_path):
    network = nets.make_network(num_classes=3)
    layer = keras.layers.Reshape(shape)
    maps = keras.Model(network.input, layer(network.output))
    maps.export(tmp_path / "maps", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "maps"))
    path = tmp_path / "maps.tflite"
    path.write_bytes(converter.convert())
    data = dataset(3)
    expected = measured(network, data)["models"]["model"]["nll"]
    models = [path] if shape[-1] == 1 else [path, maps]
    for model in models:
        found = measured(model, data)["models"]["model"]["nll"]
        assert found == pytest.approx(expected, rel=1e-4)


def test_logits_for_several_places_of_an_image_are_refused():
    found = classifier.Classifier(
        lambda images: np.zeros((len(images), 2, 1, 3)),
        path="m",
        kind=None,
        image_shape=(),
        num_classes=None,
    )
    match = r"must return logits \(batch, num_classes\). Received: m, "
    with pytest.raises(ValueError, match=match):
        found(np.zeros((4, 8, 8, 1)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = np.zeros((40, 3))
    logits[:5, 1] = value
    with pytest.raises(ValueError, match="Received: m, NaN .* 5 of 40 images"):
        outputs.check_finite(logits, name="m")
    network = nets.make_network(num_classes=3)
    network.layers[-1].bias.assign([0, value, 0])
    with pytest.raises(ValueError, match="must return finite.* 80 of 80"):
        measured(network, dataset(3))


def test_probabilities_of_0_have_finite_logarithms():
    logits = outputs.class_logits(np.eye(3, dtype="float16"), name="m")
    assert np.isfinite(logits).all()
    loss = metrics.negative_log_likelihood(logits=logits, labels=[0, 1, 2])
    assert loss == pytest.approx(0, abs=1e-6)
