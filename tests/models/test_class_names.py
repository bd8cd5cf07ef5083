"""Names of classes, in the order of the logits."""

import pytest

from kd_keras.models import class_names

MANY = [f"c{i}" for i in range(100)]


@pytest.mark.parametrize(
    ("expected", "received"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b"], ("a", "b")),
        (None, ["a"]),
        (["a"], None),
        ([], ["a"]),
    ],
)
def test_the_same_and_unknown_classes_pass(expected, received):
    class_names.check_same(expected, received, model="m")


def test_names_that_no_text_can_show_are_named():
    wrong = ["b\x00", "\ud83d", "c\u2028"]
    with pytest.raises(
        ValueError,
        match=r"Received: 'b\\x00', 'c\\u2028', '\\ud83d' in here$",
    ):
        class_names.check_printable(["a", *wrong], place="here")
    class_names.check_printable(["é", "猫", "👩\u200d🔬", "a b", "\u3000", ""])


@pytest.mark.parametrize(
    ("expected", "received", "words"),
    [
        (
            ["a", "b"],
            ["b", "a"],
            "a, b. Received: b, a; .* another order",
        ),
        (["a", "b"], ["a", "c"], "those of m, .*: a, b. Received: a, c$"),
        (["a", "b"], ["a", "b", "c"], "a, b. Received: a, b, c$"),
        (
            MANY,
            [*MANY[:50], "x", *MANY[51:]],
            "c7 and 92 more. Received: .*; class 50 is x instead of c50$",
        ),
    ],
    ids=["order", "name", "count", "many"],
)
def test_other_classes_are_refused_with_both(expected, received, words):
    with pytest.raises(ValueError, match=words):
        class_names.check_same(expected, received, model="m")
