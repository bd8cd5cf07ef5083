"""Flat dicts of configurations, to record and compare them."""


def flatten(fields, prefix=""):
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`, tuples as lists, as in JSON."""
    flat = {}
    for key, value in fields.items():
        if hasattr(value, "items"):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = (
                list(value) if isinstance(value, tuple) else value
            )
    return flat


def differing(was, now):
    """The entries of two flat dicts that differ, as text for an error."""
    return [
        f"{name} (was {was.get(name)!r}, is {now.get(name)!r})"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
