"""Examples whose epochs hold a given share of some classes."""

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, order


class EnrichedExamples(datasets.Examples):
    """Examples whose epochs hold a given share of some special classes.

    No epoch shows an example twice. Within this limit an epoch is as long as
    possible: it shows all examples of the scarcer kind, special or other, and
    a random subset of the other kind. Special examples are spread evenly: in
    every stretch of an epoch their share is exact within one example. `len`
    is the number of examples in an epoch.

    Args:
        examples: `Examples` with labels.
        classes: list of int, the special classes.
        share: float in (0, 1), the share of special examples in an epoch.

    Raises:
        ValueError: if there are no special examples, or no others.
    """

    def __init__(self, examples, classes, *, share):
        super().__init__(
            examples.reader,
            examples.labels,
            num_classes=examples.num_classes,
            ids=examples.ids,
        )
        special = np.isin(self.labels, classes)
        self._positions = np.flatnonzero(special), np.flatnonzero(~special)
        # The numbers of special and of other examples in an epoch.
        total = int(min(special.sum() / share, (~special).sum() / (1 - share)))
        self._shown = round(total * share), total - round(total * share)
        if not all(self._shown):
            raise ValueError(
                "there must be examples of special classes and of others. "
                f"Received: {special.sum()} of classes {list(classes)}, "
                f"{(~special).sum()} of others"
            )

    def __len__(self):
        return sum(self._shown)

    def _epoch_positions(self, *, seed, epoch):
        chosen = []
        for positions, shown in zip(self._positions, self._shown):
            shuffled = order.epoch_order(
                tf.gather(self._tensors[0], positions), seed=seed, epoch=epoch
            )
            chosen.append(tf.gather(positions, shuffled[:shown]))
        # Spreads the special examples evenly over the epoch.
        place = np.arange(len(self))
        before = place * self._shown[0] // len(self)
        after = (place + 1) * self._shown[0] // len(self)
        slots = np.where(
            after > before, before, self._shown[0] + place - before
        )
        positions = tf.gather(tf.concat(chosen, axis=0), slots)
        return lambda start, stop: positions[start:stop]
