"""Suggests the name that a mistyped one is likely to mean."""

import difflib


def did_you_mean(name, choices):
    """Returns ` Did you mean 'x'?` for the closest choice, or an empty str."""
    close = difflib.get_close_matches(str(name), list(choices), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_choice(name, choices, *, what):
    """Raises a ValueError unless `name` is one of `choices`.

    Args:
        name: the value received.
        choices: strings, in the order that the message lists them.
        what: str, the field or argument: `--stage`.
    """
    if name not in choices:
        raise ValueError(
            f"{what} must be one of {', '.join(choices)}. "
            f"Received: {name!r}.{did_you_mean(name, choices)}"
        )
