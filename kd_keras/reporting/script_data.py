"""Data in the page that its script computes with."""

import base64

import numpy as np

from kd_keras.reporting import confusion, images

# Logits of both models in the page, which must not fill it.
_LOGITS_BYTES = 1_500_000


def script_data(report):
    """The script's data as JSON values.

    Args:
        report: dict of `gathering.gather`.
    """
    num_classes = len(report["classes"])
    # The mean over the first test images is near that over all.
    count = min(len(report["labels"]), _LOGITS_BYTES // (4 * num_classes))
    labels = report["labels"].astype("<u2")
    return {
        "classes": report["classes"],
        "temperature": report["temperature"],
        "imageShape": list(report["examples"].image_shape),
        "total": len(labels),
        "labels": base64.b64encode(labels[:count].tobytes()).decode(),
        "logits": {
            role: _quantized(report["logits"][role], count)
            for role in ("teacher", "student")
        },
        "shown": confusion.shown_classes(report),
        "images": _images(report),
    }


def _images(report):
    """The images of the gallery, with both models' logits."""
    chosen = images.selection(report)
    return [
        {
            "index": position,
            "label": int(report["labels"][position]),
            "src": src,
            "logits": {
                role: report["logits"][role][position]
                .astype("float64")
                .round(4)
                .tolist()
                for role in ("teacher", "student")
            },
        }
        for position, src in zip(
            chosen, images.data_uris(report["examples"], chosen)
        )
    ]


def _quantized(logits, count):
    """The first logits in 16 bits; half a step is below 2e-5 of the largest."""
    # A shift of a row's logits changes no probability.
    logits = logits - logits.mean(axis=-1, keepdims=True)
    scale = max(float(np.abs(logits).max()), 1e-9) / 32767
    steps = np.round(logits[:count] / scale).astype("<i2")
    return {
        "scale": scale,
        "steps": base64.b64encode(steps.tobytes()).decode(),
    }
