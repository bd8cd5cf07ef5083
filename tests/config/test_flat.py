"""Flat dicts of configurations."""

from kd_keras.config import flat


def test_flatten_joins_names_and_makes_tuples_lists():
    fields = {"a": {"b": 1, "c": {"d": (2, 3)}}, "e": "f"}
    assert flat.flatten(fields) == {"a.b": 1, "a.c.d": [2, 3], "e": "f"}
