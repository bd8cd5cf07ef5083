"""The pages refer to what exists."""

import json
import re

import pages
import pytest
from pages import REPOSITORY

from kd_keras import __main__ as commands
from kd_keras import losses
from kd_keras.config import augment
from kd_keras.data.sources import file_sets
from kd_keras.deployment import formats
from kd_keras.distillation import feature_losses, projections
from kd_keras.models import networks, optimizers
from kd_keras.teachers import preprocessing

# Files that a documented command writes.
WRITTEN = (
    "savedmodels/cifar10_specialists",
    "savedmodels/<name>",
    "savedmodels/photos_",
)


@pytest.mark.parametrize("page", pages.PAGES)
def test_paths_of_the_repository_exist(page):
    # Relative to the repository, not to a directory of a run.
    found = re.findall(
        r"(?<![\w/])(?:savedmodels|configs|tests|benchmarks|kd_keras)/[\w/.<>]+",
        pages.read(page),
    )
    for path in found:
        if not path.startswith(WRITTEN) and "<" not in path:
            assert (REPOSITORY / path.rstrip(".")).exists(), path


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("guides/your_classifier.md", networks.MODELS),
        ("guides/your_classifier.md", optimizers.OPTIMIZERS),
        ("guides/soft_targets.md", losses.LOSSES),
        ("guides/any_teacher.md", feature_losses.FEATURE_LOSSES),
        ("guides/any_teacher.md", projections.PROJECTIONS),
        ("guides/any_teacher.md", preprocessing.PREPROCESSINGS),
        ("guides/augmentations.md", augment.RECIPES),
        ("guides/your_images.md", file_sets.PARTS),
        ("guides/deploy.md", formats.FORMATS),
        ("design.md", commands.COMMANDS),
    ],
)
def test_a_page_names_every_choice(page, names):
    words = set(re.findall(r"[\w-]+", pages.read(f"docs/{page}")))
    assert set(names) <= words


def test_the_reference_has_every_loss():
    page = pages.read("docs/reference/api.md")
    found = [*losses.LOSSES.values()]
    found += [loss.function for loss in feature_losses.FEATURE_LOSSES.values()]
    for loss in found:
        assert f"::: {loss.__module__}.{loss.__name__}\n" in page


def test_the_readme_is_short():
    assert len(pages.read("README.md").splitlines()) <= 150


def test_links_of_the_readme_exist():
    # `make docs` checks the links of the site.
    for target in re.findall(r"\]\(([^)]+)\)", pages.read("README.md")):
        if not target.startswith("http"):
            assert (REPOSITORY / target).exists(), target


def test_the_tests_of_known_defects_exist():
    page = pages.read("docs/known_defects.md")
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", page)
    assert len(named) >= 17
    for path, function in named:
        text = (REPOSITORY / "tests" / path).read_text()
        assert f"\ndef {function}(" in text, function


def test_notebooks_are_saved_with_small_outputs():
    notebooks = sorted((REPOSITORY / "docs/notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        assert path.stat().st_size < 100_000
        cells = json.loads(path.read_text())["cells"]
        outputs = [out for cell in cells for out in cell.get("outputs", [])]
        assert any("image/png" in out.get("data", {}) for out in outputs)
        assert not any(out["output_type"] == "error" for out in outputs)
