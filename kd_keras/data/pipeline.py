"""From (seed, epoch, step) to tf.data batches."""

import tensorflow as tf

from kd_keras.data import augmentation as views


def steps_per_epoch(num_examples, batch_size):
    """Batches of an epoch; sizes differ by one at most, none is tiny."""
    return -(-num_examples // batch_size)


def make_views(examples, images, ids, *, view, spec):
    """Views of some of the examples, mixed with others where `spec` says so.

    Args:
        examples: `Examples` or `StreamedExamples`.
        images: tensor `(batch, height, width, channels)`, of the examples'.
        ids: int64 tensor `(batch,)`.
        view: int or int64 scalar, the view's number.
        spec: `views.ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.

    Raises:
        ValueError: as `check_mixing`.
    """
    check_mixing(examples, spec)
    made = views.make_views(images, ids, view=view, spec=spec)
    if not spec.mixes:
        return made
    partner_ids, partner_images = examples.at(
        views.partners(ids, view=view, spec=spec, count=len(examples))
    )
    partner_views = views.make_views(
        partner_images, partner_ids, view=view, spec=spec
    )
    return views.mix(made, partner_views, ids, view=view, spec=spec)


def check_mixing(examples, spec):
    """Raises a ValueError if views shall be mixed of streamed examples."""
    if spec.mixes and not hasattr(examples, "at"):
        raise ValueError(
            "data.mixup and data.cutmix need a set in memory, for the "
            "partners: raise data.memory_limit_mb. Received: a streamed set"
        )


def training_batches(
    examples,
    *,
    batch_size,
    seed,
    epochs,
    spec,
    first_epoch=0,
    labels,
    store=None,
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
        store: `LogitStore` of these views, or None. An epoch shows the view
            of its number modulo the number of views that are stored.

    Returns:
        `tf.data.Dataset` of `images` or `(images, y)`: images of the
        examples' dtype `(batch, height, width, channels)`, 0 to 255. `y` is
        int32 labels `(batch,)`, or with a store a dict of `teacher_logits`
        and perhaps `labels`. `steps_per_epoch` batches an epoch.

    Raises:
        ValueError: if the batch is larger than the data.
    """
    if batch_size > len(examples):
        raise ValueError(
            "batch_size must be at most the number of training examples. "
            f"Received: batch_size={batch_size}, {len(examples)} examples"
        )

    def views_of_epoch(epoch):
        view = epoch if store is None else epoch % store.views

        def make_batch(ids, images, *labels):
            made = make_views(examples, images, ids, view=view, spec=spec)
            return (ids, made, *labels)

        batches = examples.batches(
            batch_size, seed=seed, epoch=epoch, labels=labels
        ).map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)
        return (
            _without_ids(batches)
            if store is None
            else store.attach(batches, view)
        )

    dataset = tf.data.Dataset.range(first_epoch, epochs).flat_map(
        views_of_epoch
    )
    steps = (epochs - first_epoch) * steps_per_epoch(len(examples), batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return _with_options(dataset.prefetch(4))


def evaluation_batches(
    examples, *, batch_size=500, store=None, part="test", teacher_logits=None
):
    """Every example once, as it is, in order.

    Args:
        examples: `Examples` or `StreamedExamples`.
        batch_size: int.
        store: `LogitStore`, or None.
        part: str, the part of the store that the examples are.
        teacher_logits: float array `(len(examples), num_classes)` in their
            order, instead of a store's, or None.

    Returns:
        `tf.data.Dataset` of `images`, or `(images, y)` as `training_batches`
        where there are labels or logits.
    """
    batches = examples.batches(batch_size, labels=examples.labelled)
    if store is not None:
        batches = store.attach(batches, part=part)
    elif teacher_logits is not None:
        batches = _attach_in_order(batches, teacher_logits)
    else:
        batches = _without_ids(batches)
    return _with_options(batches.prefetch(2))


def labelling_batches(examples, chosen, *, batch_size, views_count, spec):
    """Every view of some examples, in order, with nothing of the labels.

    Args:
        examples: `Examples` or `StreamedExamples`, all of them.
        chosen: subset of them.
        batch_size: int.
        views_count: int.
        spec: `views.ViewSpec`.

    Returns:
        `tf.data.Dataset` of `(view, images)`: all views of a batch of
        examples, then all of the next.
    """

    def each_view(ids, images):
        return tf.data.Dataset.range(views_count).map(
            lambda view: (ids, view, images)
        )

    def make_batch(ids, view, images):
        made = make_views(examples, images, ids, view=view, spec=spec)
        return view, made

    dataset = chosen.batches(batch_size, labels=False).flat_map(each_view)
    dataset = dataset.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)
    return _with_options(dataset.prefetch(2))


def _attach_in_order(batches, teacher_logits):
    """As `LogitStore.attach`, of an array in the order of the batches."""

    def join(start, batch):
        _, images, *labels = batch
        end = start + tf.shape(images)[0]
        y = {"teacher_logits": teacher_logits[start:end]}
        if labels:
            (y["labels"],) = labels
        return end, (images, y)

    teacher_logits = tf.constant(teacher_logits)
    return batches.scan(tf.constant(0), join)


def _without_ids(dataset):
    return dataset.map(
        lambda ids, images, *labels: (images, *labels) if labels else images
    )


def _with_options(dataset):
    options = tf.data.Options()
    # One worker reads all; replicas split each batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    # TensorFlow 2.21's autotuning sleeps for 10, 20, 40 ms ... up to 60 s
    # between its looks, and an iterator's end may wait until it wakes: every
    # `fit` and `evaluate` took up to twice its time. Off, AUTOTUNE means as
    # many parallel calls as the machine has cores (16 at most).
    options.autotune.enabled = False
    return dataset.with_options(options)
