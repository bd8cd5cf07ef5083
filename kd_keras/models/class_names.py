"""Checks and compares the names of the classes of models and data."""

import re

# More names would make the line too long to read.
_SHOWN = 8
# Control characters, the ends of lines, and bytes that are not UTF-8, which
# Python reads as surrogates. No model card could show them.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_printable(names, *, place="the data"):
    """Raises a ValueError if the name of a class cannot be shown as text.

    Args:
        names: iterable of str.
        place: str or path, where they were found, for the message.
    """
    wrong = sorted(n for n in map(str, names) if _UNPRINTABLE.search(n))
    if wrong:
        raise ValueError(
            "names of classes must be printable UTF-8 text. Received: "
            f"{described([repr(name) for name in wrong])} in {place}"
        )


def check_same(expected, received, *, model, data="the data"):
    """Raises a ValueError if classes have other names, or another order.

    A model's logits are in the order of its classes, so that data of other
    classes would be measured, or taught, as the wrong ones.

    Args:
        expected: list of str, the classes of the model in the order of its
            logits; None if they are unknown.
        received: list of str, the classes of the data, or None.
        model: str, for the message, such as a path.
        data: str, for the message.
    """
    if not expected or not received or list(expected) == list(received):
        return
    is_order = sorted(expected) == sorted(received)
    raise ValueError(
        f"the classes of {data} must be those of {model}, in the same order: "
        f"{described(expected)}. Received: {described(received)}"
        f"{_first_difference(expected, received)}"
        + ("; they are the same in another order" if is_order else "")
    )


def described(names):
    """Names of classes as text, only the first ones of many: `cat, dog`."""
    rest = len(names) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def _first_difference(expected, received):
    """The first class that differs, where the lists do not show it."""
    pairs = enumerate(zip(expected, received))
    found = next((i for i, (a, b) in pairs if a != b), None)
    if found is None or found < _SHOWN:
        return ""
    return f"; class {found} is {received[found]} instead of {expected[found]}"
