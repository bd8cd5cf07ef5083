"""Fixtures of the tests of training: stages run on 500 digits."""

import shutil

import pytest
from stage_runs import small_config

from kd_keras.training import runs


@pytest.fixture
def run(small_mnist, tmp_path):
    """Runs stages in a temporary directory.

    Removes the exports of another work directory first, since a run would
    refuse to replace them.
    """

    def run(*names, workdir="work", dataset=small_mnist, **options):
        config = options.pop("config", None) or small_config()
        savedmodels = tmp_path / options.pop("savedmodels", "models")
        for name in names:
            exported = savedmodels / f"{config.name}_{name}"
            is_of_another = (exported / "config.json").exists()
            if is_of_another and not (tmp_path / workdir / name).exists():
                shutil.rmtree(exported)
        return runs.run(
            config,
            stages=names,
            workdir=tmp_path / workdir,
            savedmodels=savedmodels,
            dataset=dataset,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def trained_teacher(small_mnist, tmp_path_factory):
    """A SavedModel that the teacher stage wrote."""
    folder = tmp_path_factory.mktemp("teacher")
    runs.run(
        small_config(),
        stages=["teacher"],
        workdir=folder / "work",
        savedmodels=folder,
        dataset=small_mnist,
    )
    return folder / "small_teacher"


@pytest.fixture
def taught(trained_teacher, tmp_path):
    """The teacher, where the student's stage looks for it."""
    shutil.copytree(trained_teacher, tmp_path / "models" / "small_teacher")
