"""Fits the linear head of a probe teacher to embeddings of few images."""

import dataclasses
import itertools
import warnings

import numpy as np
import threadpoolctl
from sklearn import exceptions, linear_model, model_selection

from kd_keras.evaluation import metrics
from kd_keras.utils import progress

# Strengths that are tried, from the strongest regularisation to the weakest.
STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-10, 5))
# Used where a class has a single label, so none can be held out to choose by.
DEFAULT_STRENGTH = 0.01
_NUM_FOLDS = 5
# With more images, one fold is enough, and five would take an hour.
_MANY_IMAGES = 10_000
# After this many worse strengths in a row, no weaker regularisation is tried.
_PATIENCE = 3
_ITERATIONS = 1000
# With fewer numbers, threads cost more than they save: 20 times as much while
# other programs use the cores.
_SMALL = 4_000_000


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fitted head: logits are `embedding @ kernel + bias`.

    Attributes:
        kernel: float32 array `(d, num_classes)`, with the standardisation.
        bias: float32 array `(num_classes,)`.
        strength: float, the chosen C of scikit-learn's logistic regression.
        chosen_by: str, `validation`, `cross-validation`, `a held-out part` or
            `default`.
        accuracy, nll: floats, measured on the images that the strength was
            chosen by; None for the default strength.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    chosen_by: str
    accuracy: float | None
    nll: float | None

    def record(self):
        """The entries of a report: a dict of JSON values."""
        names = ("strength", "chosen_by", "accuracy", "nll")
        return {name: getattr(self, name) for name in names}

    def described(self):
        """The choice as text, for the log."""
        if self.accuracy is None:
            return (
                f"C = {self.strength:.3g}: a class with one label leaves none "
                "to choose by"
            )
        return (
            f"{100 * self.accuracy:.1f} % right by {self.chosen_by}, "
            f"C = {self.strength:.3g}"
        )


def check_labels(labels, num_classes):
    """Raises a ValueError unless every class has a label.

    Args:
        labels: int array `(n,)`.
        num_classes: int.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if counts.min() == 0:
        raise ValueError(
            "a probe needs a label of each class at least. Received: "
            f"{len(labels)} labels of {np.count_nonzero(counts)} of "
            f"{num_classes} classes, none of class {counts.argmin()}"
        )


def fit(embeddings, labels, *, num_classes, seed, held_out=None):
    """Fits a logistic regression, and chooses its regularisation.

    The embeddings are standardised by mean and deviation of the labelled
    ones. The strength with the smallest negative log-likelihood is chosen: on
    held-out images or, where there are none, by stratified cross-validation,
    in which all views of an image are in one fold. With more than 10,000
    images, only one fold of five is used.

    Args:
        embeddings: float array `(images, views, d)`. One of float32 is
            standardised in place: a copy might not fit into memory.
        labels: int array `(images,)`.
        num_classes: int; every class must have a label.
        seed: int, for the folds.
        held_out: `(embeddings, labels)` of validation images, `(m, d)` and
            `(m,)`, or None.

    Returns:
        `Fitted`.

    Raises:
        ValueError: if a class has no label, or an embedding is not finite.
    """
    check_labels(labels, num_classes)
    scaled = np.asarray(embeddings, "float32")
    if not np.isfinite(scaled).all():
        raise ValueError(
            "a probe needs finite embeddings. Received: NaN or infinite ones"
        )
    mean, deviation = _moments(scaled)
    _standardise(scaled, mean, deviation)
    if held_out is None:
        chosen_by, trials = _folds(scaled, labels, seed)
    else:
        values, held_out_labels = held_out
        values = np.array(values, "float32")
        _standardise(values, mean, deviation)
        chosen_by = "validation"
        trials = [(scaled, labels, values, held_out_labels)]
    strength, accuracy, nll = _choose(trials)
    coefficients, intercept = _Regression().fit(scaled, labels, strength)
    kernel = coefficients / deviation
    return Fitted(
        kernel=kernel.T.astype("float32"),
        bias=(intercept - kernel @ mean).astype("float32"),
        strength=strength,
        chosen_by=chosen_by,
        accuracy=accuracy,
        nll=nll,
    )


def _moments(values):
    """Mean and deviation of the last axis, 1 where nothing varies: float64."""
    axes = tuple(range(values.ndim - 1))
    mean = values.mean(axis=axes, dtype="float64")
    squares = np.zeros_like(mean)
    # Part by part: all embeddings in float64 would take gigabytes.
    for part in np.array_split(values, -(-len(values) // 1000)):
        squares += np.square(part - mean).sum(axis=axes)
    deviation = np.sqrt(squares / (values.size / len(mean)))
    deviation[deviation == 0] = 1.0
    return mean, deviation


def _standardise(values, mean, deviation):
    """Standardises float32 values in place."""
    values -= mean.astype("float32")
    values /= deviation.astype("float32")


def _folds(scaled, labels, seed):
    """Splits the labelled images to choose a strength by.

    Returns:
        `(chosen_by, trials)`: see `Fitted` and `_choose`.
    """
    smallest = np.bincount(labels).min()
    if smallest < 2:
        return "default", []
    count = min(_NUM_FOLDS, int(smallest))
    folds = model_selection.StratifiedKFold(
        count, shuffle=True, random_state=seed
    ).split(labels, labels)
    chosen_by = "cross-validation"
    if len(labels) > _MANY_IMAGES:
        folds = itertools.islice(folds, 1)
        chosen_by = "a held-out part"
    trials = [
        (scaled[used], labels[used], scaled[left], labels[left])
        for used, left in folds
    ]
    return chosen_by, trials


def _choose(trials):
    """The best strength, with its accuracy and negative log-likelihood.

    Args:
        trials: list of tuples: embeddings and labels to fit, and embeddings
            and labels to measure with.
    """
    best = DEFAULT_STRENGTH, None, None
    if not trials:
        return best
    models = [_Regression() for _ in trials]
    bar = progress.bar(len(STRENGTHS), "strength")
    worse = 0
    for number, strength in enumerate(STRENGTHS, 1):
        right, log_loss, count = 0, 0.0, 0
        for model, (used, labels, left, left_labels) in zip(models, trials):
            coefficients, intercept = model.fit(used, labels, strength)
            # Only the first view, as for validation images.
            values = left[:, 0] if left.ndim == 3 else left
            logits = values @ coefficients.T + intercept
            measured = {"logits": logits, "labels": left_labels}
            right += len(logits) - metrics.errors(**measured)
            log_loss += len(logits) * metrics.negative_log_likelihood(
                **measured
            )
            count += len(logits)
        bar.update(number)
        if best[2] is None or log_loss / count < best[2]:
            best, worse = (strength, right / count, log_loss / count), 0
        else:
            worse += 1
        if worse == _PATIENCE:
            break
    bar.update(len(STRENGTHS), finalize=True)
    return best


class _Regression:
    """A logistic regression that starts from its last solution."""

    def __init__(self):
        self._model = linear_model.LogisticRegression(
            max_iter=_ITERATIONS, warm_start=True
        )

    def fit(self, scaled, labels, strength):
        """Fits `(images, views, d)`: coefficients `(classes, d)`, intercept."""
        count, views, size = scaled.shape
        self._model.C = strength
        threads = 1 if scaled.size < _SMALL else None
        with (
            threadpoolctl.threadpool_limits(threads),
            warnings.catch_warnings(),
        ):
            # After so many iterations, a weak regularisation is near enough.
            warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
            self._model.fit(
                scaled.reshape(count * views, size), np.repeat(labels, views)
            )
        coefficients, intercept = self._model.coef_, self._model.intercept_
        if len(coefficients) == 1:
            # scikit-learn has one row for two classes.
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        return coefficients.astype("float64"), intercept.astype("float64")
