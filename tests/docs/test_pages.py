"""The pages refer to what exists."""

import json
import re

import pages
import pytest
from pages import REPOSITORY

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
