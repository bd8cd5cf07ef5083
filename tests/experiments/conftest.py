"""Fixtures that run the paper's experiments on little data."""

import paper_lab
import pytest

from experiments.paper import plan, runner


@pytest.fixture
def quick(monkeypatch):
    """Sets what quick runs change: `quick(file, **fields)`."""

    def quick(file="paper_mnist", **fields):
        changed = {**plan.QUICK, file: {**paper_lab.TINY, **fields}}
        monkeypatch.setattr(plan, "QUICK", changed)

    quick()
    return quick


@pytest.fixture
def make_lab(small_mnist, tmp_path):
    """Makes a quick `runner.Lab` in the test's directory."""

    def make_lab(dataset=small_mnist):
        return runner.Lab(
            workdir=tmp_path / "work",
            results_path=tmp_path / "results" / "paper.jsonl",
            quick=True,
            dataset=dataset,
        )

    return make_lab
