"""Test images that the report shows, and their PNG files."""

import base64

import numpy as np
import tensorflow as tf
from scipy import special

from kd_keras.models import image_spec

# Images in the page, together, and how many of them differ most.
_IMAGES = 80
_DISAGREEMENTS = 12
# Pixels of the longer side, at most.
_LARGEST_SIDE = 96


def png(image):
    """Encodes an image as PNG bytes.

    Args:
        image: uint8 array `(height, width, channels)`.
    """
    return tf.io.encode_png(image).numpy()


def data_uris(examples, positions):
    """PNG data URIs of some examples, at most 96 pixels wide and high.

    Args:
        examples: `datasets.Examples`.
        positions: list of ints, in any order.

    Returns:
        List of str, in the order of `positions`.
    """
    if not len(positions):
        return []
    order = np.sort(positions)
    images = image_spec.for_display(
        examples.subset(order).sample(len(order)), examples.image_spec
    )
    scale = _LARGEST_SIDE / max(images.shape[1:3])
    if scale < 1:
        size = [round(side * scale) for side in images.shape[1:3]]
        resized = tf.image.resize(images, size, antialias=True)
        images = image_spec.to_dtype(resized.numpy(), "uint8")
    return [
        "data:image/png;base64," + base64.b64encode(png(images[index])).decode()
        for index in np.searchsorted(order, positions)
    ]


def selection(report):
    """Positions of test images of every class, easy and hard ones.

    Half are spread over the teacher's confidence. On the other half, teacher
    and student differ most, at the temperature of the training.

    Args:
        report: dict of `gathering.gather`.

    Returns:
        List of ints.
    """
    soft = _probabilities(report, report["temperature"])
    confidence = soft["teacher"].max(-1)
    difference = np.abs(soft["teacher"] - soft["student"]).sum(-1)
    classes = np.unique(report["labels"])[:_IMAGES]
    each = max(_IMAGES // len(classes) // 2, 1)
    chosen = []
    for label in classes:
        members = np.flatnonzero(report["labels"] == label)
        by_confidence = members[np.argsort(confidence[members], kind="stable")]
        spread = np.linspace(0, len(members) - 1, each).round().astype(int)
        by_difference = members[np.argsort(-difference[members], kind="stable")]
        both = [*by_confidence[spread], *by_difference[:each]]
        chosen += list(dict.fromkeys(map(int, both)))
    return chosen


def disagreements(report):
    """Test images where teacher and student are sure of different classes.

    Args:
        report: dict of `gathering.gather`.

    Returns:
        List of dicts: `index`, `src` (a data URI), `label`, and for `teacher`
        and `student` the predicted class and its probability.
    """
    probabilities = _probabilities(report, 1.0)
    top = {role: values.argmax(-1) for role, values in probabilities.items()}
    largest = {role: values.max(-1) for role, values in probabilities.items()}
    sure = np.minimum(largest["teacher"], largest["student"])
    order = np.argsort(-sure, kind="stable")
    differ = top["teacher"][order] != top["student"][order]
    chosen = order[differ][:_DISAGREEMENTS]
    return [
        {
            "index": int(i),
            "src": src,
            "label": int(report["labels"][i]),
            **{
                role: (int(top[role][i]), float(largest[role][i]))
                for role in top
            },
        }
        for i, src in zip(chosen, data_uris(report["examples"], chosen))
    ]


def _probabilities(report, temperature):
    """Softened predictions of teacher and student, in float64."""
    return {
        role: special.softmax(
            report["logits"][role].astype("float64") / temperature, axis=-1
        )
        for role in ("teacher", "student")
    }
