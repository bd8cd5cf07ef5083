"""Applies some random operations of one strength to each image."""

from kd_keras.data.augmentation import policies


def rand_augment(images, draws, *, rand_augment, magnitude):
    """Applies operations that are drawn for each view, one after the other.

    Which operation and its direction are uniform; the magnitude is fixed.

    Args:
        images: tensor `(batch, height, width, channels)`, from 0 to 255.
            float32 images are rounded first.
        draws: `order.Draws`.
        rand_augment, magnitude: as in `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    pixels = policies.to_bytes(images)
    for i in range(rand_augment):
        pixels = policies.apply(
            pixels,
            operation=draws.integers(f"operation{i}", len(policies.OPERATIONS)),
            magnitude=magnitude,
            negative=draws.integers(f"negative{i}", 2),
            space=policies.RAND_AUGMENT,
        )
    return policies.from_bytes(pixels, images.dtype)
