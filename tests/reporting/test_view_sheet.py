"""The sheet of views: its images, and the file that holds it."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kd_keras import config as config_lib
from kd_keras.data import augmentation, datasets, pipeline, sources, splits
from kd_keras.reporting import view_sheet
from kd_keras.utils import files


def examples(count, *shape, dtype="uint8"):
    images = np.random.default_rng(0).integers(0, 256, (count, *shape))
    return datasets.Examples(images.astype(dtype))


@pytest.mark.slow
def test_the_views_are_those_of_the_training():
    """A sheet of a configuration, cut into its images again."""
    config = config_lib.default_config()
    config.seed = 5
    config.data.validation_examples = 10_000
    config.data.mixup = 0.5
    config.data.augment.update(trivial_augment=True, translate=3)
    sheet = np.asarray(view_sheet.of_config(config, count=3, views=2))
    # Each digit of 28 pixels is four times as large, 4 pixels from the next.
    assert sheet.shape == (4 + 14 + 3 * 116, 4 + 3 * 116, 3)
    parts = splits.split(
        sources.load_dataset(config.data), validation_examples=10_000
    )
    train = parts["train"]
    ids = train.ids[[0, len(train) // 2, len(train) - 1]]
    spec = augmentation.ViewSpec(
        seed=5, trivial_augment=True, translate=3, mixup=0.5
    )
    columns = [
        train.reader.array(ids),
        *(
            pipeline.make_views(train, ids, view=view, spec=spec)
            for view in range(2)
        ),
    ]
    for i, column in enumerate(columns):
        for k, image in enumerate(np.asarray(column)):
            y, x = 18 + 116 * k, 4 + 116 * i
            shown = sheet[y : y + 112 : 4, x : x + 112 : 4]
            np.testing.assert_array_equal(shown, image.repeat(3, axis=-1))


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((500, 250, 3), (224, 112, 3)),
        ((100, 30, 1), (100, 30, 1)),
        ((5, 8, 3), (60, 96, 3)),
        ((96, 96, 4), (96, 96, 3)),
    ],
)
def test_images_of_any_size_fit_the_sheet(shape, shown):
    columns = view_sheet.columns_of(
        examples(2, *shape), augmentation.ViewSpec(), count=5, views=1
    )
    # Two examples are all that there are.
    assert [column.shape for column in columns] == [(2, *shown)] * 2
    np.testing.assert_array_equal(*columns)


def test_rows_may_have_names():
    columns = [np.zeros((2, 96, 96, 1), "uint8")]
    plain = view_sheet.draw(columns, column_names=["original"])
    named = view_sheet.draw(
        columns, column_names=["original"], row_names=["cutout", "blur"]
    )
    assert named.height == plain.height and named.width > plain.width + 30
    left = np.asarray(named)[:, : named.width - plain.width]
    assert (left == 0).any() and (left == 255).mean() > 0.9


def test_the_file_says_who_wrote_it(tmp_path):
    sheet = view_sheet.draw(
        [np.zeros((1, 96, 96, 1), "uint8")], column_names=[""]
    )
    contents = view_sheet.png(sheet, by="views", command="kd-keras views --a=ü")
    assert (
        Image.open(io.BytesIO(contents))
        .text["Software"]
        .startswith("written by kd_keras views (kd-keras views --a=ü)")
    )
    assert tf.io.decode_png(contents).shape == (118, 104, 3)
    path = tmp_path / "views.png"
    for _ in range(2):
        files.write_output(path, contents, by="views")
    assert path.read_bytes() == contents
    with pytest.raises(ValueError, match="written by the same command"):
        files.check_output(path, by="report")


def test_an_augmentation_that_does_not_fit_is_refused():
    spec = augmentation.ViewSpec(trivial_augment=True)
    with pytest.raises(ValueError, match="1 or 3 channels. Received: 4"):
        view_sheet.columns_of(examples(2, 8, 8, 4), spec, count=1, views=1)
