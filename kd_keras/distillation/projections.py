"""Projections of a student's features to the teacher's number of channels.

The projections are layers of the Distiller: they are trained with the student,
but are not in the student's files. Variables and outputs are float32.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kd_keras")
class OrthogonalProjection(keras.layers.Layer):
    """A linear projection whose matrix has orthonormal rows or columns.

    It keeps the angles between features, up to what a smaller dimension
    loses, so that the student and not the projection has to learn the
    teacher's features. The matrix is the factor Q of a free matrix (QR).

    Args:
        channels: int, of the teacher.

    Reference:
        - [Miles et al., 2024](https://arxiv.org/abs/2403.06213), section 3
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape):
        sizes = input_shape[-1], self.channels
        # QR needs at least as many rows as columns.
        self.is_wide = sizes[0] < sizes[1]
        self.free = self.add_weight(
            shape=(max(sizes), min(sizes)),
            initializer=keras.initializers.Orthogonal(),
            name="free",
        )

    def matrix(self):
        """The matrix `(student channels, teacher channels)`."""
        q, r = tf.linalg.qr(tf.convert_to_tensor(self.free))
        # QR leaves the signs open; these make it a smooth function.
        signs = tf.sign(tf.linalg.diag_part(r))
        q *= tf.where(signs == 0.0, 1.0, signs)
        return tf.transpose(q) if self.is_wide else q

    def call(self, inputs):
        return tf.tensordot(inputs, self.matrix(), axes=1)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def _linear(channels):
    return keras.layers.Dense(channels, dtype="float32", name="projection")


def _orthogonal(channels):
    return OrthogonalProjection(channels, dtype="float32", name="projection")


# Functions of the teacher's number of channels -> layer, or None for no
# projection. `config.features.PROJECTIONS` has the same names.
PROJECTIONS = {"none": None, "linear": _linear, "orthogonal": _orthogonal}
