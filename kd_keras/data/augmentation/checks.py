"""Checks whether an augmentation works with some images."""


def require_range(image_spec, what):
    """Raises a ValueError unless images have values from 0 to 255.

    Args:
        image_spec: `ImageSpec` of the images.
        what: str, the field and its effect.
    """
    if image_spec.usual_range != (0, 255):
        raise ValueError(
            f"{what}: images must be from 0 to 255. Received: {image_spec}"
        )


def require_integers(image_spec, what):
    """Raises a ValueError unless images are integers from 0 to 255.

    Args:
        image_spec: `ImageSpec` of the images.
        what: str, the field and its effect.
    """
    if image_spec.dtype != "uint8":
        raise ValueError(
            f"{what}: images must be integers from 0 to 255. Received: "
            f"{image_spec}"
        )


def require_at_most(name, value, most, image_shape):
    """Raises a ValueError for a number of pixels that is too large.

    Args:
        name: str, the field.
        value: int.
        most: int.
        image_shape: `(height, width, channels)`.
    """
    if value > most:
        raise ValueError(
            f"augment.{name} must be at most {most} for images of "
            f"{image_shape[0]} x {image_shape[1]}. Received: {value}"
        )


def require_channels(image_shape, counts, what):
    """Raises a ValueError unless images have one of some numbers of channels.

    Args:
        image_shape: `(height, width, channels)`.
        counts: tuple of ints.
        what: str, the field and its effect.
    """
    if image_shape[2] not in counts:
        raise ValueError(
            f"{what}: images must have {' or '.join(map(str, counts))} "
            f"channels. Received: {image_shape[2]}"
        )
