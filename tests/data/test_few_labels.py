"""The training examples whose labels are used."""

import numpy as np
import pytest
from example_sets import encoded, numbered

from kd_keras.data import few_labels
from kd_keras.data.few_labels import FewLabels


def chosen_ids(count, *, seed=0, examples=None):
    examples = examples or numbered(100)
    return few_labels.labelled(
        examples, FewLabels(count), seed=seed
    ).ids.tolist()


def test_equally_many_of_each_class_are_chosen_in_order():
    chosen = few_labels.labelled(numbered(100), FewLabels(3), seed=0)
    assert np.bincount(chosen.labels).tolist() == [3] * 10
    assert chosen.ids.tolist() == sorted(chosen.ids)
    assert chosen.num_classes == 10


def test_the_choice_stays_what_results_were_made_with():
    assert chosen_ids(1) == [23, 31, 32, 36, 40, 45, 49, 54, 67, 78]


def test_a_smaller_number_is_among_a_larger_one_and_of_a_larger_set():
    assert set(chosen_ids(2)) < set(chosen_ids(5))
    assert chosen_ids(2) != chosen_ids(2, seed=1)
    # An example keeps its place when others are left out.
    part = numbered(100).subset(np.flatnonzero(np.arange(100) % 20 < 10))
    assert set(chosen_ids(3)) & set(part.ids) <= set(
        chosen_ids(3, examples=part)
    )


def test_a_class_with_too_few_images_is_named():
    examples = numbered(100).subset(np.arange(95))
    few = FewLabels(10, section="baseline")
    text = "^baseline.labels_per_class .* Received: 10, and class 5 with 9"
    with pytest.raises(ValueError, match=text):
        few_labels.labelled(examples, few, seed=0)


def test_a_file_lists_the_labelled_examples(tmp_path):
    np.save(tmp_path / "ids.npy", [7, 3])
    chosen = few_labels.labelled(
        numbered(10), FewLabels(listed=tmp_path / "ids.npy"), seed=0
    )
    assert chosen.ids.tolist() == [3, 7] and chosen.labels.tolist() == [3, 7]


def test_examples_without_labels_are_refused():
    with pytest.raises(ValueError, match="needs labels"):
        few_labels.labelled(
            few_labels.unlabelled(numbered(10)), FewLabels(1), seed=0
        )


@pytest.mark.parametrize("kind", [numbered, lambda n: encoded(numbered(n))])
def test_unlabelled_examples_are_the_same_images(kind):
    part = kind(20).subset(np.array([5, 7]))
    bare = few_labels.unlabelled(part)
    assert bare.fingerprint == part.fingerprint
    assert bare.labels is None and bare.num_classes == 10
