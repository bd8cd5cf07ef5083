"""Section `distill`: the losses of the student."""

import dataclasses

from kd_keras.config import features, field
from kd_keras.config.field import Field, Rule, Section

DEFAULT_TEMPERATURE = 4.0

# Below, predictions are one-hot; above, their differences are lost in rounding.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e5
TEMPERATURE = Rule(
    "from 0.001 to 100000, where float32 can compute the loss",
    lambda value: LOWEST_TEMPERATURE <= value <= HIGHEST_TEMPERATURE,
)

# The options of each loss of `kd_keras.distillation.losses`. They are the
# fields of the section `distill.<loss>`, and keyword arguments of the loss.
LOSS_OPTIONS = {
    "kl": (),
    "dkd": (
        Field(
            "alpha",
            1.0,
            "Weight of the teacher's top class against all others (TCKD).",
            field.WEIGHT,
        ),
        Field(
            "beta",
            8.0,
            "Weight of the comparison among the other classes (NCKD).",
            field.WEIGHT,
        ),
    ),
    "dist": (
        Field(
            "beta",
            1.0,
            "Weight of the correlation over the classes of an example.",
            field.WEIGHT,
        ),
        Field(
            "gamma",
            1.0,
            "Weight of the correlation over the examples of a batch.",
            field.WEIGHT,
        ),
    ),
    "mse": (),
    "binary_kl": (),
}
SOFT_LOSSES = tuple(LOSS_OPTIONS)


def _sections(options_by_loss, chosen_by):
    """The sections of the losses that have options.

    Args:
        options_by_loss: dict of tuples of fields.
        chosen_by: str, the field that names the loss.
    """
    for loss, options in options_by_loss.items():
        used_with = (chosen_by, field.one_of((loss,)))
        if options:
            yield Section(
                loss,
                f"Options of the loss {loss}.",
                tuple(
                    dataclasses.replace(option, used_with=used_with)
                    for option in options
                ),
            )


def loss_options(config):
    """Returns the chosen loss's options, as keyword arguments: a dict."""
    distill = config.distill
    options = dict(distill.get(distill.loss, {}))
    # Not a field of a section `distill.kl`, to keep its name in old records.
    if distill.standardize:
        options["standardize"] = True
    return options


def uses_labels(config):
    """Whether the student's loss has a term for labels."""
    return (
        config.distill.hard_loss_weight > 0
        or config.distill.final_hard_loss_weight > 0
    )


def _check(config):
    distill, data = config.distill, config.data
    field.require(
        not distill.standardize or distill.loss == "kl",
        config,
        "distill.standardize",
        f"False unless distill.loss is kl; it is {distill.loss}",
    )
    field.require(
        not (uses_labels(config) and (data.mixup or data.cutmix)),
        config,
        "distill.hard_loss_weight",
        "0 with data.mixup or data.cutmix, since labels are not mixed",
    )
    field.require(
        not (
            uses_labels(config) and (data.labels_per_class or data.labelled_ids)
        ),
        config,
        "distill.hard_loss_weight",
        "0 with data.labels_per_class or data.labelled_ids: the student sees "
        "all images, most of them without labels",
    )


_MATCHED = Rule(
    "set to one of " + ", ".join(features.FEATURE_LOSSES),
    lambda loss: bool(loss),
)
_FEATURES = Section(
    "features",
    "Features of inner layers that the student matches beside the teacher's "
    "predictions; or without them, if teacher.outputs=features. See "
    "kd_keras.FeatureMatch.",
    (
        Field(
            "loss",
            "",
            "The loss on features: mse, cosine, queue_kl (LightlyTrain), "
            "attention (Zagoruyko and Komodakis, 2017) or relational (Park et "
            "al., 2019); empty for none.",
            field.one_of(("", *features.FEATURE_LOSSES)),
        ),
        Field(
            "teacher",
            "",
            "The teacher's layer or output; empty for its last pooled "
            "features. Several, separated by commas, are matched with as many "
            "of the student.",
            used_with=("loss", _MATCHED),
        ),
        Field(
            "student",
            "",
            "The student's layer or output, as for the teacher.",
            used_with=("loss", _MATCHED),
        ),
        Field(
            "weight",
            1.0,
            "Weight of the loss on features beside the loss on predictions.",
            field.WEIGHT,
            used_with=("loss", _MATCHED),
        ),
        Field(
            "projection",
            "linear",
            "What converts the student's features to the teacher's size: "
            "linear, orthogonal (Miles et al., 2024) or none. It is trained, "
            "and no part of the student.",
            field.one_of(features.PROJECTIONS),
            used_with=("loss", _MATCHED),
        ),
        Field(
            "pool",
            "average",
            "average compares the mean over the image, none each position.",
            field.one_of(features.POOLS),
            used_with=("loss", _MATCHED),
        ),
        *_sections(features.FEATURE_LOSS_OPTIONS, "distill.features.loss"),
    ),
)
SECTION = Section(
    "distill",
    "The student's losses.",
    (
        Field(
            "loss",
            "kl",
            "The loss on the teacher's predictions: kl (Hinton et al., "
            "2015), dkd (Zhao et al., 2022), dist (Huang et al., 2022), mse "
            "(logit matching), or binary_kl for a teacher with one logit for "
            "two classes, or with one for each label. See "
            "kd_keras.distillation.losses.",
            field.one_of(SOFT_LOSSES),
        ),
        Field(
            "standardize",
            False,
            "For kl: gives the logits mean 0 and standard deviation 1 first.",
        ),
        *_sections(LOSS_OPTIONS, "distill.loss"),
        Field(
            "temperature",
            DEFAULT_TEMPERATURE,
            "Temperature of both predictions.",
            TEMPERATURE,
        ),
        Field(
            "final_temperature",
            0.0,
            "Temperature at the end, reached linearly; 0 for a constant "
            "temperature.",
            Rule(
                f"0, or {TEMPERATURE.text}",
                lambda value: value == 0 or TEMPERATURE.holds(value),
            ),
        ),
        Field(
            "hard_loss_weight",
            0.0,
            "Weight of the cross-entropy on labels beside the soft loss; 0 "
            "trains the student without labels.",
            field.WEIGHT,
        ),
        Field(
            "final_hard_loss_weight",
            -1.0,
            "Weight at the end, reached linearly; negative for a constant "
            "weight.",
            field.number(least=-1_000_000, most=1_000_000),
        ),
        _FEATURES,
    ),
    _check,
)
