"""Fingerprints of examples, which identify the data of a run or a store."""

# The parts that a dataset may be split into.
_PARTS = ("train", "validation", "test")


def run_record(parts):
    """Identifies the images and labels that a run trains and tests on.

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
            # Zero, so that a part that is added later counts as a difference.
            f"data.{name}.examples": 0 if part is None else len(part.ids),
            f"data.{name}.fingerprint": part and part.fingerprint,
            f"data.{name}.labels": part and part.labels_fingerprint,
        }
    return record
