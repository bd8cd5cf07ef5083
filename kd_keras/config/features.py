"""Losses on features, with their options, and projections of features."""

from kd_keras.config import field
from kd_keras.config.field import Field

# The options of each loss of `kd_keras.distillation.feature_losses`. They are
# keyword arguments of `kd_keras.FeatureMatch` and of the loss.
FEATURE_LOSS_OPTIONS = {
    "mse": (
        Field(
            "standardize",
            False,
            "Gives the teacher's features of each image (or position) mean 0 "
            "and standard deviation 1 first, as Miles et al. (2024) do beside "
            "an orthogonal projection.",
        ),
    ),
    "cosine": (),
    "queue_kl": (
        Field(
            "queue_temperature",
            0.07,
            "Temperature of the similarities.",
            field.number(least=0.001, most=100),
        ),
        Field(
            "queue_size",
            4096,
            "Number of the teacher's embeddings that are kept.",
            field.COUNT,
        ),
    ),
    "attention": (),
    "relational": (
        Field(
            "distance_weight",
            25.0,
            "Weight of the distances between two images.",
            field.WEIGHT,
        ),
        Field(
            "angle_weight",
            50.0,
            "Weight of the angles between three images; 0 saves memory, which "
            "grows with the third power of the batch size.",
            field.WEIGHT,
        ),
    ),
}
FEATURE_LOSSES = tuple(FEATURE_LOSS_OPTIONS)
# The tables of `kd_keras.distillation.projections` and of
# `kd_keras.distillation.feature_matching`.
PROJECTIONS = ("none", "linear", "orthogonal")
POOLS = ("average", "none")
