"""Choosing the paper's experiments by name and group."""

import pytest

from experiments.paper import catalogue


def test_experiments_are_chosen_by_name_and_group():
    everything = catalogue.choose(["all"])
    assert len(everything) == len(catalogue.EXPERIMENTS)
    assert catalogue.choose(["none"]) == []
    # In the catalogue's order, not the flag's.
    names = [x.name for x in catalogue.choose(["soft", "matching", "teacher"])]
    assert names[:2] == ["teacher", "soft"] and "matching_T100" in names
    with pytest.raises(ValueError, match="Did you mean 'no_threes'"):
        catalogue.choose(["no_trees"])
    with pytest.raises(ValueError, match="Received: none, soft"):
        catalogue.choose(["none", "soft"])


def test_teachers_and_measured_runs_exist():
    for experiment in catalogue.EXPERIMENTS.values():
        if experiment.of:
            assert experiment.of in catalogue.EXPERIMENTS
        if not experiment.teacher.startswith("savedmodels/"):
            assert experiment.teacher in {"", *catalogue.EXPERIMENTS}
