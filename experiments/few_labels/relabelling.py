"""Labels that a network predicts for the images that it was trained on."""

import dataclasses

import numpy as np
from scipy import special

from kd_keras.data import datasets, pipeline
from kd_keras.evaluation import predict
from kd_keras.utils import progress


def relabelled(dataset, network, *, spec, views):
    """Replaces the labels of the training images by predictions.

    An image's label is the class with the largest mean probability of its
    views.

    Args:
        dataset: `datasets.Dataset`.
        network: function of images -> logits, such as a `Teacher`.
        spec: `augmentation.ViewSpec` of the views.
        views: int, how many of each image.

    Returns:
        `datasets.Dataset`.
    """
    train = dataset.train
    total = 0.0
    bar = progress.bar(views, "labels")
    for view in range(views):
        logits = predict.logits_of(network, _views(train, view, spec))
        total += special.softmax(logits, axis=-1)
        bar.update(view + 1, finalize=view + 1 == views)
    labelled = datasets.Examples(
        train.reader,
        total.argmax(-1),
        num_classes=train.num_classes,
        ids=train.ids,
    )
    return dataclasses.replace(dataset, train=labelled)


def _views(examples, view, spec):
    """One view of each image: `Examples`."""
    images = [
        pipeline.make_views(examples, ids, view=view, spec=spec).numpy()
        for ids in np.array_split(examples.ids, -(-len(examples) // 1000))
    ]
    return datasets.Examples(
        np.concatenate(images), ids=examples.ids, image_spec=examples.image_spec
    )
