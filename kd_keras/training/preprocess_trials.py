"""Tries the known preprocessings where a teacher predicts badly.

A teacher with a wrong preprocessing predicts without an error, and better than
chance. With labels, the accuracies show it. Without labels, uneven predictions
show it: with a wrong preprocessing, most images look like a few of the classes.
"""

import dataclasses

import numpy as np
from scipy import stats

from kd_keras.evaluation import chance, outputs, predict
from kd_keras.teachers import preprocessing

# Images that each preprocessing is tried on, and the batch size of a call.
IMAGES = 300
_BATCH_SIZE = 50
# Fewer images prove nothing.
_FEWEST_IMAGES = 50
# If a teacher is at least this accurate, no other preprocessing is tried.
_GOOD_ACCURACY = 0.95
# Another one is better if its accuracy on the same images is higher by the
# first share, and not by accident; it is far better from the second share on.
_LEAST_GAIN, _FAR_GAIN = 0.03, 0.1
_SIGNIFICANCE = 1e-3
# Shares of the largest entropy of the predicted classes: up to the first they
# are uneven, from the second on even. Few classes can be uneven by accident.
_UNEVEN, _EVEN = 0.8, 0.9
_FEWEST_CLASSES = 4


@dataclasses.dataclass(frozen=True)
class Finding:
    """A preprocessing that fits clearly better than the one that is set.

    Attributes:
        name: str, as `teacher.preprocess` takes it.
        before: str, a number: the teacher's score with its own preprocessing.
        after: str, the score with the other preprocessing, in words.
        is_far: bool, whether the difference is so large that a student
            would learn nonsense.
    """

    name: str
    before: str
    after: str
    is_far: bool

    def __str__(self):
        return (
            f"teacher.preprocess={self.name} would give {self.after} instead "
            f"of {self.before}"
        )


def find(teacher, examples, *, logits, labels=None):
    """Finds the preprocessing that fits clearly better than a teacher's.

    Args:
        teacher: `Teacher`.
        examples: `Examples`, of images from 0 to 255.
        logits: array `(n, num_classes)`, the teacher's for these images.
        labels: int array `(n,)`, or None.

    Returns:
        `Finding`, or None: where the teacher is good, or no other one is
        clearly better.
    """
    if len(examples) < _FEWEST_IMAGES or teacher.preprocessed_by is None:
        return None

    def judge(logits):
        if labels is None:
            return _Variety(logits)
        return _Accuracy(logits, labels)

    now = judge(logits)
    if now.is_good:
        return None
    others = {
        name: judge(found)
        for name in preprocessing.PREPROCESSINGS
        if (found := _predicted(teacher, name, examples)) is not None
    }
    better = [name for name in others if others[name].is_better_than(now)]
    if not better:
        return None
    best = max(better, key=lambda name: others[name].value)
    return Finding(
        best,
        before=now.number,
        after=others[best].described,
        is_far=others[best].is_far_better_than(now),
    )


def _predicted(teacher, name, examples):
    """Logits with another preprocessing; None where the model has none."""
    if name == teacher.preprocess:
        return None
    try:
        other = teacher.preprocessed_by(name)
        _, found = predict.collect(
            lambda ids, images: {"logits": other(images)},
            examples,
            batch_size=_BATCH_SIZE,
            verbose=0,
        )
    except ValueError:
        return None
    logits = found["logits"]
    return logits if np.isfinite(logits).all() else None


class _Accuracy:
    """The accuracy of predictions.

    Args:
        logits: array `(n, num_classes)`.
        labels: int array `(n,)`.
    """

    def __init__(self, logits, labels):
        self.score = chance.score(logits=logits, labels=labels)
        self.right = self.score.labels == self.score.predictions
        self.value = self.score.accuracy

    @property
    def number(self):
        return f"{100 * self.value:.0f} %"

    @property
    def described(self):
        return f"{self.number} right"

    @property
    def is_good(self):
        # Classes in another order are a different fault, with its own error.
        return self.value >= _GOOD_ACCURACY or bool(self.score.other_order)

    def is_better_than(self, now):
        if self.score.no_better_than_chance or self.score.other_order:
            return False
        gained = int(np.sum(self.right & ~now.right))
        lost = int(np.sum(now.right & ~self.right))
        if gained - lost < _LEAST_GAIN * len(self.right):
            return False
        test = stats.binomtest(gained, gained + lost, alternative="greater")
        return test.pvalue < _SIGNIFICANCE

    def is_far_better_than(self, now):
        return self.value - now.value >= _FAR_GAIN


class _Variety:
    """The evenness of predictions over the classes.

    Args:
        logits: array `(n, num_classes)`.
    """

    def __init__(self, logits):
        logits = outputs.two_classes(np.asarray(logits))
        self.num_classes = logits.shape[-1]
        entropy = stats.entropy(np.bincount(logits.argmax(axis=-1)))
        self.used = np.exp(entropy)
        self.value = entropy / np.log(min(logits.shape))

    @property
    def number(self):
        return f"{self.used:.1f}"

    @property
    def described(self):
        return f"predictions as varied as {self.number} classes"

    @property
    def is_good(self):
        return self.value > _UNEVEN

    def is_better_than(self, now):
        return self.value >= _EVEN

    def is_far_better_than(self, now):
        return self.num_classes >= _FEWEST_CLASSES
