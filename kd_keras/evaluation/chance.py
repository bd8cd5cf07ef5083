"""Judges whether predictions are better than chance.

Chance is the accuracy of predictions that do not depend on the image. It is
not 1 / classes: where 90 % of the images are of one class, a model that always
predicts this class is right on 90 % of them.
"""

import dataclasses
import functools

import numpy as np
from scipy import stats

from kd_keras.evaluation import outputs

# Standard deviations above chance from which a score is better (p = 0.01).
_SIGNIFICANT = 2.33
# Confidence that a model judged as worthless is not a good one with bad luck.
_CONFIDENCE = 0.999
# With this many labels of other classes, a constant prediction is no accident.
_ENOUGH_OTHERS = 10
# With this many examples of a class, its top prediction is no accident.
_ENOUGH_OF_A_CLASS = 5
# Differences between images, as a share of those between classes, that are
# too small to learn from.
_CONSTANT = 0.02


@dataclasses.dataclass(frozen=True)
class Score:
    """Predictions for some images, compared with their labels.

    Attributes:
        labels: int array `(n,)`.
        predictions: int array `(n,)`.
        num_classes: int.
    """

    labels: np.ndarray
    predictions: np.ndarray
    num_classes: int

    @property
    def examples(self):
        return len(self.labels)

    @property
    def right(self):
        return int(np.sum(self.labels == self.predictions))

    @property
    def accuracy(self):
        return self.right / self.examples

    @functools.cached_property
    def chance(self):
        """The mean accuracy if the predictions are assigned to random images.

        With labels of a single class it is 1 / classes.
        """
        labels, predictions = self._shares
        if (labels == 1).any():
            return 1 / self.num_classes
        return float(labels @ predictions)

    @property
    def only_class(self):
        """The class that is predicted for all images, or None."""
        predicted = np.unique(self.predictions)
        return int(predicted[0]) if len(predicted) == 1 else None

    @functools.cached_property
    def no_better_than_chance(self):
        """Whether the predictions are worthless, as far as can be known.

        They are if the accuracy is near chance (less than a quarter more, and
        less than a twentieth of the way to 1), or not significantly above it.
        With few examples that happens to good models, too: a model is not
        judged while its accuracy may still be half-way from chance to 1.
        """
        above = self.accuracy - self.chance
        is_near = above < min(0.25 * self.chance, 0.05 * (1 - self.chance))
        if not is_near and self._deviations >= _SIGNIFICANT:
            return False
        if self.only_class is not None:
            others = self.examples - np.bincount(self.labels).max()
            if others >= _ENOUGH_OTHERS:
                return True
        interval = stats.binomtest(self.right, self.examples).proportion_ci(
            _CONFIDENCE, method="wilson"
        )
        return bool(interval.high < (self.chance + 1) / 2)

    @functools.cached_property
    def other_order(self):
        """The class that each class is predicted as, if the order is wrong.

        Returns:
            dict of classes to the class that most examples of each are
            predicted as, where these are the same classes in another order;
            else empty.
        """
        taken = {}
        for label in np.unique(self.labels):
            predictions = self.predictions[self.labels == label]
            top = np.bincount(predictions).argmax()
            is_clear = np.sum(predictions == top) > len(predictions) / 2
            if is_clear and len(predictions) >= _ENOUGH_OF_A_CLASS:
                taken[int(label)] = int(top)
        moved = {c: other for c, other in taken.items() if c != other}
        # The confusions of a weak model are no permutation.
        is_permutation = set(moved) == set(moved.values())
        return moved if is_permutation else {}

    def described(self, images, right="right"):
        """The score in words.

        Args:
            images: str, such as `test images`.
            right: str, such as `predicted as by the teacher`.
        """
        same = ""
        if self.only_class is not None:
            same = f", and class {self.only_class} for all of them"
        return (
            f"{self.right:,} of {self.examples:,} {images} {right}{same}; by "
            f"chance it would be {self.chance * self.examples:,.0f}"
        )

    @property
    def _shares(self):
        return [
            np.bincount(classes, minlength=self.num_classes) / self.examples
            for classes in (self.labels, self.predictions)
        ]

    @property
    def _deviations(self):
        """Standard deviations of the score above chance, in float64.

        The deviation is over all ways to assign the predictions to the images.
        """
        labels, predictions = self._shares
        n = self.examples
        if (labels == 1).any():
            variance = self.chance * (1 - self.chance) / n
        else:
            both = labels * predictions
            variance = (
                np.sum(both * (1 - labels) * (1 - predictions))
                + both.sum() ** 2
                - np.sum(both**2)
            ) / max(n - 1, 1)
        if variance <= 0:
            return 0.0
        return (self.accuracy - self.chance) / variance**0.5


def score(*, logits, labels):
    """Counts the predictions of each class.

    Args:
        logits: `(n, num_classes)`; of one logit, the second class is > 0.
        labels: int array `(n,)`.

    Returns:
        `Score`.
    """
    logits = outputs.two_classes(np.asarray(logits))
    return Score(
        labels=np.asarray(labels),
        predictions=logits.argmax(axis=-1),
        num_classes=logits.shape[-1],
    )


def nearly_constant(logits):
    """Whether logits hardly depend on the image.

    True if their differences between images are small beside their
    differences between classes. A shift of all logits of an image does not
    count.

    Args:
        logits: `(n, num_classes)`.
    """
    logits = outputs.two_classes(np.asarray(logits, "float64"))
    if len(logits) < 2:
        return False
    centred = logits - logits.mean(axis=-1, keepdims=True)
    between_images = centred.std(axis=0).max()
    between_classes = np.abs(centred.mean(axis=0)).max()
    return bool(between_images <= _CONSTANT * between_classes)
