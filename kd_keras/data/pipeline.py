"""From (seed, epoch, step) to tf.data batches."""

import tensorflow as tf

from kd_keras.data import views


def steps_per_epoch(num_examples, batch_size):
    """Batches of an epoch; sizes differ by one at most, none is tiny."""
    return -(-num_examples // batch_size)


def training_batches(
    examples, *, batch_size, seed, epochs, spec, first_epoch=0, labels
):
    """The batches of the epochs `first_epoch` to `epochs - 1`, in a row.

    Every epoch shows every example once. Its batches are equally large
    within one example, so that no tiny last batch upsets BatchNorm.

    Args:
        examples: `Examples` or `StreamedExamples`.
        batch_size: int, the global batch; the largest there will be.
        seed: int, which the order follows from.
        epochs: int, end of the last epoch.
        spec: `views.ViewSpec`; an epoch shows the view of its number.
        first_epoch: int, the epoch to begin with.
        labels: bool; False leaves nothing of the labels in the pipeline.

    Returns:
        `tf.data.Dataset` of `images` or `(images, labels)`: images of the
        examples' dtype `(batch, height, width, channels)`, 0 to 255, and
        int32 `(batch,)`. `steps_per_epoch` batches an epoch.

    Raises:
        ValueError: if the batch is larger than the data.
    """
    if batch_size > len(examples):
        raise ValueError(
            "batch_size must be at most the number of training examples. "
            f"Received: batch_size={batch_size}, {len(examples)} examples"
        )

    def views_of_epoch(epoch):
        def make_batch(ids, images, *rest):
            images = views.make_views(images, ids, view=epoch, spec=spec)
            return (images, *rest) if labels else images

        return examples.batches(
            batch_size, seed=seed, epoch=epoch, labels=labels
        ).map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)

    dataset = tf.data.Dataset.range(first_epoch, epochs).flat_map(
        views_of_epoch
    )
    steps = (epochs - first_epoch) * steps_per_epoch(len(examples), batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return _with_options(dataset.prefetch(4))


def evaluation_batches(examples, *, batch_size=500):
    """Every example once, in order, with its label where there is one."""
    labels = examples.labelled
    dataset = examples.batches(batch_size, labels=labels).map(
        lambda ids, images, *rest: (images, *rest) if labels else images
    )
    return _with_options(dataset.prefetch(2))


def _with_options(dataset):
    options = tf.data.Options()
    # One worker reads all; replicas split each batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return dataset.with_options(options)
