"""Sets of confusable classes, and the accuracy by coverage."""

import numpy as np
import pytest

from kd_keras.distillation import specialists

SETS = [[0, 1, 2], [0, 3], [1, 4, 0]]


def predictions_of_blocks(blocks, *, count=50):
    """Predictions certain of a block, and even over the block's classes."""
    num_classes = sum(len(block) for block in blocks)
    rows = np.zeros((len(blocks), num_classes))
    for row, block in zip(rows, blocks):
        row[block] = 1 / len(block)
    return np.tile(rows, (count, 1))


@pytest.mark.parametrize("seed", [0, 1])
def test_classes_predicted_together_are_a_set(seed):
    blocks = [[0, 3, 5], [1, 4], [2, 6]]
    sets = specialists.confusable_sets(
        predictions_of_blocks(blocks), num_sets=3, seed=seed
    )
    assert sets == blocks


def test_sets_of_a_size_take_the_classes_of_largest_covariance():
    predictions = np.array(
        [
            [0.45, 0.45, 0.0, 0.0, 0.1, 0.0],
            [0.0, 0.0, 0.45, 0.45, 0.0, 0.1],
            [0.05, 0.0, 0.0, 0.0, 0.5, 0.45],
        ]
    )

    def sets(num_classes):
        return specialists.confusable_sets(
            predictions, num_sets=3, num_classes=num_classes
        )

    assert sets(0) == sets(2) == [[0, 1], [2, 3], [4, 5]]
    assert sets(3) == [[0, 1, 4], [0, 4, 5], [2, 3, 5]]


def test_no_two_sets_of_a_size_are_the_same():
    # Two pairs that are most confused with each other.
    predictions = np.array(
        [
            [0.4, 0.4, 0.1, 0.1, 0.0, 0.0],
            [0.1, 0.1, 0.4, 0.4, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.6, 0.4],
        ]
    )

    def sets(num_classes):
        return specialists.confusable_sets(
            predictions, num_sets=3, num_classes=num_classes
        )

    assert sets(2) == [[0, 1], [2, 3], [4, 5]]
    alike, other, _ = sets(4)
    assert alike == [0, 1, 2, 3]
    # The second set replaces its class of least covariance.
    assert len(set(other) & {4, 5}) == 1
    assert set(other) >= {0, 1} or set(other) >= {2, 3}


def test_sets_depend_on_predictions_and_seed_alone():
    # There are no sets to find, so k-means' result depends on its start.
    predictions = np.random.default_rng(0).dirichlet(np.ones(40), 200)

    def sets(seed):
        return specialists.confusable_sets(predictions, num_sets=9, seed=seed)

    assert sets(0) == sets(0) != sets(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sets": 1}, "2 to 4 sets of 4 classes. Received: num_sets=1"),
        ({"num_sets": 5}, "Received: num_sets=5"),
        ({"num_sets": 2, "num_classes": 4}, "Received: num_classes=4"),
    ],
)
def test_impossible_sets_are_refused(options, message):
    predictions = predictions_of_blocks([[0, 1], [2, 3]])
    with pytest.raises(ValueError, match=message):
        specialists.confusable_sets(predictions, **options)


def test_a_generalist_that_predicts_all_classes_alike_is_refused():
    with pytest.raises(ValueError, match="predicted differently. Received: 1"):
        specialists.confusable_sets(np.full((9, 4), 0.25), num_sets=2)


def test_accuracy_is_counted_by_coverage_of_the_true_class():
    def logits(classes):
        return np.eye(6)[classes]

    rows = specialists.accuracy_by_coverage(
        labels=np.array([0, 0, 3, 5, 1]),
        generalist_logits=logits([0, 1, 2, 5, 1]),
        logits=logits([0, 0, 3, 1, 0]),
        class_sets=SETS,
    )
    names = ("covering", "examples", "generalist_correct", "correct")
    assert rows == [
        dict(zip(names, row))
        for row in ([0, 1, 1, 0], [1, 1, 0, 1], [2, 1, 1, 0], [3, 2, 1, 2])
    ]
