"""Fingerprints of examples, by which a run or a store knows its data."""

# What a dataset may be split into.
_PARTS = ("train", "validation", "test")


def run_record(parts):
    """Identifies the images and labels that a run trains and is tested on.

    Args:
        parts: dict of `train`, `validation` and `test`, as far as they exist,
            to `Examples`.

    Returns:
        Flat dict of JSON values.
    """
    record = {"data.train.classes": parts["train"].num_classes}
    for name in _PARTS:
        part = parts.get(name)
        record |= {
            # Zero, so that a part that is added later is a difference.
            f"data.{name}.examples": 0 if part is None else len(part.ids),
            f"data.{name}.fingerprint": part and part.fingerprint,
            f"data.{name}.labels": part and part.labels_fingerprint,
        }
    return record
