"""The public names of the package."""

import pathlib

import kd_keras


def test_no_public_name_is_that_of_a_module():
    # Importing kd_keras.evaluate, say, would replace a function of that name.
    package = pathlib.Path(kd_keras.__file__).parent
    modules = {path.stem for path in package.glob("*.py")}
    modules |= {path.name for path in package.iterdir() if path.is_dir()}
    assert not modules & set(kd_keras.__all__)


def test_every_public_name_exists():
    for name in kd_keras.__all__:
        assert getattr(kd_keras, name) is not None
