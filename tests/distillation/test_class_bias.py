"""Class biases from a prior: by hand, far from it, and in a network."""

import keras
import numpy as np
import pytest
import scipy.special
import subclassed

from kd_keras.distillation import class_bias


def mean_prediction(logits):
    return scipy.special.softmax(logits, axis=-1).mean(axis=0)


def test_one_class_by_hand():
    # With x = exp(b), p of class 0 is x / (x + 1) and 3 x / (3 x + 1). For
    # x = 3 these are 3/4 and 9/10, whose mean is 33/40.
    logits = np.array([[0.0, 0.0], [np.log(3), 0.0]])
    shift = class_bias.fit_class_bias(logits, [33 / 40], classes=[0])
    np.testing.assert_allclose(shift, [np.log(3), 0], atol=1e-6)


def test_all_classes_by_hand():
    # Of equal logits the mean prediction is softmax(b).
    prior = np.array([0.5, 0.25, 0.25])
    shift = class_bias.fit_class_bias(np.full((4, 3), 7.0), prior)
    np.testing.assert_allclose(
        shift, np.log(prior) - np.log(prior).mean(), atol=1e-6
    )


def test_some_classes_of_many_reach_their_prior_and_others_stay():
    logits = np.random.default_rng(0).normal(0, 5, (300, 10))
    # Far from the predictions, as after a transfer set without the class.
    logits[:, 3] -= 60
    logits[:, 7] += 40
    shift = class_bias.fit_class_bias(logits, [0.1, 0.2], classes=[3, 7])
    reached = mean_prediction(logits + shift)[[3, 7]]
    np.testing.assert_allclose(reached, [0.1, 0.2], atol=1e-7)
    assert (np.delete(shift, [3, 7]) == 0).all()
    np.testing.assert_array_equal(
        shift, class_bias.fit_class_bias(logits, [0.1, 0.2], classes=[3, 7])
    )


@pytest.mark.parametrize(
    ("prior", "classes"),
    [
        ([0.5, 0.4], None),
        ([1.0], [0]),
        ([0.0, 1.0], None),
        ([0.5], None),
    ],
)
def test_impossible_priors_are_refused(prior, classes):
    with pytest.raises(ValueError, match="class_prior must .* of 2 classes"):
        class_bias.fit_class_bias(np.zeros((3, 2)), prior, classes=classes)


@pytest.mark.slow
def test_shifts_are_added_to_the_network_s_last_bias(tmp_path):
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(3, bias_initializer="ones")(inputs)
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    before = model.predict(x, verbose=0)
    class_bias.add_class_bias(model, np.array([1.0, 0.0, -2.0]))
    model.save(tmp_path / "model.keras")
    after = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        after.predict(x, verbose=0) - before, [[1, 0, -2]] * 5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: with_end(keras.layers.Rescaling(2.0)), "rescaling.*Rescaling"),
        (lambda: with_end(lambda logits: 2 * logits), "multiply.*Multiply"),
        (lambda: with_end(lambda logits: [logits, logits]), "Functional"),
        (
            lambda: subclassed.Doubled(
                keras.layers.Flatten(), keras.layers.Dense(3)
            ),
            "call method of its own.*doubled, Doubled",
        ),
    ],
)
def test_a_bias_that_is_not_of_the_outputs_is_refused(make, words):
    with pytest.raises(ValueError, match=f"must be a Dense with .*{words}"):
        class_bias.add_class_bias(make(), np.zeros(3))


def with_end(function):
    inputs = keras.Input((4,))
    return keras.Model(inputs, function(keras.layers.Dense(3)(inputs)))
