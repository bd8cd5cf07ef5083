"""A trained network of digits and its exports, for all tests of the room."""

import keras
import pytest

from kd_keras.data import datasets
from kd_keras.deployment import exporting, formats
from kd_keras.deployment import saved_model as exports


@pytest.fixture(scope="session")
def data(mnist):
    """Digits of 8 x 8, which a small network learns in seconds."""

    def small(examples, count):
        images = examples.images[:count, 2:26, 2:26]
        images = images.reshape(-1, 8, 3, 8, 3, 1).mean((2, 4)).round()
        return datasets.Examples(
            images.astype("uint8"), examples.labels[:count], num_classes=10
        )

    return datasets.Dataset(
        name="digits",
        train=small(mnist.train, 4000),
        test=small(mnist.test, 300),
        source="MNIST",
        class_names=[str(digit) for digit in range(10)],
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory, data):
    """A trained student, the folder of its exports, and their rows.

    The folder has the SavedModel `digits` and, in `out`, all formats.
    """
    keras.utils.set_random_seed(0)
    student = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ],
        name="digits",
    )
    student.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    student.fit(
        data.train.images,
        data.train.labels,
        epochs=3,
        batch_size=100,
        verbose=0,
    )
    folder = tmp_path_factory.mktemp("edge")
    exports.export_saved_model(student, folder / "digits")
    rows = exporting.export(
        folder / "digits",
        formats=[*formats.FORMATS],
        output=folder / "out",
        data=data,
        calibration_examples=50,
        command="the command",
    )
    return student, folder, rows


@pytest.fixture(scope="session")
def saved_digits(exported):
    """Path of the SavedModel of digits."""
    return exported[1] / "digits"


@pytest.fixture(scope="session")
def output(exported):
    """Path of the folder with the exported files of digits."""
    return exported[1] / "out"
