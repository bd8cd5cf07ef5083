"""Flat dicts of configurations."""

from kd_keras.config import flat


def test_flatten_joins_names_and_makes_tuples_lists():
    fields = {"a": {"b": 1, "c": {"d": (2, 3)}}, "e": "f"}
    assert flat.flatten(fields) == {"a.b": 1, "a.c.d": [2, 3], "e": "f"}


def test_differing_names_changed_added_and_removed_entries():
    was = {"same": 1, "changed": 2, "removed": 3}
    now = {"same": 1, "changed": 4, "added": "x"}
    assert flat.differing(was, now) == [
        "added (was None, is 'x')",
        "changed (was 2, is 4)",
        "removed (was 3, is None)",
    ]
    assert flat.differing(was, dict(was)) == []
