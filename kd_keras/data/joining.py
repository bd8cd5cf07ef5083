"""Joins datasets into one with the classes of all."""

import numpy as np

from kd_keras.data import datasets, readers
from kd_keras.models import image_spec


def join(parts):
    """Joins datasets into one.

    The classes of the second dataset are numbered after those of the first,
    and so on.

    Args:
        parts: list of `Dataset` with labels and test examples.

    Returns:
        `Dataset`, named `<first>+<second>`.

    Raises:
        ValueError: if a part lacks labels, class names or test examples, or
            has images of another size.
    """
    for part in parts:
        if not (part.class_names and part.test):
            raise ValueError(
                "joined datasets must have labels and test examples. "
                f"Received: {part.name}"
            )
    for part in parts[1:]:
        image_spec.check_same(
            parts[0].train.image_spec,
            part.train.image_spec,
            model=f"the first joined dataset, {parts[0].name},",
            images=f"images of {part.name}",
        )
    shapes = {part.name: part.train.image_shape for part in parts}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            "joined datasets must have images of one size, or "
            f"data.image_size must be set. Received: {shapes}"
        )
    counts = [len(part.class_names) for part in parts]
    first_classes = np.cumsum([0, *counts])[:-1]

    def joined(split):
        examples = [getattr(part, split) for part in parts]
        labels = [x.labels + k for x, k in zip(examples, first_classes)]
        return datasets.Examples(
            readers.join([(x.reader, x.ids) for x in examples]),
            np.concatenate(labels),
            num_classes=sum(counts),
        )

    return datasets.Dataset(
        name="+".join(part.name for part in parts),
        train=joined("train"),
        test=joined("test"),
        source="; ".join(f"{part.name}: {part.source}" for part in parts),
        class_names=[name for part in parts for name in part.class_names],
    )
