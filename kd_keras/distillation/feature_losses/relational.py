"""Relational distillation: distances and angles between examples."""

import functools

import tensorflow as tf

from kd_keras.distillation.feature_losses import common

_DEFAULTS = common.default_options("relational")
# Squared distances below this share of the squared norms are rounding errors
# of float64.
_ROUNDING = 1e-13


def relational_loss(
    *,
    teacher_features,
    student_features,
    distance_weight=_DEFAULTS["distance_weight"],
    angle_weight=_DEFAULTS["angle_weight"],
    gather=None,
    batch_sum=None,
):
    """Compares the relations between the examples of a batch (RKD).

    Distances of pairs are divided by their mean over the batch; angles are
    the cosines at an example between the directions to two others. Each is
    compared by Huber's loss, and averaged over the other examples. Neither
    changes if features are shifted, scaled or rotated, and teacher and
    student may have different numbers of channels.

    Args:
        teacher_features: float tensor `(batch, ...)`. Treated as constant.
        student_features: float tensor `(batch, ...)`.
        distance_weight: float >= 0.
        angle_weight: float >= 0; angles take memory of the third power of
            the batch size.
        gather: function that gathers a tensor `(batch, ...)` of the whole
            batch, for features that are a part of it; None if they are all.
        batch_sum: function that sums a tensor `(batch, ...)` over the whole
            batch; None as for `gather`.

    Returns:
        float32 tensor `(batch,)`; 0 in a batch of one example, which has no
        relations, and without angles in one of two.

    Reference:
        - [Park et al., 2019](https://arxiv.org/abs/1904.05068), eq. 4 to 9
    """
    if batch_sum is None:
        batch_sum = functools.partial(tf.reduce_sum, axis=0)
    relations = [
        _Relations(common.flat(x), gather, batch_sum)
        for x in (tf.stop_gradient(teacher_features), student_features)
    ]
    loss = tf.zeros(tf.shape(student_features)[:1])
    if distance_weight:
        loss += distance_weight * _mean_huber(
            *(x.distances() for x in relations)
        )
    if angle_weight:
        loss += angle_weight * _mean_huber(*(x.angles() for x in relations))
    return loss


class _Relations:
    """Distances and angles of examples to all examples of the batch.

    In float64, from inner products: differences would take memory of the
    batch size squared times the channels.
    """

    def __init__(self, features, gather, batch_sum):
        rows = tf.cast(features, tf.float64)
        everyone = tf.cast(gather(features), tf.float64) if gather else rows
        self._count = tf.shape(everyone)[0]
        self._batch_sum = batch_sum
        center = tf.stop_gradient(tf.reduce_mean(everyone, axis=0))
        rows, everyone = rows - center, everyone - center
        self._squares = tf.reduce_sum(tf.square(rows), axis=-1)[:, tf.newaxis]
        self._products = tf.matmul(rows, everyone, transpose_b=True)
        self._all_products = tf.matmul(everyone, everyone, transpose_b=True)
        norms = self._squares + tf.linalg.diag_part(self._all_products)
        squares = norms - 2.0 * self._products
        # Of an example to itself, and to a copy.
        self._is_zero = squares <= _ROUNDING * norms
        # The square root of 0 has no finite gradient.
        squares = tf.where(self._is_zero, tf.ones_like(squares), squares)
        self._distances = tf.sqrt(squares)

    def distances(self):
        """Distances by their mean, `(batch, whole batch)`; 0 to itself."""
        values = tf.where(
            self._is_zero, tf.zeros_like(self._distances), self._distances
        )
        pairs = tf.cast(self._count * (self._count - 1), tf.float64)
        total = self._batch_sum(tf.reduce_sum(values, axis=-1))
        return tf.math.divide_no_nan(values * pairs, total)

    def angles(self):
        """Cosines `(batch, whole batch, whole batch)`; 0 where undefined."""
        # (x_j - x_i) (x_k - x_i) of the example i in a row.
        products = (
            self._all_products
            - self._products[:, :, tf.newaxis]
            - self._products[:, tf.newaxis, :]
            + self._squares[:, :, tf.newaxis]
        )
        lengths = (
            self._distances[:, :, tf.newaxis]
            * self._distances[:, tf.newaxis, :]
        )
        is_undefined = (
            self._is_zero[:, :, tf.newaxis]
            | self._is_zero[:, tf.newaxis, :]
            | tf.eye(self._count, dtype=tf.bool)
        )
        cosines = products / lengths
        return tf.where(is_undefined, tf.zeros_like(cosines), cosines)


def _mean_huber(teacher, student):
    """Huber's loss, averaged over the other examples: float32 `(batch,)`."""
    difference = tf.abs(student - teacher)
    values = tf.where(
        difference < 1.0, tf.square(difference) / 2.0, difference - 0.5
    )
    sums, count = values, tf.cast(tf.shape(values)[-1], tf.float64)
    others = tf.ones((), tf.float64)
    for index in range(1, len(values.shape)):
        sums = tf.reduce_sum(sums, axis=-1)
        others *= count - index
    return tf.cast(tf.math.divide_no_nan(sums, others), tf.float32)
