"""Draws training images and their augmented views side by side."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from kd_keras.data import augmentation, pipeline, sources
from kd_keras.models import image_spec
from kd_keras.training import prepare
from kd_keras.utils import files, progress

# Pixels of an image's longer side: smaller ones are enlarged by a whole
# number, larger ones reduced.
_LEAST_SIDE, _MOST_SIDE = 96, 224
# Pixels between the images, and of a line of text.
_GAP, _LINE = 4, 14
_PAPER, _INK = "white", "black"


def of_config(config, *, count, views):
    """Draws the views that a configuration's student is trained on.

    Args:
        config: `ConfigDict`; see `kd_keras.config`.
        count: int, the number of training images, spread over the set.
        views: int, the number of views of each image, from view 0 on.

    Returns:
        `PIL.Image`.

    Raises:
        ValueError: if the data cannot be loaded, or the augmentation does not
            work with such images.
    """
    config = config.copy_and_resolve_references()
    dataset = sources.load_dataset(config.data)
    parts = prepare.transfer_parts(prepare.parts(dataset, config), config)
    train = parts["train"]
    data = config.data
    spec = augmentation.ViewSpec(
        **data.augment, mixup=data.mixup, cutmix=data.cutmix
    )
    columns = columns_of(train, spec, count=count, views=views)
    names = ["original", *(f"view {view}" for view in range(views))]
    return draw(columns, column_names=names)


def columns_of(examples, spec, *, count, views):
    """Makes the columns of a sheet: the images, then each view of them.

    Args:
        examples: `datasets.Examples`.
        spec: `augmentation.ViewSpec`.
        count: int, the number of examples, at most.
        views: int.

    Returns:
        List of `1 + views` uint8 arrays `(count, height, width, 1 or 3)`.
    """
    count = min(count, len(examples))
    positions = np.linspace(0, len(examples) - 1, count).round().astype(int)
    ids = examples.ids[positions]
    columns = [_small(examples.reader.array(ids), examples)]
    bar = progress.bar(views, "view")
    for view in range(views):
        made = pipeline.make_views(examples, ids, view=view, spec=spec)
        columns.append(_small(made, examples))
        bar.update(view + 1)
    return columns


def draw(columns, *, column_names, row_names=None):
    """Draws images in a table.

    Args:
        columns: list of uint8 arrays `(rows, height, width, 1 or 3)`.
        column_names: list of str, one for each column.
        row_names: list of str, one for each row; None for no names.

    Returns:
        `PIL.Image`.
    """
    font = ImageFont.load_default_imagefont()
    rows, height, width, _ = columns[0].shape
    left = _GAP
    if row_names:
        left += _GAP + max(int(font.getlength(name)) for name in row_names)
    top = _GAP + _LINE
    sheet = Image.new(
        "RGB",
        (
            left + len(columns) * (width + _GAP),
            top + rows * (height + _GAP),
        ),
        _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for i, (name, images) in enumerate(zip(column_names, columns)):
        x = left + i * (width + _GAP)
        pen.text((x, _GAP), name, fill=_INK, font=font)
        for k, image in enumerate(images):
            sheet.paste(_to_pillow(image), (x, top + k * (height + _GAP)))
    for k, name in enumerate(row_names or []):
        y = top + k * (height + _GAP) + height // 2 - _LINE // 2
        pen.text((_GAP, y), name, fill=_INK, font=font)
    return sheet


def png(sheet, *, by, command):
    """Encodes a sheet as a PNG file, with the command that wrote it.

    Args:
        sheet: `PIL.Image`.
        by: str, the command that writes it; see `files.write_output`.
        command: str, the command line as it was typed.

    Returns:
        bytes.
    """
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Software", f"{files.MARK} {by} ({command})")
    contents = io.BytesIO()
    sheet.save(contents, "PNG", pnginfo=text, optimize=True)
    return contents.getvalue()


def _small(images, examples):
    """Images of any type, ready for a sheet."""
    images = image_spec.for_display(np.asarray(images), examples.image_spec)
    height, width = images.shape[1:3]
    side = max(height, width)
    if side < _LEAST_SIDE:
        times = -(-_LEAST_SIDE // side)
        return images.repeat(times, axis=1).repeat(times, axis=2)
    if side <= _MOST_SIDE:
        return images
    size = [max(round(x * _MOST_SIDE / side), 1) for x in (width, height)]
    small = [
        np.asarray(_to_pillow(image).resize(size, Image.Resampling.BOX))
        for image in images
    ]
    return np.stack(small).reshape(len(images), size[1], size[0], -1)


def _to_pillow(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
