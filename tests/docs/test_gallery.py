"""The image of the page "Augmentations" shows what the code does now."""

import importlib.util
import io

import numpy as np
import pages
import pytest
from pages import REPOSITORY
from PIL import Image

from kd_keras.config import augment

PAGE = "docs/guides/augmentations.md"


@pytest.fixture(scope="module")
def gallery():
    path = REPOSITORY / "docs" / "gallery.py"
    spec = importlib.util.spec_from_file_location("gallery", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_switch_has_a_row_and_every_field_is_described(gallery):
    shown = {name for fields in gallery.ROWS.values() for name in fields}
    page = pages.read(PAGE)
    for entry in (*augment.FIELDS, *augment.MIXING):
        if entry.name != "seed":
            assert f"`{entry.name}`" in page, entry.name
        if not entry.used_with and entry.name not in ("order", "seed"):
            assert entry.name in shown, entry.name
    for name in augment.RECIPES:
        assert f"| `{name}` |" in page, name


@pytest.mark.slow
def test_the_image_is_what_the_command_draws(gallery):
    drawn = pixels(io.BytesIO(gallery.draw(views=2)))
    shipped = pixels(gallery.PATH)[:, : drawn.shape[1]]
    assert drawn.shape == shipped.shape
    # Decoders of JPEG files differ a little, other views differ by more.
    top, step = 18, gallery.SIZE + 4
    for i, name in enumerate(gallery.ROWS):
        row = slice(top + i * step, top + (i + 1) * step)
        assert abs(drawn[row] - shipped[row]).mean() < 2, name


def pixels(file):
    return np.asarray(Image.open(file)).astype("float32")
