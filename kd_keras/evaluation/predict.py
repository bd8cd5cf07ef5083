"""Predicts every example of a set: the only prediction loop."""

import numpy as np
import tensorflow as tf

from kd_keras.data import labels as labels_lib
from kd_keras.data import pipeline
from kd_keras.evaluation import outputs as outputs_lib
from kd_keras.teachers import outputs as teacher_outputs
from kd_keras.utils import progress


def predict(
    classifiers, examples, *, batch_size=500, at_most=None, verbose=None
):
    """Predicts labelled examples with several classifiers, in one pass.

    Args:
        classifiers: dict of functions, uint8 images -> logits, by name.
        examples: `Examples` with labels.
        batch_size: int.
        at_most: int, how many examples to predict, from the first; None for
            all.
        verbose: 0, 1 or 2, as in Keras; by default a progress bar in a
            terminal.

    Returns:
        `(labels, logits)`: int32 `(n,)`, None without labels; a dict of arrays
        `(n, num_classes)` by name; see `outputs.class_logits`.

    Raises:
        ValueError: if a classifier returns neither logits nor probabilities
            that sum to 1.
    """

    def call_all(ids, images):
        images = images.numpy()
        return {name: call(images) for name, call in classifiers.items()}

    labels, collected = collect(
        call_all,
        examples,
        labels=examples.labelled,
        batch_size=batch_size,
        at_most=at_most,
        verbose=verbose,
    )
    return labels, {
        name: outputs_lib.class_logits(
            values, name=getattr(classifiers[name], "path", name)
        )
        for name, values in collected.items()
    }


def logits_of(network, examples):
    """Predicts all examples, in order: float32 `(n, num_classes)`.

    Args:
        network: function of images -> logits, such as a `Teacher`.
        examples: `Examples`.
    """
    _, outputs = collect(
        lambda ids, images: {"logits": network(images)}, examples
    )
    return outputs["logits"]


def answers_to(answers, examples):
    """Collects a teacher's answers to all examples, in order.

    Args:
        answers: `LiveAnswers` or `StoredAnswers` of the examples' part.
        examples: `Examples`.

    Returns:
        `Outputs` of float32 arrays `(n, ...)` for view 0.
    """

    def answer(ids, images):
        logits, features = answers(ids, 0, images)
        outputs = {} if logits is None else {"logits": logits}
        return {**outputs, **dict(enumerate(features))}

    _, outputs = collect(answer, examples)
    logits = outputs.pop("logits", None)
    return teacher_outputs.Outputs(logits, tuple(outputs.values()))


def with_teacher(network, answers, examples):
    """Predicts labelled examples with a network and its teacher, in one pass.

    Args:
        network: Keras model, images -> logits.
        answers: as `answers_to`, or None for a network without a teacher.
        examples: `Examples` with labels.

    Returns:
        `(labels, logits, teacher_logits)`: int32 `(n,)` and float32
        `(n, num_classes)`, two for a network of one logit; the last is None
        without a teacher.
    """

    @tf.function(reduce_retracing=True)
    def predict_batch(ids, images):
        outputs = {"logits": network(images, training=False)}
        if answers is not None:
            outputs["teacher_logits"] = answers(ids, 0, images).logits
        return outputs

    labels, outputs = collect(predict_batch, examples, labels=True)
    outputs = {
        name: outputs_lib.two_classes(values)
        for name, values in outputs.items()
    }
    return labels, outputs["logits"], outputs.get("teacher_logits")


def collect(
    function,
    examples,
    *,
    labels=False,
    batch_size=500,
    at_most=None,
    verbose=None,
):
    """Calls a function on every batch of a set, in order.

    Args:
        function: function of tensors (ids, images) -> dict of arrays, whose
            first axis is the batch.
        examples: `Examples`.
        labels: bool; True reads the labels too.
        batch_size, at_most, verbose: as `predict`.

    Returns:
        `(labels, outputs)`: int32 `(n,)`, or None without `labels`, and the
        dict of the function's arrays, joined.
    """
    count = min(len(examples), at_most or len(examples))
    bar = progress.bar(count, "example", verbose=verbose)
    batches = pipeline.ordered_batches(
        examples, batch_size=batch_size, labels=labels
    )
    read, rows = [], []
    for ids, images, *batch_labels in batches.take(-(-count // batch_size)):
        read += batch_labels
        rows.append(function(ids, images))
        bar.add(len(images))
    outputs = {
        name: np.concatenate([row[name] for row in rows])[:count]
        for name in rows[0]
    }
    if not labels:
        return None, outputs
    read, _ = labels_lib.class_numbers(
        np.concatenate(read)[:count],
        count=count,
        num_classes=examples.num_classes,
    )
    return read, outputs
