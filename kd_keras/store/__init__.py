"""Caches the teacher's logits for each augmented view.

A view is a pure function of (seed, view number, example id). Its logits are
stored under (id, view), so they belong to exactly the image that the student is
trained on, in any order and any batch.

A store is a directory. `manifest.json` describes its contents, and is written
after all other files; until then, `plan.json` takes its place. A part
(`train`, `validation`, `test`) is a series of files of successive examples
with all their views, `<part>-00000-of-00010.npy`, arrays `(views, examples,
classes)`. Its ids are a range in the manifest, or in `<part>-ids.npy`, with
their order in `<part>-ids-order.npy` unless they are sorted. Features, such as
embeddings, are in files of their own, `<part>-feature0-00000-of-00010.npy`,
beside the logits or instead of them. Validation and test have one view, the
image without augmentation.
"""

from kd_keras.store.manifest import (
    comparable,
    describe,
    is_finished,
    plan,
    remove,
)
from kd_keras.store.reader import LogitStore
from kd_keras.store.writer import label, predicting, write

__all__ = [
    "LogitStore",
    "comparable",
    "describe",
    "is_finished",
    "label",
    "plan",
    "predicting",
    "remove",
    "write",
]
