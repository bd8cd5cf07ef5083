"""Finds the differences between processes that must be alike."""

import json

_MOST_DIFFERENCES = 3
_MOST_NAMES = 3
_MOST_CHARACTERS = 80
_ABSENT = "absent"


def check(names, facts):
    """Raises a ValueError, one line, if the facts of processes differ.

    Args:
        names: list of str, such as `worker 1 (host2:2222)`.
        facts: list of dict in the same order, of str to JSON values. Of a
            nested dict, only the entries that differ are named.

    Raises:
        ValueError: with each difference, and which process has which value.
    """
    flat = [_flatten(fact) for fact in facts]
    keys = dict.fromkeys(key for fact in flat for key in fact)
    texts = {key: [fact.get(key, _ABSENT) for fact in flat] for key in keys}
    differing = [key for key in keys if len(set(texts[key])) > 1]
    if not differing:
        return
    shown = differing[:_MOST_DIFFERENCES]
    differences = [f"{key} is {_owners(names, texts[key])}" for key in shown]
    if more := len(differing) - len(shown):
        differences.append(f"{more} more")
    raise ValueError(
        "all workers must have the same program, configuration and data. "
        f"Received: {'; '.join(differences)}"
    )


def _flatten(fact, prefix=""):
    """Flattens to a dict of dotted names of nested entries to JSON text."""
    flat = {}
    for key, value in fact.items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value, sort_keys=True)
    return flat


def _owners(names, texts):
    """Lists values and their owners: `3 on worker 0 (a:1), 5 on worker 1`."""
    owners = {}
    for name, text in zip(names, texts, strict=True):
        owners.setdefault(text, []).append(name)
    return ", ".join(
        f"{_short(text)} on {_listed(owners[text])}"
        for text in list(owners)[:_MOST_DIFFERENCES]
    )


def _listed(names):
    more = len(names) - _MOST_NAMES
    listed = " and ".join(names[:_MOST_NAMES])
    return f"{listed} and {more} more" if more > 0 else listed


def _short(text):
    # The ends of long values differ as often as their beginnings.
    if len(text) <= _MOST_CHARACTERS:
        return text
    half = _MOST_CHARACTERS // 2
    return f"{text[:half]}...{text[-half:]}"
