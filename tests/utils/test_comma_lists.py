"""Fields that list values with commas between."""

import pytest

from kd_keras.utils import comma_lists


def test_values_of_two_fields_belong_together():
    assert comma_lists.paired({"a": "x, y", "b": ", z"}) == [
        ["x", "y"],
        ["", "z"],
    ]
    # A single value belongs to all values of the other field.
    assert comma_lists.paired({"a": "x, y", "b": ""})[1] == ["", ""]


def test_another_number_of_values_is_refused():
    with pytest.raises(ValueError, match="b must have one .*2, 'p,q'"):
        comma_lists.paired({"a": "x,y,z", "b": "p,q"})
