"""Seeds and configurations of the paper's experiments."""

import json
import pathlib

import pytest

from experiments.paper import catalogue, plan

REPOSITORY = pathlib.Path(__file__).parents[2]


def recorded_results():
    text = (REPOSITORY / "results" / "paper.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_the_recorded_results_are_of_the_current_configurations():
    # A change of a hash would run hours of experiments again.
    planned = plan.Plan()
    for line in recorded_results():
        experiment = catalogue.EXPERIMENTS[line["experiment"]]
        found = planned.config_hash(experiment, line["seed"])
        assert found == line["config_hash"], line


def test_every_experiment_and_seed_has_one_result():
    planned = plan.Plan()
    expected = [
        (name, seed)
        for name, experiment in catalogue.EXPERIMENTS.items()
        for seed in planned.seeds(experiment)
    ]
    found = [(line["experiment"], line["seed"]) for line in recorded_results()]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "seeds", "quick_seeds"),
    [
        ("member", [0, 1, 2, 3, 4], [0]),
        ("ensemble_geometric", [0, 1, 2], []),
        ("cifar10_specialists", [0], []),
    ],
)
def test_seeds_of_full_and_quick_runs(name, seeds, quick_seeds):
    experiment = catalogue.EXPERIMENTS[name]
    assert list(plan.Plan().seeds(experiment)) == seeds
    assert list(plan.Plan(quick=True).seeds(experiment)) == quick_seeds
