"""Labels that networks predict for the images that they were trained on."""

import dataclasses

import numpy as np
from scipy import special

from kd_keras.data import datasets, pipeline
from kd_keras.evaluation import predict
from kd_keras.utils import progress


def relabelled(dataset, networks, *, spec, views):
    """Replaces the labels of the training images by predictions.

    An image's label is the class with the largest mean probability of all
    networks and views.

    Args:
        dataset: `datasets.Dataset`.
        networks: list of functions of images -> logits, such as `Teacher`s.
        spec: `augmentation.ViewSpec` of the views.
        views: int, how many of each image.

    Returns:
        `datasets.Dataset`.
    """
    train = dataset.train
    total = 0.0
    bar = progress.bar(views, "labels")
    for view in range(views):
        images = _views(train, view, spec)
        for network in networks:
            logits = predict.logits_of(network, images)
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
