"""Optimizers and learning rate schedules from the configuration."""

import keras
import tensorflow as tf

from kd_keras.utils import keras_internals


@keras.saving.register_keras_serializable(package="kd_keras")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise from 0 to the peak, then decay to a share of it.

    Args:
        peak: float, the largest learning rate.
        warmup_steps: int, number of steps of the rise.
        total_steps: int, the step at which the decay ends.
        shape: `linear`, `cosine` or `constant`.
        final_factor: float, the last learning rate as a share of the peak.
    """

    def __init__(self, *, peak, warmup_steps, total_steps, shape, final_factor):
        super().__init__()
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.shape = shape
        self.final_factor = final_factor

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        # Not step / warmup: the first step must not be 0.
        rise = (step + 1.0) / max(self.warmup_steps, 1)
        decay_steps = max(self.total_steps - self.warmup_steps, 1)
        done = tf.clip_by_value(
            (step - self.warmup_steps) / decay_steps, 0.0, 1.0
        )
        left = {
            "linear": 1.0 - done,
            "cosine": 0.5 * (1.0 + tf.cos(3.14159265 * done)),
            "constant": tf.ones_like(done),
        }[self.shape]
        fall = self.final_factor + (1.0 - self.final_factor) * left
        return self.peak * tf.minimum(rise, fall)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "shape": self.shape,
            "final_factor": self.final_factor,
        }


@keras.saving.register_keras_serializable(package="kd_keras")
class Restarts(keras.optimizers.schedules.LearningRateSchedule):
    """Schedules one after the other.

    Args:
        schedules: list of schedules, each of the steps since its first.
        first_steps: list of int, the first step of each, in order.

    Reference:
        - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983)
    """

    def __init__(self, schedules, first_steps):
        super().__init__()
        self.schedules = schedules
        self.first_steps = first_steps

    def __call__(self, step):
        rate = self.schedules[0](step)
        for schedule, first in zip(self.schedules[1:], self.first_steps[1:]):
            rate = tf.where(step >= first, schedule(step - first), rate)
        return rate

    def get_config(self):
        return {"schedules": self.schedules, "first_steps": self.first_steps}


@keras.saving.register_keras_serializable(package="kd_keras")
class Muon(keras.optimizers.SGD):
    """Nesterov SGD with orthogonal steps for convolutions.

    The momentum of a kernel `(height, width, in, out)` is a matrix with a
    column for each filter. It is replaced by the nearest matrix whose
    singular values are all alike, scaled to the learning rate times the
    norm of the kernel. The size of a gradient then has no effect, and no
    direction that the filters share dominates the others. All other
    variables are trained by SGD.

    Kernels keep their norms, and weight decay leaves them out. Where a norm
    has no effect, as before BatchNorm, it would drift: steps in proportion
    to a kernel make it longer, and decay makes it shorter, until the epsilon
    of the BatchNorm outweighs the variance of its inputs.

    `keras.optimizers.Muon` trains convolutions by Adam instead.

    Args:
        learning_rate: float or schedule, of SGD.
        kernel_learning_rate: float, learning rate of convolutions as a
            multiple of `learning_rate`.
        kernel_momentum: float, momentum of convolutions.
        **kwargs: as for `keras.optimizers.SGD`.

    Reference:
        - [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/)
    """

    def __init__(
        self,
        learning_rate=0.01,
        *,
        kernel_learning_rate=0.1,
        kernel_momentum=0.6,
        **kwargs,
    ):
        super().__init__(learning_rate, **kwargs)
        self.kernel_learning_rate = kernel_learning_rate
        self.kernel_momentum = kernel_momentum
        self._not_decayed = ((), ())

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        self._not_decayed = (tuple(var_list or ()), tuple(var_names or ()))
        super().exclude_from_weight_decay(var_list, var_names)

    def build(self, variables):
        if not self.built:
            variables_given, names = self._not_decayed
            kernels = filter(_is_convolution, variables)
            super().exclude_from_weight_decay(
                [*variables_given, *kernels], names
            )
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        if not _is_convolution(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = tf.cast(gradient, variable.dtype)
        momentum = self.momentums[
            keras_internals.variable_index(self, variable)
        ]
        self.assign(momentum, self.kernel_momentum * momentum + gradient)
        ahead = self.kernel_momentum * momentum + gradient
        step = tf.reshape(
            orthogonal(tf.reshape(ahead, (-1, ahead.shape[-1]))), ahead.shape
        )
        kernel = tf.convert_to_tensor(variable)
        norm = tf.norm(kernel)
        rate = tf.cast(learning_rate, kernel.dtype) * self.kernel_learning_rate
        # Neither a gradient nor a kernel of zeros may become NaN.
        share = tf.math.divide_no_nan(rate * norm, tf.norm(step))
        moved = kernel - step * share
        kept = tf.math.divide_no_nan(norm, tf.norm(moved))
        self.assign(variable, moved * kept)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_learning_rate": self.kernel_learning_rate,
            "kernel_momentum": self.kernel_momentum,
        }


def _is_convolution(variable):
    """Whether Muon takes orthogonal steps for it: not for depthwise kernels."""
    return len(variable.shape) == 4 and variable.shape[-1] != 1


def orthogonal(matrix):
    """Approximates the nearest matrix whose singular values are all 1.

    Five steps of a Newton-Schulz iteration bring all but the smallest
    singular values between 0.7 and 1.2.

    Args:
        matrix: float tensor `(rows, columns)`.

    Returns:
        Tensor of its shape and dtype.

    Reference:
        - [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/)
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = tf.transpose(matrix) if tall else matrix
    x /= tf.norm(x) + keras.config.epsilon()
    for _ in range(5):
        gram = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * gram + c * tf.matmul(gram, gram), x)
    return tf.transpose(x) if tall else x


def make_schedule(fields, *, steps_per_epoch, epochs, extended_from=()):
    """Builds the learning rate schedule of a stage; see `make_optimizer`."""
    steps = [end * steps_per_epoch for end in (*extended_from, epochs)]
    firsts = [0, *steps[:-1]]
    # Only in the first part does the optimizer start without a state.
    warmup_steps = round(fields.warmup_epochs * steps_per_epoch)
    schedules = [
        WarmupThenDecay(
            peak=fields.learning_rate,
            warmup_steps=warmup_steps if first == 0 else 0,
            total_steps=last - first,
            shape=fields.schedule,
            final_factor=fields.final_factor,
        )
        for first, last in zip(firsts, steps)
    ]
    return Restarts(schedules, firsts) if extended_from else schedules[0]


def make_optimizer(fields, *, steps_per_epoch, epochs, extended_from=()):
    """Builds the optimizer of a stage.

    Args:
        fields: `config.<stage>.optimizer`; see `kd_keras.config`.
        steps_per_epoch: int.
        epochs: int, over which the schedule runs.
        extended_from: tuple of ints, the epochs at which earlier parts of the
            training end: the schedule then starts again, without a warmup.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    schedule = make_schedule(
        fields,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        extended_from=extended_from,
    )
    optimizer = OPTIMIZERS[fields.name](
        schedule, fields, global_clipnorm=fields.clip_norm or None
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _sgd(schedule, fields, **options):
    return keras.optimizers.SGD(
        schedule,
        momentum=fields.momentum,
        nesterov=fields.momentum > 0,
        weight_decay=fields.weight_decay or None,
        **options,
    )


def _muon(schedule, fields, **options):
    return Muon(
        schedule,
        kernel_learning_rate=fields.kernel_learning_rate,
        momentum=fields.momentum,
        nesterov=True,
        weight_decay=fields.weight_decay or None,
        **options,
    )


def _adamw(schedule, fields, **options):
    return keras.optimizers.AdamW(
        schedule, weight_decay=fields.weight_decay, **options
    )


# Functions of the schedule, the fields and further options.
OPTIMIZERS = {"sgd": _sgd, "muon": _muon, "adamw": _adamw}
