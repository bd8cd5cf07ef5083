"""Fixtures that run the paper's experiments on little data."""

import functools

import paper_lab
import pytest


@pytest.fixture
def quick(monkeypatch):
    """Sets what quick runs change: `quick(file, **fields)`."""
    quick = functools.partial(paper_lab.set_quick, monkeypatch)
    quick()
    return quick


@pytest.fixture
def make_lab(small_mnist, tmp_path):
    """Makes a quick `runner.Lab` in the test's directory."""

    def make_lab(dataset=small_mnist):
        return paper_lab.make(tmp_path, dataset)

    return make_lab
