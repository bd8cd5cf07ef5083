"""Reads fields of the configuration that list values separated by commas."""


def split(text):
    """The values of a list: `"a, b"` -> `["a", "b"]`.

    Args:
        text: str; empty text is one value, too.
    """
    return [part.strip() for part in text.split(",")]


def paired(fields):
    """Reads several fields whose values belong together.

    Args:
        fields: dict of str, the lists by the names of their fields. A single
            value belongs to each value of the other fields.

    Returns:
        List of lists of the same length, one for each field.

    Raises:
        ValueError: if the numbers of values differ.
    """
    lists = {name: split(text) for name, text in fields.items()}
    most = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in (1, most):
            raise ValueError(
                f"{name} must have one value or {most}, as many as "
                f"{' or '.join(lists)} has. Received: {len(values)}, "
                f"{fields[name]!r}"
            )
    return [
        values * most if len(values) == 1 else values
        for values in lists.values()
    ]
