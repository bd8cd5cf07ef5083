"""Students trained from a store instead of the teacher."""

import keras
import nets
import numpy as np
import pytest
import stores
import tensorflow as tf

import kd_keras
from kd_keras.data import augmentation as views
from kd_keras.data import pipeline
from kd_keras.store import answers


@pytest.mark.slow
def test_a_distiller_learns_from_any_dataset_with_ids(written, parts, teacher):
    """One epoch from the store is one epoch from the teacher."""
    opened = kd_keras.LogitStore.open(written)
    examples = parts["train"]
    batches = tf.data.Dataset.from_tensor_slices(
        (examples.ids, examples.images)
    ).batch(100)
    shown = batches.map(
        lambda ids, images: (
            ids,
            views.make_views(images, ids, view=2, spec=stores.SPEC),
        )
    )
    stored_student = nets.make_network()
    live_student = nets.copy_of(stored_student)
    for student, source, data in (
        (stored_student, None, opened.attach(shown, view=2)),
        (live_student, teacher, shown.map(lambda ids, images: images)),
    ):
        distiller = kd_keras.Distiller(student, source)
        distiller.compile(optimizer=keras.optimizers.SGD(0.01))
        distiller.fit(data, verbose=0, shuffle=False)
    nets.assert_same_weights(stored_student, live_student, atol=1e-5)
    labelled = shown.map(lambda ids, images: (ids, images, ids % 5))
    images, y = next(iter(opened.attach(labelled, view=2)))
    assert images.shape == (100, *nets.IMAGE_SHAPE)
    assert y["teacher_logits"].shape == (100, nets.NUM_CLASSES)
    np.testing.assert_array_equal(y["labels"], examples.ids[:100] % 5)


@pytest.mark.slow
def test_training_repeats_the_stored_views(written, parts, teacher):
    opened = kd_keras.LogitStore.open(written)
    stored = answers.StoredAnswers(lambda: opened, manifest=opened.manifest)
    batches = pipeline.training_batches(
        parts["train"],
        batch_size=1200,
        seed=0,
        epochs=stores.VIEWS + 1,
        spec=stores.SPEC,
        labels=False,
        view_of=stored.view_of,
        join=stored.join,
    )
    first, *_, last = (
        (images.numpy(), y["teacher_logits"].numpy()) for images, y in batches
    )
    for images, logits in (first, last):
        np.testing.assert_allclose(teacher(images), logits, atol=1e-4)
    # Epoch 3 shows view 0, in another order.
    assert not np.array_equal(first[0], last[0])
    key = lambda pair: np.sort(pair[0].reshape(1200, -1).sum(-1))  # noqa: E731
    np.testing.assert_array_equal(key(first), key(last))
