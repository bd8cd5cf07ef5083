"""Random numbers and epoch orders, as pure functions of seed, view and id.

There is no generator and so no hidden state: the same seed, view number and
example id give the same random numbers in any batch, order or process.
"""

import dataclasses

import tensorflow as tf

from kd_keras.utils import digests

# The draw that sorts an epoch, and the draws that permute a large epoch.
DRAWS = _ORDER, *_ROUNDS = 0, 11, 12, 13, 14
# Sorting more examples takes seconds an epoch.
MOST_SORTED = 10_000_000
# Steps of the unit interval; float32 holds each of them exactly.
_UNIT_STEPS = 2**24


def epoch_order(ids, *, seed, epoch):
    """Shuffles examples for an epoch.

    Args:
        ids: int64 tensor or array `(n,)`, the examples' ids.
        seed: int.
        epoch: int or int64 scalar.

    Returns:
        int32 tensor `(n,)`, a permutation of the positions 0 to n - 1.
    """
    keys = _hash(ids, seed=seed, view=epoch, draw=_ORDER)
    return tf.argsort(keys, stable=True)


def epoch_positions(ids, *, seed, epoch):
    """The order of an epoch, for sets of any size.

    Up to 10 million examples are sorted, as by `epoch_order`. For more, a
    permutation is computed place by place, without memory.

    Args:
        ids: int64 tensor or array `(n,)`, the examples' ids.
        seed: int.
        epoch: int or int64 scalar.

    Returns:
        Function of `(start, stop)`, int64 scalars, that returns the positions
        of the examples at these places of the epoch: an integer tensor.
    """
    count = len(ids)
    if count > MOST_SORTED:
        return lambda start, stop: permuted(
            tf.range(start, stop), count=count, seed=seed, epoch=epoch
        )
    positions = epoch_order(ids, seed=seed, epoch=epoch)
    return lambda start, stop: positions[start:stop]


def permuted(places, *, count, seed, epoch):
    """Looks places up in a permutation of 0 to `count - 1`.

    A Feistel network of hashes permutes the smallest square of a power of two
    that holds `count`. Places that leave the range are permuted again until
    they are back in it ("cycle walking").

    Args:
        places: int64 tensor `(n,)`, 0 to `count - 1`.
        count: int.
        seed: int.
        epoch: int or int64 scalar.

    Returns:
        int64 tensor `(n,)`.

    Reference:
        - [Black & Rogaway, 2002](https://doi.org/10.1007/3-540-45760-7_9)
    """
    half_bits = max(-(-(count - 1).bit_length() // 2), 1)

    def walk(values):
        moved = _feistel(values, half_bits, seed=seed, epoch=epoch)
        return tf.where(values < count, values, moved)

    places = _feistel(
        tf.cast(places, tf.int64), half_bits, seed=seed, epoch=epoch
    )
    (places,) = tf.while_loop(
        lambda values: tf.reduce_any(values >= count),
        lambda values: (walk(values),),
        (places,),
    )
    return places


def _feistel(values, half_bits, *, seed, epoch):
    """Permutes the numbers of `2 * half_bits` bits: int64 tensor `(n,)`."""
    mask = tf.constant(2**half_bits - 1, tf.int64)
    shift = tf.constant(half_bits, tf.int64)
    left = tf.bitwise.right_shift(values, shift)
    right = tf.bitwise.bitwise_and(values, mask)
    for draw in _ROUNDS:
        mixed = _hash(right, seed=seed, view=epoch, draw=draw)
        mixed = tf.bitwise.bitwise_and(mixed, mask)
        left, right = right, tf.bitwise.bitwise_xor(left, mixed)
    return tf.bitwise.bitwise_or(tf.bitwise.left_shift(left, shift), right)


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """Random numbers for one view of each example in a batch.

    Each purpose has a draw of its own, which makes its random numbers
    independent of all others. A draw is a name, such as `hue`, or one of the
    older numbers 0 to 14.

    Attributes:
        ids: int64 tensor `(batch,)`, the examples' ids.
        seed: int.
        view: int or int64 scalar, the view's number.
        purpose: str, the name of the augmentation that draws. It keeps its
            draws apart from draws of the same name elsewhere.
    """

    ids: tf.Tensor
    seed: int
    view: int | tf.Tensor
    purpose: str = ""

    def integers(self, draw, count, times=None):
        """Draws whole numbers from 0 to `count - 1`.

        Args:
            draw: str or int, the purpose.
            count: int, or int32 tensor `(batch,)`.
            times: int, how many numbers to draw for each example, if the
                draw is a name; None for one.

        Returns:
            int32 `(batch,)`, or `(times, batch)`.
        """
        high = tf.bitwise.right_shift(
            _hash(
                self.ids,
                seed=self.seed,
                view=self.view,
                draw=self._number(draw, times),
            ),
            tf.constant(32, tf.int64),
        )
        # The shift keeps the sign; floormod makes the result positive.
        count = tf.cast(count, tf.int64)
        return tf.cast(tf.math.floormod(high, count), tf.int32)

    def fractions(self, draw, times=None):
        """Draws numbers uniformly from [0, 1): float32, as `integers`."""
        steps = self.integers(draw, _UNIT_STEPS, times)
        return tf.cast(steps, tf.float32) / _UNIT_STEPS

    def of(self, purpose):
        """Returns the `Draws` of the same views for another augmentation."""
        return dataclasses.replace(self, purpose=purpose)

    def of_view(self, view):
        """Returns the `Draws` of the same examples for another view."""
        return dataclasses.replace(self, view=view)

    def _number(self, draw, times):
        """The draw's number, or the numbers of several draws, `(times, 1)`."""
        if isinstance(draw, int):
            return draw
        number = number_of(f"{self.purpose}.{draw}")
        if times is None:
            return number
        return number + tf.range(times, dtype=tf.int64)[:, tf.newaxis]


def number_of(name):
    """The draw number of a name, from its SHA-256: at least 2**62."""
    return 2**62 + int(digests.sha256_of_text(name)[:15], 16)


def _hash(ids, *, seed, view, draw):
    """Hashes four whole numbers to 64 bits: int64 `(batch,)`."""
    value = tf.cast(seed, tf.uint64)
    for number in (draw, view):
        value = _split_mix(value + tf.cast(number, tf.uint64))
    return tf.bitcast(_split_mix(value + tf.cast(ids, tf.uint64)), tf.int64)


def _split_mix(value):
    """Scrambles a uint64 tensor: one step of SplitMix64.

    Reference:
        - [Steele et al., 2014](https://doi.org/10.1145/2660193.2660195)
    """

    def constant(number):
        return tf.constant(number, tf.uint64)

    def fold(value, bits):
        shifted = tf.bitwise.right_shift(value, constant(bits))
        return tf.bitwise.bitwise_xor(value, shifted)

    value += constant(0x9E3779B97F4A7C15)
    value = fold(value, 30) * constant(0xBF58476D1CE4E5B9)
    value = fold(value, 27) * constant(0x94D049BB133111EB)
    return fold(value, 31)
