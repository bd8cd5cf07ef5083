"""Batches for training, evaluation and labelling."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from example_sets import encoded, in_memory, numbered, numbers

from kd_keras.data import augmentation, datasets, pipeline, splits
from kd_keras.teachers import answers, outputs
from kd_keras.utils import strategies


def training_batches(examples, *, batch_size=32, labels=True, **options):
    defaults = {"seed": 0, "epochs": 1, "spec": augmentation.ViewSpec()}
    return pipeline.training_batches(
        examples,
        batch_size=batch_size,
        labels=labels,
        **{**defaults, **options},
    )


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_every_epoch_shows_every_example_once_with_its_label(kind):
    batches = list(training_batches(kind(numbered(500)), epochs=2))
    assert len(batches) == 2 * pipeline.steps_per_epoch(500, 32)
    for epoch in (batches[: len(batches) // 2], batches[len(batches) // 2 :]):
        seen = np.concatenate([numbers(images) for images, _ in epoch])
        labels = np.concatenate([labels for _, labels in epoch])
        np.testing.assert_array_equal(np.sort(seen), np.arange(500))
        np.testing.assert_array_equal(labels, seen % 10)
        assert not np.array_equal(seen, np.sort(seen))


def test_batch_sizes_of_an_epoch_differ_by_one_at_most():
    sizes = {len(y) for _, y in training_batches(numbered(500))}
    # 16 steps of 31 or 32 examples; not 15 steps of 32 and one of 20.
    assert sizes == {31, 32}


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_starting_at_a_later_epoch_gives_the_same_batches(kind):
    examples = kind(numbered(100))
    whole = list(training_batches(examples, epochs=3))
    rest = list(training_batches(examples, epochs=3, first_epoch=1))
    assert len(rest) == len(whole) * 2 // 3
    for (a, _), (b, _) in zip(whole[-len(rest) :], rest):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_an_epoch_is_entered_at_a_step_without_reading_what_comes_before(
    kind, monkeypatch
):
    examples, seen = kind(numbered(100)), []
    whole = list(training_batches(examples, epochs=3))
    read = type(examples.reader).read

    def spy(self, ids, crop=None):
        tf.numpy_function(lambda x: seen.extend(x.tolist()), [ids], [])
        return read(self, ids, crop)

    monkeypatch.setattr(type(examples.reader), "read", spy)
    rest = list(
        training_batches(examples, epochs=3, first_epoch=1, first_step=3)
    )
    # The last step of the second epoch, and the third epoch.
    assert len(rest) == 1 + 4
    for (a, _), (b, _) in zip(whole[-5:], rest, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(seen) == 25 + 100
    assert set(seen[:25]) == set(examples.ids[numbers(rest[0][0])])


@pytest.mark.slow
def test_another_seed_gives_another_order():
    first, second = (
        np.concatenate(
            [numbers(x) for x, _ in training_batches(numbered(100), seed=seed)]
        )
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_batches_without_labels_hold_images_only(kind):
    batches = training_batches(kind(numbered(100)), labels=False)
    assert isinstance(batches.element_spec, tf.TensorSpec)


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_evaluation_shows_all_examples_in_order(kind):
    batches = list(
        pipeline.evaluation_batches(kind(numbered(70)), batch_size=32)
    )
    seen = np.concatenate([numbers(images) for images, _ in batches])
    np.testing.assert_array_equal(seen, np.arange(70))
    # Not 32, 32 and 6, so that each of several replicas has a row.
    assert [len(images) for images, _ in batches] == [23, 23, 24]


@pytest.mark.parametrize(
    "kind",
    [
        in_memory,
        encoded,
        lambda x: datasets.Examples(x.images),
    ],
    ids=["in memory", "streamed", "without labels"],
)
def test_given_logits_are_those_of_the_images_in_the_batch(kind):
    examples = kind(numbered(70))
    logits = np.arange(140.0, dtype="float32").reshape(70, 2)
    batches = list(
        pipeline.evaluation_batches(
            examples,
            batch_size=32,
            join=lambda batches: answers.join_by_id(
                batches, examples.ids, outputs.Outputs(logits)
            ),
        )
    )
    for images, y in batches:
        np.testing.assert_array_equal(
            y["teacher_logits"], logits[numbers(images)]
        )
        assert ("labels" in y) == examples.labelled
    assert sum(len(images) for images, _ in batches) == 70


@pytest.mark.slow
def test_workers_evaluate_on_all_examples_once(monkeypatch):
    examples = numbered(70)
    assert pipeline.own_examples(examples, None) is examples
    seen = []
    for index in range(3):
        share = strategies.Share(first=index * 2, own=2, total=6)
        monkeypatch.setattr(
            strategies, "share_of", lambda _, share=share: share
        )
        own = pipeline.own_examples(examples, None, batch_size=32)
        batches = pipeline.evaluation_batches(examples, batch_size=32)
        read = np.concatenate([numbers(images) for images, _ in batches])
        np.testing.assert_array_equal(np.sort(read), own.ids)
        seen += own.ids.tolist()
    assert sorted(seen) == list(range(70))
    # A worker of more replicas than examples predicts one all the same.
    few = pipeline.own_examples(examples.subset(np.arange(3)), None)
    assert len(few) == 1


@pytest.mark.slow
def test_an_example_has_the_same_view_in_a_subset():
    spec = augmentation.ViewSpec(translate=1, mirror="random", cutout=2)
    examples = numbered(50)
    examples.images[:] = np.random.default_rng(0).integers(
        0, 256, examples.images.shape
    )
    rest, _ = splits.split_off(examples, 20)

    def views_by_id(some):
        batch = next(iter(some.batches(50, seed=0, epoch=0, labels=False)))
        images = next(
            iter(training_batches(some, batch_size=len(some), spec=spec))
        )[0]
        return dict(zip(batch[0].numpy().tolist(), images.numpy()))

    whole, part = views_by_id(examples), views_by_id(rest)
    assert len(part) == 30
    for number, view in part.items():
        np.testing.assert_array_equal(view, whole[number])


@pytest.mark.slow
def test_stored_outputs_belong_to_the_view_that_the_teacher_saw():
    """Stored logits by (id, epoch) equal the live teacher, shuffled or not."""
    teacher = nets.make_network()
    examples = datasets.Examples(nets.make_images(40).astype("uint8"))
    spec = augmentation.ViewSpec(translate=2, mirror="random", cutout=2)
    stored = {}
    for epoch in range(2):
        # Labelled in the order of the ids, in batches of another size.
        for ids, images in examples.batches(7, labels=False):
            seen = augmentation.make_views(images, ids, view=epoch, spec=spec)
            for i, logits in zip(ids.numpy(), teacher(seen).numpy()):
                stored[i, epoch] = logits
    batches = pipeline.training_batches(
        examples, batch_size=16, seed=0, epochs=2, spec=spec, labels=False
    )
    orders = [
        ids.numpy()
        for epoch in range(2)
        for ids, _ in examples.batches(16, labels=False, seed=0, epoch=epoch)
    ]
    assert not np.array_equal(orders[0], np.sort(orders[0]))
    for step, (images, ids) in enumerate(zip(batches, orders)):
        epoch = step // 3
        np.testing.assert_allclose(
            teacher(images), [stored[i, epoch] for i in ids], atol=1e-4
        )


def test_a_view_is_mixed_with_the_view_of_its_partner():
    spec = augmentation.ViewSpec(seed=4, mirror="alternating", mixup=1.0)
    examples = datasets.Examples(
        np.random.default_rng(0).integers(0, 256, (30, 6, 6, 1), "uint8"),
        ids=np.arange(30) * 10,
    )
    ids = examples.ids[:12]
    made = pipeline.make_views(examples, tf.constant(ids), view=1, spec=spec)
    chosen = augmentation.partners(
        tf.constant(ids), view=1, spec=spec, count=30
    ).numpy()
    own, partner = (
        augmentation.make_views(
            tf.constant(examples.images[which]),
            tf.constant(examples.ids[which]),
            view=1,
            spec=spec,
        ).numpy()
        for which in (np.arange(12), chosen)
    )
    assert len(set(chosen)) > 6
    low, high = np.minimum(own, partner), np.maximum(own, partner)
    assert ((made >= low) & (made <= high)).numpy().all()
    assert (made.numpy() != own).any(axis=(1, 2, 3)).sum() > 8


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size=32, 10 examples"):
        training_batches(numbered(10))


def test_autotuning_is_off():
    examples = numbered(64)
    spec = augmentation.ViewSpec()
    for batches in (
        training_batches(examples),
        pipeline.evaluation_batches(examples),
        pipeline.labelling_batches(
            examples, examples, batch_size=8, views_count=2, spec=spec
        ),
    ):
        assert batches.options().autotune.enabled is False


@pytest.mark.slow
def test_fit_accepts_the_batches():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before = model.get_weights()[0]
    model.fit(training_batches(numbered(64)), shuffle=False, verbose=0)
    assert not np.array_equal(before, model.get_weights()[0])
