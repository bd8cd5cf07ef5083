"""Chooses the examples to test on among the splits of a published set."""

import logging

from kd_keras.data import splits
from kd_keras.data.sources.file_sets import PARTS

_log = logging.getLogger(__name__)


def choose(names, *, has_labels, read, fields, what):
    """Reads the splits that a run trains, validates and is tested on.

    The test split is `test`, or the validation split if there is no `test` or
    its labels are withheld. The validation split validates unless
    `validation_examples` are held out. A set with only a train split is split
    by `test_fraction`. With `labels=none`, only the train split is read.

    Args:
        names: names of the splits, by `file_sets.PARTS`.
        has_labels: function of a name; False if all labels are withheld.
        read: function `(name, labelled) -> Examples`.
        fields: `config.data`.
        what: str, the set's name for messages.

    Returns:
        Dict of `train`, `validation` and `test`: arguments of `Dataset`.

    Raises:
        ValueError: if there is no train split.
    """
    by_part = {PARTS.get(name.lower()): name for name in reversed([*names])}
    if "train" not in by_part:
        raise ValueError(
            "a dataset must have the split 'train'. Received: "
            f"{what} with {sorted(names)}"
        )
    if fields.labels == "none":
        return {"train": read(by_part["train"], False), "test": None}

    def is_labelled(name):
        labelled = has_labels(name)
        if not labelled:
            _log.info(
                "%s: the labels of its split %r are withheld (-1) and not used",
                what,
                name,
            )
        return labelled

    others = [by_part[x] for x in ("test", "validation") if x in by_part]
    labelled = [name for name in others if is_labelled(name)]
    train = read(by_part["train"], is_labelled(by_part["train"]))
    if not others and train.labelled:
        train, test = splits.split_off(
            train, fields.test_fraction, field="data.test_fraction"
        )
        return {"train": train, "test": test}
    parts = {"train": train, "test": None}
    if labelled:
        parts["test"] = read(labelled[0], True)
        if others[0] != labelled[0]:
            _log.info("%s: tested on its split %r", what, labelled[0])
    if labelled[1:] and not fields.validation_examples:
        parts["validation"] = read(labelled[1], True)
    return parts
