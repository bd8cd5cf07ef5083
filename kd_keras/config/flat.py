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
