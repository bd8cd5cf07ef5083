"""Loads images into memory, for sources on disk."""

import logging

import numpy as np

from kd_keras.data import datasets, readers

_log = logging.getLogger(__name__)


def in_memory_if_small(examples, memory_limit_mb):
    """Reads examples into memory if their images fit the limit.

    Args:
        examples: `Examples`.
        memory_limit_mb: int.

    Returns:
        `Examples`, or `examples` if the images are larger.
    """
    size_mb = len(examples) * np.prod(examples.image_shape) / 2**20
    if size_mb > memory_limit_mb:
        _log.info(
            "%.0f MB exceed data.memory_limit_mb=%d: read from disk in every "
            "epoch",
            size_mb,
            memory_limit_mb,
        )
        return examples
    return datasets.Examples(
        readers.in_memory(examples.reader, examples.ids),
        examples.labels,
        num_classes=examples.num_classes,
        ids=examples.ids,
    )
