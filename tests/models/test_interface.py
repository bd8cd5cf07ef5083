"""Shapes and the logits of models in any form."""

import keras
import numpy as np
import pytest
import subclassed

from kd_keras.models import interface


def several(make_outputs):
    inputs = keras.Input((2, 3))
    flat = keras.layers.Flatten(name="flat")(inputs)
    scores = keras.layers.Dense(4, name="scores")(flat)
    return keras.Model(inputs, make_outputs(flat, scores))


def test_a_subclassed_model_has_the_shapes_it_was_built_with():
    model = subclassed.Heads()
    assert interface.input_shape(model) is None
    assert interface.output_shape(model) is None
    model(np.zeros((7, 2, 3), "float32"))
    assert interface.input_shape(model) == (None, 2, 3)
    assert interface.output_shape(model, "features") == (None, 6)
    assert interface.output_shape(model) == (None, subclassed.NUM_CLASSES)


@pytest.mark.parametrize(
    ("make_outputs", "output"),
    [
        (lambda flat, scores: [flat, scores], "scores"),
        (lambda flat, scores: [flat, scores], 1),
        (lambda flat, scores: [flat, scores], "-1"),
        (lambda flat, scores: {"a": flat, "b": scores}, "b"),
        (lambda flat, scores: {"a": flat, "logits": scores}, None),
        (lambda flat, scores: [scores], None),
        (lambda flat, scores: scores, None),
    ],
)
def test_the_logits_are_chosen_by_name_or_index(make_outputs, output):
    model = several(make_outputs)
    assert interface.output_shape(model, output) == (None, 4)
    logits = interface.logits_of(model, model(np.ones((1, 2, 3))), output)
    assert logits.shape == (1, 4)


@pytest.mark.parametrize("output", [None, "c", 2, -3, 0.5, True])
def test_an_output_that_does_not_exist_is_refused_with_the_choices(output):
    model = several(lambda flat, scores: {"a": flat, "b": scores})
    with pytest.raises(ValueError, match=r"'a' \(6,\), 'b' \(4,\)"):
        interface.output_shape(model, output)


@pytest.mark.parametrize("outputs", [None, "logits", {}, [[1.0, 2.0]]])
def test_something_else_than_tensors_is_refused(outputs):
    with pytest.raises(ValueError, match="model must return logits"):
        interface.logits_of(None, outputs)
