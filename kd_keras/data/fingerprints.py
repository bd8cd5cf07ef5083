"""Fingerprints of examples, by which a run or a store knows its data."""

import numpy as np

from kd_keras.utils import digests, progress

# What a dataset may be split into.
_PARTS = ("train", "validation", "test")
# Examples of a stream that are read at once.
_BATCH = 256


def run_record(parts):
    """Identifies the images and labels that a run trains and is tested on.

    Args:
        parts: dict of `train`, `validation` and `test`, as far as they exist,
            to `Examples` or `StreamedExamples`.

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


def digest_of_stream(examples):
    """SHA-256 of all images and labels of `StreamedExamples`."""
    bar = progress.bar(len(examples), "image")

    def contents():
        for _, *batch in examples.batches(_BATCH, labels=examples.labelled):
            yield from (np.ascontiguousarray(part) for part in batch)
            bar.add(len(batch[0]))

    return digests.sha256_of_parts(contents())
