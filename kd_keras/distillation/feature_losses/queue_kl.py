"""KL divergence of similarities to a queue of the teacher's embeddings."""

import keras
import tensorflow as tf

from kd_keras.distillation.feature_losses import common

_DEFAULTS = common.default_options("queue_kl")
# Far below any similarity; its softmax is exactly 0.
_EXCLUDED = -1e9


def queue_kl_loss(
    *,
    teacher_features,
    student_features,
    queue,
    num_filled,
    queue_temperature=_DEFAULTS["queue_temperature"],
):
    """KL divergence of the similarities of teacher and student to a queue.

    The embeddings in the queue stand for classes: the teacher's cosine
    similarities to them, softened, are the soft targets for the student's.
    No labels are needed, and similar images are distinguished from others.

    Args:
        teacher_features: float tensor `(batch, channels)`. Treated as
            constant.
        student_features: float tensor, same shape.
        queue: float tensor `(queue_size, channels)` of the norm 1.
        num_filled: int tensor, the rows of `queue` that are used.
        queue_temperature: float > 0 of both softmaxes.

    Returns:
        float32 tensor `(batch,)`, in nats; 0 where the queue is empty.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        - the first distillation method of [LightlyTrain](
          https://docs.lightly.ai/train/stable/methods/distillation.html),
          which draws on [Beyer et al., 2022](
          https://arxiv.org/abs/2106.05237); it takes the cross-entropy, which
          has the same gradient
    """
    features = common.both(teacher_features, student_features)
    is_filled = tf.range(tf.shape(queue)[0]) < num_filled
    log_p, log_q = (
        tf.nn.log_softmax(
            tf.where(
                is_filled,
                tf.matmul(common.normalized(x), queue, transpose_b=True)
                / queue_temperature,
                _EXCLUDED,
            )
        )
        for x in features
    )
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)


class Queue(keras.layers.Layer):
    """The last embeddings of the teacher, scaled to the norm 1.

    Args:
        shape: `(channels,)` of the teacher's features.
        queue_size: int.
        **options: further options of the loss; not used.

    Raises:
        ValueError: if the features are not pooled.
    """

    def __init__(self, shape, *, queue_size=_DEFAULTS["queue_size"], **options):
        super().__init__(dtype="float32", name="queue")
        if len(shape) != 1 or None in shape:
            raise ValueError(
                "the loss queue_kl needs one embedding for each image: take "
                f"pool='average'. Received: features of shape (batch, "
                f"{', '.join(map(str, shape))})"
            )
        del options
        # Each replica computes the same values, so none has to be sent.
        self.rows = self.add_weight(
            shape=(queue_size, *shape),
            initializer="zeros",
            trainable=False,
            name="rows",
        )
        self.next_row = self._counter("next_row")
        self.num_filled = self._counter("num_filled")
        self.built = True

    def _counter(self, name):
        return self.add_weight(
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name=name,
        )

    def update(self, features):
        """Replaces the oldest embeddings by the whole batch's."""
        size = self.rows.shape[0]
        new = common.normalized(features[-size:])
        count = tf.shape(new)[0]
        start = tf.convert_to_tensor(self.next_row)
        places = (start + tf.range(count)) % size
        self.rows.assign(
            tf.tensor_scatter_nd_update(
                tf.convert_to_tensor(self.rows), places[:, tf.newaxis], new
            )
        )
        self.next_row.assign((start + count) % size)
        self.num_filled.assign(
            tf.minimum(tf.convert_to_tensor(self.num_filled) + count, size)
        )

    def inputs(self):
        """The arguments of the loss that come from the queue: dict."""
        return {
            "queue": tf.convert_to_tensor(self.rows),
            "num_filled": tf.convert_to_tensor(self.num_filled),
        }
