"""Builds tf.data batches from (seed, epoch, step)."""

import numpy as np
import tensorflow as tf

from kd_keras.data import augmentation
from kd_keras.utils import keras_internals, strategies, tf_data


def steps_per_epoch(num_examples, batch_size):
    """The number of batches of an epoch."""
    return -(-num_examples // batch_size)


def make_views(examples, ids, *, view, spec):
    """Reads views of some examples, mixed with others if `spec` mixes.

    Args:
        examples: `Examples`, to mix with; `ids` may be of other examples of
            the same reader.
        ids: int64 tensor `(batch,)`.
        view: int or int64 scalar, the view's number.
        spec: `augmentation.ViewSpec`.

    Returns:
        Tensor `(batch, height, width, channels)`.

    Raises:
        ValueError: as `check_views`.
    """
    check_views(examples, spec)
    made = _views_alone(examples, ids, view=view, spec=spec)
    if not spec.mixes:
        return made
    partner_ids = examples.ids_at(
        augmentation.partners(ids, view=view, spec=spec, count=len(examples))
    )
    partner_views = _views_alone(examples, partner_ids, view=view, spec=spec)
    return augmentation.mix(made, partner_views, ids, view=view, spec=spec)


def _views_alone(examples, ids, *, view, spec):
    crop = augmentation.crop_of(spec, view=view)
    images = examples.reader.read(ids, crop)
    return augmentation.make_views(images, ids, view=view, spec=spec)


def check_views(examples, spec):
    """Raises a ValueError if views of some examples cannot be made.

    Args:
        examples: `Examples`.
        spec: `augmentation.ViewSpec`, whose augmentations must work with
            such images.
    """
    augmentation.check(spec, examples.image_shape, examples.image_spec)


def drop_ids(batches, view=0):
    """Maps batches `(ids, images[, labels])` to `images` or `(images, labels)`.

    The default `join` of `training_batches` and `evaluation_batches`: nothing
    is joined to the images but their own labels.
    """

    @tf_data.unconverted
    def drop(ids, images, *labels):
        return (images, *labels) if labels else images

    return batches.map(drop)


def training_batches(
    examples,
    *,
    batch_size,
    seed,
    epochs,
    spec,
    first_epoch=0,
    first_step=0,
    labels,
    view_of=lambda epoch: epoch,
    join=drop_ids,
    strategy=None,
):
    """The batches of the epochs `first_epoch` to `epochs - 1`, in a row.

    An epoch shows every example once. The sizes of its batches differ by one
    at most: a tiny last batch would upset BatchNorm.

    Args:
        examples: `Examples`.
        batch_size: int, the size of the largest global batch.
        seed: int, seed of the order.
        epochs: int, end of the last epoch.
        spec: `augmentation.ViewSpec`.
        first_epoch: int, the epoch to begin with.
        first_step: int, the step of this epoch to begin with; earlier steps
            are not read.
        labels: bool; False keeps the labels out of the pipeline.
        view_of: function of an epoch, int64 scalar -> number of its view.
        join: function of a dataset of `(ids, images[, labels])` and of their
            view -> dataset of batches for `fit`, such as `StoredAnswers.join`.
        strategy: `tf.distribute.Strategy` of the training. With several
            workers, each reads only its replicas' rows of each batch.

    Returns:
        `tf.data.Dataset` of what `join` returns, `steps_per_epoch` batches
        an epoch, fewer in the first if `first_step` is above 0. Images are
        uint8 or float32; labels are int32. With several workers, a
        `tf.distribute.DistributedDataset`: replica `i` of `n` has the rows
        `i`, `i + n`, `i + 2 n` ... of each batch.

    Raises:
        ValueError: if the batch is larger than the data.
    """
    if batch_size > len(examples):
        raise ValueError(
            "batch_size must be at most the number of training examples. "
            f"Received: batch_size={batch_size}, {len(examples)} examples"
        )

    def views_of_epoch(epoch, share):
        view = view_of(epoch)

        def make_batch(ids, *labels):
            made = make_views(examples, ids, view=view, spec=spec)
            return (ids, made, *labels)

        batches = examples.id_batches(
            batch_size,
            seed=seed,
            epoch=epoch,
            first_step=tf.cast(epoch == first_epoch, tf.int64) * first_step,
            labels=labels,
            share=share,
        ).map(make_batch, num_parallel_calls=examples.reader.parallel_batches)
        return join(batches, view)

    def batches_of(share):
        @tf_data.unconverted
        def batches_of_epoch(epoch):
            return views_of_epoch(epoch, share)

        epochs_left = tf.data.Dataset.range(first_epoch, epochs)
        return epochs_left.flat_map(batches_of_epoch)

    steps = (epochs - first_epoch) * steps_per_epoch(len(examples), batch_size)
    return _distributed(
        batches_of, strategy, steps=steps - first_step, prefetch=4
    )


def evaluation_batches(
    examples, *, batch_size=500, join=drop_ids, strategy=None
):
    """Every example once, without augmentation, in order.

    The sizes of the batches differ by one at most, on any number of replicas:
    a loss with statistics of the batch is then the same on all.

    Args:
        examples: `Examples`.
        batch_size: int, the size of the largest global batch.
        join: as in `training_batches`.
        strategy: as in `training_batches`.

    Returns:
        `tf.data.Dataset` of what `join` returns; by default `images`, or
        `(images, labels)` where the examples have labels. With several
        workers as `training_batches`.
    """

    def batches_of(share):
        return join(
            examples.batches(
                batch_size,
                labels=examples.labelled,
                equal=True,
                share=share,
            )
        )

    steps = steps_per_epoch(len(examples), batch_size)
    return _distributed(batches_of, strategy, steps=steps, prefetch=2)


def own_examples(examples, strategy, *, batch_size=500):
    """The examples that `evaluation_batches` reads in this process.

    Args:
        examples: `Examples`.
        strategy: as in `evaluation_batches`.
        batch_size: as in `evaluation_batches`.

    Returns:
        `Examples`, all of them unless there are several workers; at least
        one.
    """
    share = strategies.share_of(strategy)
    if share.own == share.total:
        return examples
    batches = examples.id_batches(
        batch_size, labels=False, equal=True, share=share
    )
    ids = np.concatenate([ids.numpy() for (ids,) in batches])
    positions = np.flatnonzero(np.isin(examples.ids, ids))
    return examples.subset(positions if len(positions) else [0])


def ordered_batches(examples, *, batch_size, labels):
    """As `evaluation_batches`, of `(ids, images)` or `(ids, images, labels)`.

    Args:
        examples: `Examples`.
        batch_size: int.
        labels: bool.
    """
    batches = examples.batches(batch_size, labels=labels)
    return _with_options(batches.prefetch(2))


def labelling_batches(examples, chosen, *, batch_size, views_count, spec):
    """Every view of some examples, in order, without their labels.

    Args:
        examples: `Examples`, the whole set.
        chosen: the subset to label.
        batch_size: int.
        views_count: int.
        spec: `augmentation.ViewSpec`.

    Returns:
        `tf.data.Dataset` of `(view, images)`: all views of a batch of
        examples, then all of the next.
    """

    @tf_data.unconverted
    def each_view(ids):
        return tf.data.Dataset.range(views_count).map(lambda view: (ids, view))

    @tf_data.unconverted
    def make_batch(ids, view):
        return view, make_views(examples, ids, view=view, spec=spec)

    dataset = chosen.id_batches(batch_size, labels=False).flat_map(each_view)
    dataset = dataset.map(
        make_batch, num_parallel_calls=examples.reader.parallel_batches
    )
    return _with_options(dataset.prefetch(2))


def _distributed(batches_of, strategy, *, steps, prefetch):
    """The batches of all steps, or each replica's rows of them.

    Args:
        batches_of: function of a `strategies.Share` -> `tf.data.Dataset`.
        strategy: as in `training_batches`.
        steps: int.
        prefetch: int, the steps that are read ahead.
    """
    share = strategies.share_of(strategy)
    dataset = batches_of(share).apply(
        tf.data.experimental.assert_cardinality(steps * share.own)
    )
    dataset = _with_options(dataset.prefetch(prefetch * share.own))
    if strategies.num_workers(strategy) == 1:
        return dataset
    # In each step, each own replica takes one element.
    distributed = strategy.distribute_datasets_from_function(lambda _: dataset)
    return keras_internals.with_steps(distributed, steps)


def _with_options(dataset):
    options = tf.data.Options()
    # One worker reads all; replicas split each batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return tf_data.without_autotuning(dataset.with_options(options))
