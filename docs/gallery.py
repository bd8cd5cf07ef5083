"""Draws the image of the page "Augmentations": each of them on one photo.

    python docs/gallery.py

The photo is `china.jpg` of scikit-learn; the mixing partner is `flower.jpg`.
"""

import io
import os
import pathlib
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import sklearn.datasets

from kd_keras import config as config_lib
from kd_keras.data import augmentation, sources
from kd_keras.reporting import view_sheet
from kd_keras.utils import files

PATH = pathlib.Path(__file__).parent / "guides" / "augmentations.jpg"
# A name and the fields of each row.
ROWS = {
    "translate=24": {"translate": 24},
    "mirror": {"mirror": "random"},
    "crop_scale": {"crop_scale": (0.08, 1.0)},
    "rand_augment=2": {"rand_augment": 2},
    "magnitude=20": {"rand_augment": 2, "magnitude": 20},
    "trivial_augment": {"trivial_augment": True},
    "brightness=0.4": {"brightness": 0.4},
    "contrast=0.4": {"contrast": 0.4},
    "saturation=0.4": {"saturation": 0.4},
    "hue=0.1": {"hue": 0.1},
    "grey=0.5": {"grey": 0.5},
    "blur=1": {"blur": 1.0},
    "cutout=40": {"cutout": 40},
    "erasing=1": {"erasing": 1.0},
    "mixup=1": {"mixup": 1.0},
    "cutmix=1": {"cutmix": 1.0},
    "photos_light": config_lib.augment_recipe("photos_light"),
    "photos_strong": config_lib.augment_recipe("photos_strong"),
}
# Pixels of the images, and how many views of each row.
SIZE, VIEWS = 96, 5


def draw(views):
    """Draws so many views of each row: the bytes of a JPEG file."""
    with tempfile.TemporaryDirectory() as folder:
        for photo in sklearn.datasets.load_sample_images().filenames:
            shutil.copy(photo, folder)
        fields = config_lib.default_config().data
        fields.name, fields.data_dir = "folder", folder
        fields.image_size, fields.test_fraction = SIZE, 0.0
        sheet = _sheet(sources.load_dataset(fields).train, views)
    contents = io.BytesIO()
    sheet.save(contents, "JPEG", quality=80)
    return contents.getvalue()


def _sheet(photos, views):
    rows = [
        view_sheet.columns_of(
            photos,
            augmentation.ViewSpec(seed=1, **settings),
            count=1,
            views=views,
        )
        for settings in ROWS.values()
    ]
    return view_sheet.draw(
        [np.concatenate(column) for column in zip(*rows)],
        column_names=["original", *(f"view {i}" for i in range(views))],
        row_names=list(ROWS),
    )


def main():
    with files.replacing_file(PATH) as temporary:
        temporary.write_bytes(draw(VIEWS))


if __name__ == "__main__":
    main()
