"""Views: replayable augmented versions of examples, a whole batch at a time.

A view is a pure function of (seed, view number, example id): nothing hides
in a random generator, so the same three numbers give the same picture in any
batch, order or process.
"""

import dataclasses

import tensorflow as tf

# Cutout's fill; about the mean of natural pictures.
_GREY = 128

# One number for each use of chance, so that they are independent.
_ORDER, _SHIFT_Y, _SHIFT_X, _MIRROR, _CUT_Y, _CUT_X = range(6)
_PARTNER, _MIX, _COEFFICIENT, _BOX_Y, _BOX_X = range(6, 11)
# Steps of the unit interval in which coefficients are drawn.
_UNIT = 2**24


@dataclasses.dataclass(frozen=True)
class ViewSpec:
    """What views are made of an example; the default leaves it as it is.

    Attributes:
        seed: int; other seeds give other views.
        translate: int, largest shift in pixels, either way, filled by
            reflection.
        mirror: `none`; `random`, each view by a coin; `alternating`, every
            two successive views show both mirror images.
        cutout: int, side in pixels of the grey square; 0 for none.
        mixup: float, the share of views that are a weighted mean of the
            example's picture and a partner's; the weight is uniform in
            [0, 1).
        cutmix: float, the share of views in which a box of the partner's
            picture stands; its share of the area, before it is cut at the
            edge, is uniform in [0, 1).

    Reference:
        - mixup: [Zhang et al., 2018](https://arxiv.org/abs/1710.09412)
        - cutmix: [Yun et al., 2019](https://arxiv.org/abs/1905.04899)
        - both without labels, for teacher and student alike:
          [Beyer et al., 2022](https://arxiv.org/abs/2106.05237)
        - alternating mirror: [Jordan, 2024](
          https://arxiv.org/abs/2404.00498), section 3.6
        - cutout: [DeVries & Taylor, 2017](https://arxiv.org/abs/1708.04552)
    """

    seed: int = 0
    translate: int = 0
    mirror: str = "none"
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def mixes(self):
        """Whether a view needs a partner."""
        return self.mixup > 0 or self.cutmix > 0


def make_views(images, ids, *, view, spec):
    """Translates, mirrors and cuts a batch of pictures; see `mix` too.

    Args:
        images: tensor `(batch, height, width, channels)`, any dtype.
        ids: int64 tensor `(batch,)`, the examples' ids.
        view: int or int64 scalar, the view's number (in training: the epoch).
        spec: `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    height, width = images.shape[1:3]

    def draw(use, count):
        return _draw(ids, seed=spec.seed, view=view, use=use, count=count)

    if spec.translate or spec.mirror != "none":
        rows = tf.range(height)[tf.newaxis]
        columns = tf.range(width)[tf.newaxis]
        if spec.mirror == "random":
            mirrored = draw(_MIRROR, 2)[:, tf.newaxis] == 1
            columns = tf.where(mirrored, width - 1 - columns, columns)
        elif spec.mirror == "alternating":
            first = _draw(ids, seed=spec.seed, view=0, use=_MIRROR, count=2)
            parity = tf.cast((tf.cast(view, tf.int64) % 2), tf.int32)
            mirrored = (first != parity)[:, tf.newaxis]
            columns = tf.where(mirrored, width - 1 - columns, columns)
        if spec.translate:
            reach = spec.translate
            shift_y = draw(_SHIFT_Y, 2 * reach + 1)[:, tf.newaxis] - reach
            shift_x = draw(_SHIFT_X, 2 * reach + 1)[:, tf.newaxis] - reach
            rows = _reflect(rows + shift_y, height)
            columns = _reflect(columns + shift_x, width)
            images = tf.gather(images, rows, axis=1, batch_dims=1)
        images = tf.gather(images, columns, axis=2, batch_dims=1)
    if spec.cutout:
        inside_y = _inside(draw(_CUT_Y, height), spec.cutout, height)
        inside_x = _inside(draw(_CUT_X, width), spec.cutout, width)
        cut = inside_y[:, :, tf.newaxis] & inside_x[:, tf.newaxis, :]
        grey = tf.cast(_GREY, images.dtype)
        images = tf.where(cut[..., tf.newaxis], grey, images)
    return images


def partners(ids, *, view, spec, count):
    """Whom each view is mixed with: int32 `(batch,)`, 0 to `count - 1`."""
    return _draw(ids, seed=spec.seed, view=view, use=_PARTNER, count=count)


def mix(images, partner_images, ids, *, view, spec):
    """Mixes views with their partners', as `spec.mixup` and `.cutmix` say.

    Args:
        images: tensor `(batch, height, width, channels)`: the views.
        partner_images: the same, of the examples that `partners` names.
        ids: int64 tensor `(batch,)`, of `images`.
        view: int or int64 scalar, the view's number.
        spec: `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`, rounded for whole numbers:
        teacher and student must see the same picture.
    """
    height, width = images.shape[1:3]

    def draw(use, count):
        return _draw(ids, seed=spec.seed, view=view, use=use, count=count)

    kind = tf.cast(draw(_MIX, _UNIT), tf.float32) / _UNIT
    weight = tf.cast(draw(_COEFFICIENT, _UNIT), tf.float32) / _UNIT

    own = weight[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mean = own * tf.cast(images, tf.float32) + (1.0 - own) * tf.cast(
        partner_images, tf.float32
    )
    if images.dtype.is_integer:
        mean = tf.round(mean)
    mean = tf.cast(mean, images.dtype)

    side = tf.sqrt(1.0 - weight)[:, tf.newaxis]
    box_height = tf.cast(tf.round(side * height), tf.int32)
    box_width = tf.cast(tf.round(side * width), tf.int32)
    inside_y = _inside(draw(_BOX_Y, height), box_height, height)
    inside_x = _inside(draw(_BOX_X, width), box_width, width)
    box = inside_y[:, :, tf.newaxis] & inside_x[:, tf.newaxis, :]
    pasted = tf.where(box[..., tf.newaxis], partner_images, images)

    def chosen(low, high):
        return ((kind >= low) & (kind < high))[
            :, tf.newaxis, tf.newaxis, tf.newaxis
        ]

    images = tf.where(chosen(0.0, spec.mixup), mean, images)
    return tf.where(
        chosen(spec.mixup, spec.mixup + spec.cutmix), pasted, images
    )


def epoch_order(ids, *, seed, epoch):
    """The positions of `ids` in the order of an epoch: int64 `(n,)`."""
    return tf.argsort(
        _hash(ids, seed=seed, view=epoch, use=_ORDER), stable=True
    )


def _draw(ids, *, seed, view, use, count):
    """A whole number from 0 to `count - 1` for each id: int32 `(batch,)`."""
    high = tf.bitwise.right_shift(
        _hash(ids, seed=seed, view=view, use=use), tf.constant(32, tf.int64)
    )
    # An arithmetic shift leaves the sign, which floormod takes out.
    return tf.cast(tf.math.floormod(high, count), tf.int32)


def _hash(ids, *, seed, view, use):
    """64 bits that look random, from four whole numbers: int64 `(batch,)`."""
    value = tf.cast(seed, tf.uint64)
    for number in (use, view):
        value = _mix(value + tf.cast(number, tf.uint64))
    return tf.bitcast(_mix(value + tf.cast(ids, tf.uint64)), tf.int64)


def _mix(value):
    """One step of SplitMix64 (Steele et al., 2014) on a uint64 tensor."""

    def constant(number):
        return tf.constant(number, tf.uint64)

    def fold(value, bits):
        shifted = tf.bitwise.right_shift(value, constant(bits))
        return tf.bitwise.bitwise_xor(value, shifted)

    value += constant(0x9E3779B97F4A7C15)
    value = fold(value, 30) * constant(0xBF58476D1CE4E5B9)
    value = fold(value, 27) * constant(0x94D049BB133111EB)
    return fold(value, 31)


def _reflect(index, size):
    """Folds indices outside of `[0, size)` back, without the edge twice."""
    index = tf.abs(index)
    return size - 1 - tf.abs(size - 1 - index)


def _inside(centre, side, size):
    """Which of `size` positions lie in the cut: bool `(batch, size)`.

    `side` is an int, or int32 `(batch, 1)`.
    """
    offset = tf.range(size)[tf.newaxis] - centre[:, tf.newaxis] + side // 2
    return (offset >= 0) & (offset < side)
