"""The image of the page "Augmentations" shows what the code does now."""

import importlib.util

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
    drawn = np.asarray(gallery.draw()).astype("float32")
    shipped = np.asarray(Image.open(gallery.PATH)).astype("float32")
    assert drawn.shape == shipped.shape
    # JPEG loses details, and decoders differ; another view differs by more.
    height = 100
    for top in range(18, len(drawn), height):
        difference = abs(drawn - shipped)[top : top + height]
        assert difference.mean() < 4, list(gallery.ROWS)[top // height]
