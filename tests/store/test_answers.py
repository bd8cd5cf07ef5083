"""Answers that are read from a store."""

import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import store
from kd_keras.data import augmentation as views
from kd_keras.data import datasets
from kd_keras.store import answers


@pytest.fixture(scope="module")
def parts():
    images = nets.make_images(60).astype("uint8")
    examples = datasets.Examples(images, nets.make_labels(60))
    return {
        "train": examples.subset(np.arange(40)),
        # Ids that the training examples have, too.
        "test": datasets.Examples(images[40:], nets.make_labels(20)),
    }


@pytest.fixture(scope="module")
def opened(parts, tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    manifest = store.plan(
        parts,
        teacher={"fingerprint": "abc"},
        num_classes=nets.NUM_CLASSES,
        spec=views.ViewSpec(translate=1),
        views_count=3,
        dtype="float32",
    )
    assert store.label(path, manifest, parts, nets.make_network(), verbose=0)
    return store.LogitStore.open(path)


def test_a_planned_store_is_opened_when_it_is_needed(opened):
    calls = []
    stored = answers.StoredAnswers(
        lambda: calls.append(1) or opened, manifest=opened.manifest
    )
    assert stored.record["store.teacher.fingerprint"] == "abc"
    assert stored.num_classes == nets.NUM_CLASSES
    assert stored.function is None
    assert [stored.view_of(epoch) for epoch in range(5)] == [0, 1, 2, 0, 1]
    assert not calls
    stored.open()
    stored.part("test").open()
    assert len(calls) == 1


def test_answers_are_those_of_the_part_and_view(opened):
    stored = answers.StoredAnswers(lambda: opened, manifest=opened.manifest)
    ids = np.array([7, 3])
    np.testing.assert_array_equal(
        stored(ids, 2, None).logits, opened.logits(ids, 2)
    )
    np.testing.assert_array_equal(
        stored.part("test")(ids, 0, None).logits, opened.logits(ids, 0, "test")
    )


def test_views_may_share_the_outputs_of_the_first(opened):
    shared = answers.StoredAnswers(
        lambda: opened, manifest=opened.manifest, share_views=True
    )
    ids = np.array([7, 3])
    expected = opened.logits(ids, 0)
    assert [shared.view_of(epoch) for epoch in range(5)] == [0, 1, 2, 3, 4]
    for view in (0, np.int64(4)):
        np.testing.assert_array_equal(shared(ids, view, None).logits, expected)
        batches = tf.data.Dataset.from_tensors((ids, ids))
        _, y = next(iter(shared.join(batches, view)))
        np.testing.assert_array_equal(y["teacher_logits"], expected)
    assert shared.record["store.share_views"] is True
    test = shared.part("test")
    np.testing.assert_array_equal(
        test(ids, 3, None).logits, opened.logits(ids, 0, "test")
    )
    assert shared.part("validation") is None


@pytest.mark.parametrize("labels", [False, True])
def test_batches_bring_the_logits(parts, opened, labels):
    stored = answers.StoredAnswers(lambda: opened, manifest=opened.manifest)
    batches = stored.join(parts["train"].batches(16, labels=labels), 1)
    images, y = next(iter(batches))
    np.testing.assert_array_equal(images, parts["train"].images[:16])
    np.testing.assert_array_equal(
        y["teacher_logits"], opened.logits(np.arange(16), 1)
    )
    assert set(y) == {"teacher_logits"} | ({"labels"} if labels else set())
