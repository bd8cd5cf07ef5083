"""Class biases that give a network's predictions a class prior.

A student that was distilled without a class has hardly a wrong picture of
it, but believes too little in it; the shift of one bias mends that.

Reference:
    - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 3
"""

import keras
import numpy as np
import scipy.optimize
import scipy.special


def fit_class_bias(logits, class_prior, *, classes=None):
    """Finds the shifts of logits after which the mean prediction is a prior.

    No label is needed. The shifts b minimise the convex

        mean_n logsumexp(z_n + b) - sum_c prior_c b_c,

    since its gradient is the mean of `softmax(z_n + b)` less the prior.

    Args:
        logits: float array `(n, num_classes)` of pictures among which the
            classes are as frequent as the prior says: not of a transfer set
            that lacks the class.
        class_prior: floats > 0, the frequency of each of `classes`. They
            sum to 1 if those are all, else to less.
        classes: ints, the classes whose logits are shifted; all by default.

    Returns:
        float64 array `(num_classes,)` to be added to the logits; 0 for all
        other classes. Its mean is 0 if all classes are shifted, which
        softmax leaves open.

    Raises:
        ValueError: if the prior is none, or the minimum is not found.
    """
    logits = np.asarray(logits, "float64")
    num_classes = logits.shape[-1]
    shifted = np.arange(num_classes) if classes is None else np.array(classes)
    prior = np.asarray(class_prior, "float64")
    _check_prior(prior, shifted, num_classes)
    shift = np.zeros(num_classes)
    # With all classes one of them is held, or b would be free by a constant.
    free = slice(int(len(shifted) == num_classes), None)
    moved = shifted[free]

    def predict(b):
        shift[moved] = b
        return scipy.special.softmax(logits + shift, axis=-1)[:, moved]

    def loss(b):
        shift[moved] = b
        normalisers = scipy.special.logsumexp(logits + shift, axis=-1)
        return normalisers.mean() - prior[free] @ b

    def gradient(b):
        return predict(b).mean(axis=0) - prior[free]

    def hessian(b):
        p = predict(b)
        return np.diag(p.mean(axis=0)) - p.T @ p / len(p)

    found = scipy.optimize.minimize(
        loss,
        np.zeros(len(moved)),
        method="trust-exact",
        jac=gradient,
        hess=hessian,
        options={"gtol": 1e-9, "maxiter": 500},
    )
    gap = np.abs(gradient(found.x)).max()
    if gap > 1e-6:
        raise ValueError(
            "the mean prediction must reach class_prior by finite shifts. "
            f"Received: logits that stay {gap:.2g} away"
        )
    if len(shifted) == num_classes:
        shift -= shift.mean()
    return shift


def add_class_bias(model, shift):
    """Adds shifts of logits to the bias of a network's last layer, in place.

    Args:
        model: Keras model whose last layer is a `Dense` with a bias.
        shift: float array `(num_classes,)`.

    Raises:
        ValueError: if the last layer is another one.
    """
    layer = model.layers[-1]
    if not isinstance(layer, keras.layers.Dense) or not layer.use_bias:
        raise ValueError(
            "the last layer must be a Dense with a bias. Received: "
            f"{layer.name}, {type(layer).__name__}"
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
