"""Compares exported files, run in their own runtimes, with the model."""

import numpy as np

from kd_keras.evaluation import metrics, predict
from kd_keras.teachers import loading

# An int8 model that agrees less is broken, not rounded.
_LEAST_AGREEMENT = 0.9
# The same for a model that was trained with the rounding.
_LEAST_AGREEMENT_OF_ROUNDED = 0.98


class Verifier:
    """The model's logits for images, which exported files reproduce.

    Args:
        reference: `Classifier`, the model.
        examples: `Examples`; without labels, no errors are counted.
        rounds: bool, whether the model rounds its activations itself. A value
            near the middle between two steps may then be rounded up in one
            format and down in another.
    """

    def __init__(self, reference, examples, *, rounds=False):
        self._examples = examples
        self._rounds = rounds
        self._labels, logits = predict.predict({"model": reference}, examples)
        self._expected = logits["model"]

    def model_row(self, path):
        """Returns the row of the model at `path`; see `exporting.export`."""
        return _row("model", path, self._expected, self._labels)

    def file_row(self, path, format):
        """Runs an exported file and returns its row.

        Args:
            path: path of the file.
            format: `Format`.

        Raises:
            ValueError: if the file does not compute what the model does.
        """
        classifier = loading.load_classifier(path)
        _, logits = predict.predict(
            {"file": classifier}, self._examples, at_most=format.max_examples
        )
        logits = logits["file"]
        expected = self._expected[: len(logits)]
        difference = float(np.max(np.abs(logits - expected)))
        agreement = metrics.agreement(
            teacher_logits=expected, student_logits=logits
        )
        if self._rounds:
            _check_agreement(path, agreement, _LEAST_AGREEMENT_OF_ROUNDED)
        elif format.tolerance is None:
            remedy = "; more --calibration_examples may help"
            _check_agreement(path, agreement, _LEAST_AGREEMENT, remedy)
        else:
            largest = max(1.0, float(np.max(np.abs(expected))))
            _check_difference(path, difference, format.tolerance * largest)
        row = _row(format.name, path, logits, self._labels)
        row |= {"agreement": agreement, "largest_difference": difference}
        if classifier.arena_bytes:
            row["arena_bytes"] = classifier.arena_bytes
        return row


def _row(format_name, path, logits, labels):
    errors = None
    if labels is not None:
        errors = metrics.errors(logits=logits, labels=labels[: len(logits)])
    return {
        "format": format_name,
        "file": path.name,
        "bytes": loading.size(path),
        "errors": errors,
        "examples": len(logits),
    }


def _check_difference(path, difference, limit):
    # Negated, so that NaN is refused.
    if not difference <= limit:
        raise ValueError(
            f"{path.name} must compute what the model does. Received: logits "
            f"that differ by {difference:.3g}, more than the {limit:.3g} of "
            "rounding"
        )


def _check_agreement(path, agreement, least, remedy=""):
    if not agreement >= least:
        raise ValueError(
            f"{path.name} must agree with the model on {least:.0%} "
            f"of the images. Received: {agreement:.2%}{remedy}"
        )
