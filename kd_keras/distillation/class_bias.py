"""Shifts of a network's class biases that make its predictions fit a prior.

A student that was distilled without a class recognises it well but predicts
it too rarely; shifting one bias corrects that.

Reference:
    - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 3
"""

import keras
import numpy as np
import scipy.optimize
import scipy.special

from kd_keras.utils import keras_internals


def fit_class_bias(logits, class_prior, *, classes=None):
    """Finds shifts of logits with which the mean prediction is the prior.

    No label is needed. The shifts b minimise the convex

        mean_n logsumexp(z_n + b) - sum_c prior_c b_c,

    since its gradient is the mean of `softmax(z_n + b)` minus the prior.

    Args:
        logits: float array `(n, num_classes)` of images among which the
            classes have the frequencies of the prior; not of a transfer set
            that lacks the class.
        class_prior: floats > 0, the frequency of each of `classes`. They
            sum to 1 if those are all classes, else to less.
        classes: ints, the classes whose logits are shifted; all by default.

    Returns:
        float64 array `(num_classes,)` to be added to the logits; 0 for all
        other classes. If all classes are shifted, its mean is 0: softmax
        does not depend on it.

    Raises:
        ValueError: if the prior is not as above, or no minimum is found.
    """
    logits = np.asarray(logits, "float64")
    num_classes = logits.shape[-1]
    shifted = np.arange(num_classes) if classes is None else np.array(classes)
    prior = np.asarray(class_prior, "float64")
    _check_prior(prior, shifted, num_classes)
    # If all classes are shifted, one is held: a constant has no effect.
    free = slice(int(len(shifted) == num_classes), None)
    objective = _Objective(logits, shifted[free], prior[free])
    found = scipy.optimize.minimize(
        objective.loss,
        np.zeros(len(shifted[free])),
        method="trust-exact",
        jac=objective.gradient,
        hess=objective.hessian,
        options={"gtol": 1e-9, "maxiter": 500},
    )
    gap = np.abs(objective.gradient(found.x)).max()
    if gap > 1e-6:
        raise ValueError(
            "the mean prediction must reach class_prior by finite shifts. "
            f"Received: logits that stay {gap:.2g} away"
        )
    shift = objective.shift(found.x)
    if len(shifted) == num_classes:
        shift -= shift.mean()
    return shift


class _Objective:
    """The convex function that `fit_class_bias` minimises."""

    def __init__(self, logits, classes, prior):
        self._logits = logits
        self._classes = classes
        self._prior = prior

    def shift(self, b):
        """The shifts `b` of some classes as shifts of all."""
        shift = np.zeros(self._logits.shape[-1])
        shift[self._classes] = b
        return shift

    def loss(self, b):
        logits = self._logits + self.shift(b)
        normalisers = scipy.special.logsumexp(logits, axis=-1)
        return normalisers.mean() - self._prior @ b

    def gradient(self, b):
        return self._predict(b).mean(axis=0) - self._prior

    def hessian(self, b):
        p = self._predict(b)
        return np.diag(p.mean(axis=0)) - p.T @ p / len(p)

    def _predict(self, b):
        logits = self._logits + self.shift(b)
        return scipy.special.softmax(logits, axis=-1)[:, self._classes]


def add_class_bias(model, shift):
    """Adds shifts of logits to the bias of a network's last layer, in place.

    Args:
        model: Functional or Sequential `keras.Model` whose output is that of
            a `Dense` with a bias.
        shift: float array `(num_classes,)`.

    Raises:
        ValueError: if the model is of another form, has several outputs or a
            `call` method of its own, or its output is of another layer or of
            an operation.
    """
    layer, outputs = model, getattr(model, "outputs", None) or ()
    if len(outputs) == 1 and not keras_internals.has_own_call(model):
        layer = keras_internals.producer(outputs[0])
    if not isinstance(layer, keras.layers.Dense) or not layer.use_bias:
        raise ValueError(
            "the last layer must be a Dense with a bias, in a Functional or "
            "Sequential network of one output without a call method of its "
            f"own. Received: {layer.name}, {type(layer).__name__}"
        )
    layer.bias.assign_add(shift)


def _check_prior(prior, classes, num_classes):
    total = prior.sum()
    everything = len(classes) == num_classes
    if (
        prior.shape != classes.shape
        or not (prior > 0).all()
        or (everything and not np.isclose(total, 1))
        or (not everything and total >= 1)
    ):
        raise ValueError(
            "class_prior must have a number > 0 for each class to shift, "
            "with the sum 1 for all and less than 1 for some. Received: "
            f"{prior.tolist()} for {len(classes)} of {num_classes} classes"
        )
