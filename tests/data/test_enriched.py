"""Epochs enriched with a specialist's classes."""

import nets
import numpy as np
import pytest
import tensorflow as tf
from example_sets import encoded, in_memory

from kd_keras.data import augmentation as views
from kd_keras.data import datasets, pipeline
from kd_keras.data.enriched import EnrichedExamples


@pytest.mark.slow
def test_each_batch_is_half_special_and_no_example_repeats():
    labels = np.array([0] * 10 + [1] * 30 + [2] * 20)
    examples = datasets.Examples(
        nets.make_images(60).astype("uint8"), labels, ids=np.arange(60) + 7
    )
    enriched = EnrichedExamples(examples, [0, 2], share=0.5)
    assert len(enriched) == 60

    def epoch(number, share_of=enriched, seed=3):
        batches = share_of.batches(8, labels=True, seed=seed, epoch=number)
        return [(ids.numpy(), found.numpy()) for ids, _, found in batches]

    seen = epoch(0)
    assert sum(len(ids) for ids, _ in seen) == 60
    for ids, found in seen:
        assert abs(np.isin(found, [0, 2]).sum() - len(ids) / 2) <= 1
        np.testing.assert_array_equal(found, labels[ids - 7])
    every = np.concatenate([ids for ids, _ in seen])
    assert len(set(every)) == 60

    def ids_of(batches):
        return np.concatenate([ids for ids, _ in batches]).tolist()

    # A pure function of seed and epoch.
    assert ids_of(epoch(0)) == every.tolist()
    assert ids_of(epoch(1)) != every.tolist() != ids_of(epoch(0, seed=4))
    # An epoch shows all of the scarcer kind, and a new part of the other.
    scarce = EnrichedExamples(examples, [0], share=0.5)
    assert len(scarce) == 20
    first, second = (set(ids_of(epoch(e, scarce))) for e in (0, 1))
    assert set(range(7, 17)) <= first & second and first != second
    quarter = EnrichedExamples(examples, [0], share=0.25)
    assert len(quarter) == 40
    # In order and without a seed it is the whole set.
    whole = np.concatenate([i for i, _ in scarce.batches(8, labels=False)])
    np.testing.assert_array_equal(whole, examples.ids)
    with pytest.raises(ValueError, match="0 of classes.*60 of others"):
        EnrichedExamples(examples, [5], share=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_a_specialist_sees_the_generalist_s_views(small_mnist, kind):
    enriched = EnrichedExamples(kind(small_mnist.train), [1, 2], share=0.5)
    spec = views.ViewSpec(translate=1)
    batches = pipeline.training_batches(
        enriched, batch_size=32, seed=0, epochs=2, spec=spec, labels=True
    )
    steps = pipeline.steps_per_epoch(len(enriched), 32)
    assert sum(1 for _ in batches) == 2 * steps
    images, labels = list(batches)[steps]
    ids = next(
        ids for ids, _ in enriched.batches(32, labels=False, seed=0, epoch=1)
    ).numpy()
    np.testing.assert_array_equal(labels, small_mnist.train.labels[ids])
    np.testing.assert_array_equal(
        images,
        views.make_views(
            tf.constant(small_mnist.train.images[ids]), ids, view=1, spec=spec
        ),
    )
