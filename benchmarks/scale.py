"""Computes what labelling large sets takes: time, disk and files, on paper.

    python -m benchmarks.scale

Prints the Markdown tables of `docs/scale.md`. Sizes and files come from the
package's plan for such a set. Times are the number of images divided by a rate;
`RATES` has the source of each rate.
"""

import dataclasses
import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.store import layout, records

COUNTS = {"1.28 M": 1_280_000, "100 M": 100_000_000, "1 B": 1_000_000_000}


@dataclasses.dataclass(frozen=True)
class Rate:
    """Images that are labelled in a second.

    Attributes:
        name: str, the machine and the teacher.
        per_second: float.
        source: str, where the number comes from.
    """

    name: str
    per_second: float
    source: str


RATES = (
    Rate(
        "one core of an Intel Xeon, EfficientNet-Lite0 in ONNX Runtime, 224 px",
        125,
        "measured",
    ),
    Rate(
        "two cores of an Intel Xeon, ResNet-20 in TensorFlow, 32 px",
        1937,
        "measured",
    ),
    Rate("one H100, 224 px, cautious", 3_000, "estimated"),
    Rate("one H100, 224 px, hopeful", 10_000, "estimated"),
)

# The data that is stored for a view, and the options of `store.plan`.
STORED = {
    "1,000 classes, `store.dtype=float32`": {
        "num_classes": 1000,
        "dtype": "float32",
    },
    "1,000 classes, `store.dtype=float16`": {"num_classes": 1000},
    "`store.top_k=10` of them, `float16`": {"num_classes": 1000, "top_k": 10},
    "1,280 features, `float16`": {
        "num_classes": 0,
        "features": [{"shape": [1280]}],
    },
}
# Views of an image, and approximate numbers of views in a file.
VIEWS = (1, 300)
SHARD_VIEWS = (5_000, 2_000_000)


class Images:
    """The ids of a set without its images."""

    images_record = {"fingerprint": "on paper"}

    def __init__(self, count):
        self.ids = range(count)

    def __len__(self):
        return len(self.ids)


def plan(count, stored, *, views=1, shard_views=5_000):
    """The manifest of a store; see `store.plan`.

    Args:
        count: int, the number of images.
        stored: a key of `STORED`.
        views: int, views of each image.
        shard_views: int, approximate number of views in a file.
    """
    return store.plan(
        {"train": Images(count)},
        teacher={"fingerprint": "on paper"},
        spec=augmentation.ViewSpec(),
        views_count=views,
        shard_views=shard_views,
        **STORED[stored],
    )


def view_bytes(stored):
    """Bytes of a view in a store."""
    arrays = records.arrays(plan(1000, stored))
    return sum(array.row_dtype.itemsize for array in arrays)


def time_table():
    """Hours of one device, one view of each image."""
    return _table(
        ["Device and teacher", "images/s", "", *COUNTS],
        [
            [
                rate.name,
                f"{rate.per_second:,.0f}",
                rate.source,
                *(
                    duration(count / rate.per_second)
                    for count in COUNTS.values()
                ),
            ]
            for rate in RATES
        ],
    )


def disk_table():
    """Bytes on disk, by the kind of stored data and the number of views."""
    return _table(
        ["What is stored", "bytes a view", "views", *COUNTS],
        [
            [
                name,
                f"{view_bytes(name):,}",
                f"{views}",
                *(
                    size(count * views * view_bytes(name))
                    for count in COUNTS.values()
                ),
            ]
            for views in VIEWS
            for name in STORED
        ],
    )


def task_table():
    """Files of one view of each image: their number, size and time."""
    rows = []
    for name in list(STORED)[1:]:
        for shard_views in SHARD_VIEWS:
            manifests = [
                plan(count, name, shard_views=shard_views)
                for count in COUNTS.values()
            ]
            examples = manifests[-1]["parts"]["train"]["shard_examples"]
            rows.append(
                [
                    name,
                    f"{shard_views:,}",
                    *(f"{layout.num_shards('train', m):,}" for m in manifests),
                    size(examples * view_bytes(name)),
                    duration(examples / RATES[2].per_second),
                ]
            )
    return _table(
        [
            "What is stored",
            "`store.shard_views`",
            *(f"tasks of {name}" for name in COUNTS),
            "a file of 1 B",
            "its time at 3,000 images/s",
        ],
        rows,
    )


def duration(seconds):
    """Seconds as text, in the unit that suits."""
    for unit, length in (("years", 31_536_000), ("days", 86_400), ("h", 3600)):
        if seconds >= 2 * length:
            return f"{_rounded(seconds / length)} {unit}"
    if seconds >= 120:
        return f"{_rounded(seconds / 60)} min"
    return f"{_rounded(seconds)} s"


def size(count):
    """A number of bytes as text, in units of 1,000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{_rounded(count)} {unit}"
        count /= 1000
    return f"{_rounded(count)} PB"


def _rounded(number):
    """Two significant digits, or all digits before the point."""
    if number >= 10:
        return f"{number:.0f}"
    places = 1 - math.floor(math.log10(number)) if number else 0
    return f"{number:.{places}f}".removesuffix(".0")


def _table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    print("\n\n".join([time_table(), disk_table(), task_table()]))


if __name__ == "__main__":
    main()
