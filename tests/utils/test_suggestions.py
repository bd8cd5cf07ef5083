"""Suggestions for mistyped names."""

import pytest

from kd_keras.utils import suggestions


def test_the_closest_name_is_suggested():
    choices = ("teacher", "student")
    assert suggestions.did_you_mean("techer", choices) == (
        " Did you mean 'teacher'?"
    )
    assert suggestions.did_you_mean("xyz", choices) == ""


def test_a_choice_is_checked():
    suggestions.check_choice("a", ("a", "b"), what="--stage")
    with pytest.raises(ValueError) as caught:
        suggestions.check_choice("techer", ("teacher", "x"), what="--stage")
    assert str(caught.value) == (
        "--stage must be one of teacher, x. Received: 'techer'. "
        "Did you mean 'teacher'?"
    )
