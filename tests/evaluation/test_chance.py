"""Predictions that are better than chance, and those that are not."""

import numpy as np
import pytest

from kd_keras.evaluation import chance


def score(labels, predictions, num_classes=10):
    labels, predictions = np.array(labels), np.array(predictions)
    logits = np.eye(num_classes)[predictions]
    return chance.score(logits=logits, labels=labels)


def partly_right(accuracy, *, count=1000, num_classes=10, seed=0):
    """The score of predictions that are the label, or else drawn evenly."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % num_classes
    drawn = generator.integers(0, num_classes, count)
    # Drawn predictions are right by luck, too; this share is not drawn.
    share = (accuracy - 1 / num_classes) / (1 - 1 / num_classes)
    known = generator.random(count) < share
    return score(labels, np.where(known, labels, drawn), num_classes)


def test_chance_is_the_accuracy_of_shuffled_predictions():
    generator = np.random.default_rng(0)
    labels = generator.choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])
    predictions = generator.choice(4, 200, p=[0.5, 0.3, 0.2, 0.0])
    shuffled = [generator.permutation(predictions) for _ in range(4000)]
    accuracies = [np.mean(labels == p) for p in shuffled]
    found = score(labels, predictions, 4)
    assert found.chance == pytest.approx(np.mean(accuracies), abs=2e-3)
    deviations = (found.accuracy - found.chance) / np.std(accuracies)
    assert found._deviations == pytest.approx(deviations, abs=0.1)


@pytest.mark.parametrize(
    ("accuracy", "options", "worthless"),
    [
        (0.1, {}, True),
        (0.11, {}, True),
        (0.15, {}, False),
        (0.25, {}, False),
        (0.9, {}, False),
        # With two classes, 50 % is chance, and 65 % is some knowledge.
        (0.5, {"num_classes": 2}, True),
        (0.65, {"num_classes": 2}, False),
        # With a thousand classes, 2 % is some knowledge.
        (0.02, {"num_classes": 1000, "count": 10000}, False),
        # A good model may miss a few examples by accident.
        (0.8, {"count": 8}, False),
        (0.1, {"count": 8}, False),
        (0.1, {"count": 40}, True),
    ],
)
def test_near_chance_depends_on_classes_and_on_how_many_examples(
    accuracy, options, worthless
):
    assert partly_right(accuracy, **options).no_better_than_chance == worthless


def test_the_majority_class_is_chance():
    labels = [0] * 90 + [1] * 10
    constant = score(labels, [0] * 100, 2)
    assert constant.only_class == 0 and constant.accuracy == 0.9
    assert constant.no_better_than_chance
    # Most of the rare class is found.
    assert not score(labels, [0] * 92 + [1] * 8, 2).no_better_than_chance


def test_labels_of_one_class_show_a_bad_model_alone():
    right = score([3] * 100, [3] * 95 + [1] * 5)
    assert right.chance == 0.1 and not right.no_better_than_chance
    assert score([3] * 100, [1] * 100).no_better_than_chance


def test_another_order_of_the_classes_is_found():
    labels = np.arange(100) % 5
    rolled = score(labels, (labels + 1) % 5, 5)
    assert rolled.no_better_than_chance
    assert rolled.other_order == {0: 1, 1: 2, 2: 3, 3: 4, 4: 0}
    swapped = score(labels, np.array([1, 0, 2, 3, 4])[labels], 5)
    assert not swapped.no_better_than_chance
    assert swapped.other_order == {0: 1, 1: 0}
    # A class that is confused with another one is no other order.
    assert not score(labels, np.array([1, 1, 2, 3, 4])[labels], 5).other_order
    weak = np.array([3, 1, 2, 3, 0])[labels]
    assert not score(labels, weak, 5).other_order
    assert not partly_right(0.1, num_classes=5).other_order


def test_the_sign_of_one_logit_is_its_class():
    found = chance.score(logits=[[-2.0], [3.0], [0.5]], labels=[0, 1, 0])
    assert found.predictions.tolist() == [0, 1, 1] and found.num_classes == 2


def test_logits_that_hardly_depend_on_the_image_are_nearly_constant():
    generator = np.random.default_rng(0)
    mean, noise = np.array([3.0, 0, -3]), generator.normal(size=(50, 3))
    shift = generator.normal(size=(50, 1)) * 100
    assert chance.nearly_constant(mean + 0.01 * noise + shift)
    assert not chance.nearly_constant(mean + 0.3 * noise)
    assert chance.nearly_constant(np.zeros((50, 3)))
    assert not chance.nearly_constant(np.zeros((1, 3)))
    one = generator.normal(size=(50, 1))
    assert not chance.nearly_constant(one)
    assert chance.nearly_constant(3 + 0.01 * one)
