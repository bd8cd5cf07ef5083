"""Fields of a network and its training, which teacher and student share."""

from kd_keras.config import field
from kd_keras.config.field import Field


def fields(model, *, image_size=""):
    """Returns the fields of a network.

    Args:
        model: str, the default network.
        image_size: str, the end of the description of `image_size`.
    """
    return (
        Field(
            "model",
            model,
            "A network of kd_keras.models.networks, such as cnn or resnet18, "
            "a name of keras.applications, or module:function of your own.",
        ),
        Field(
            "image_size",
            0,
            "Height and width in pixels that the network takes. Its first "
            "layers resize the images to it (bilinear, antialiased), also in "
            "what is exported; 0 for the size of the images." + image_size,
            field.PIXELS,
        ),
        Field(
            "widths",
            (),
            "Filters or units of each group of layers; empty for the "
            "model's own.",
            field.each(int, field.number(least=1, most=2**16)),
        ),
        Field(
            "dropout",
            (),
            "For mlp: dropout rate before each layer of units, from the "
            "input to the logits; empty for none.",
            field.each(float, field.number(least=0, below=1)),
        ),
        Field(
            "max_norm",
            0.0,
            "For mlp: largest norm of the weights into a hidden unit; 0 for "
            "no limit.",
            field.WEIGHT,
        ),
        *training_fields(epochs=10),
    )


def training_fields(*, epochs):
    """Returns the fields that set the length of a training."""
    return (
        Field(
            "epochs",
            epochs,
            "Passes over the training examples.",
            field.COUNT,
        ),
        Field("batch_size", 128, "Examples per step.", field.COUNT),
    )
