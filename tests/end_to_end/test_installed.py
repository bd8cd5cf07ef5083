"""A wheel, installed without the checkout, works from any directory."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from commands import REPOSITORY

# Older versions do not read the licence in pyproject.toml.
pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("wheel")

pytestmark = pytest.mark.slow
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def check(*arguments, cwd):
    result = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the checkout: nothing is left beside the files."""
    source = tmp_path_factory.mktemp("source")
    without_cache = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("kd_keras", "configs"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=without_cache)
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, source)
    options = ("--no-build-isolation", "--no-deps", "--no-index")
    check(*PIP, "wheel", *options, "--wheel-dir=wheels", ".", cwd=source)
    (path,) = (source / "wheels").glob("kd_keras-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A directory in which the wheel is installed."""
    target = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", f"--target={target}")
    check(*PIP, "install", *options, str(wheel), cwd=target)
    return target


def run(installed, *command, cwd):
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_wheel_holds_every_file_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "kd_keras").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {
        f"kd_keras/configs/{path.name}"
        for path in (REPOSITORY / "configs").glob("*.py")
    }
    assert {x for x in names if ".dist-info/" not in x} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_package_is_the_one_that_runs(installed, tmp_path):
    code = "import kd_keras, kd_keras.configs; print(kd_keras.__file__)"
    result = run(installed, "-c", code, cwd=tmp_path)
    assert result.stdout.strip() == str(installed / "kd_keras/__init__.py")


def test_help_and_the_recipes_are_found(installed, tmp_path):
    script = installed / "bin" / "kd-keras"
    listed = run(installed, str(script), "--help", cwd=tmp_path)
    assert listed.returncode == 0 and "Usage: kd-keras" in listed.stdout
    helped = run(installed, "-m", "kd_keras", "train", "--help", cwd=tmp_path)
    assert helped.returncode == 0 and "--stage" in helped.stdout
    # Only a configuration that was loaded can refuse a field.
    for recipe in ("cifar10_fast", "paper_mnist:teacher"):
        flags = [f"--config={recipe}", "--config.student.epohs=3"]
        refused = run(installed, str(script), "train", *flags, cwd=tmp_path)
        assert refused.returncode == 1
        assert "Did you mean 'student.epochs'?" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_the_quickstart_trains_in_an_empty_directory(installed, tmp_path):
    flags = [
        "--config.data.max_train_examples=640",
        "--config.data.validation_examples=64",
        "--config.baseline.labelled_passes=2",
        "--config.baseline.labels_per_class=20",
        "--config.teacher.epochs=1",
        "--config.student.epochs=1",
        "--config.teacher.batch_size=64",
        "--config.student.batch_size=64",
    ]
    result = run(installed, "-m", "kd_keras", "train", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "savedmodels/mnist_student/saved_model.pb").exists()
    card = (tmp_path / "savedmodels/mnist_student/model_card.md").read_text()
    assert "python -m kd_keras train --config.data.max_train" in card
    assert "kd_keras 0.2.0" in card
