"""Students and baselines that start from the weights of a file."""

import logging

import keras
import numpy as np
import pytest
from stage_runs import (
    Interrupted,
    interrupt_after_epochs,
    same_bits,
    small_config,
)

from kd_keras.training import prepare
from kd_keras.training.stages import stage_class


def make_stage(name, config, dataset, path):
    context = prepare.prepare(
        config, workdir=path, savedmodels=path, dataset=dataset
    )
    return stage_class(name)(context)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, small_mnist):
    """The weights of a student's network, with other ones in its head."""
    path = tmp_path_factory.mktemp("weights")
    network = make_stage("baseline", small_config(), small_mnist, path).build(7)
    network.save(path / "seven.keras")
    return path / "seven.keras"


def test_both_stages_start_from_them(small_mnist, tmp_path, weights):
    config = small_config(**{"student.weights": str(weights)})
    source = keras.models.load_model(weights)
    for name in ("student", "baseline"):
        network = make_stage(name, config, small_mnist, tmp_path).build(10)
        pairs = list(zip(source.get_weights(), network.get_weights()))
        assert len(pairs) > 6
        for a, b in pairs[:-2]:
            np.testing.assert_array_equal(a, b)
        assert pairs[-1][1].shape == (10,)


def test_they_are_known_by_their_contents(small_mnist, tmp_path, weights):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(weights.read_bytes())
    records = []
    for path in (weights, copy, ""):
        config = small_config(**{"student.weights": str(path)})
        stage = make_stage("baseline", config, small_mnist, tmp_path)
        records.append(stage.find_depends_on())
    assert records[0] == records[1]
    # Without an entry, like the records of earlier versions.
    assert "student.weights" not in records[2]
    assert len(records[0]["student.weights"]) == 64


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(
    run, tmp_path, weights, monkeypatch, caplog
):
    config = small_config(
        **{"student.weights": str(weights), "data.max_train_examples": 128}
    )
    caplog.set_level(logging.INFO)
    run("baseline", config=config, workdir="whole")
    started = [line for line in caplog.messages if "starts from" in line]
    assert len(started) == 1 and "not loaded: logits (" in started[0]
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_after_epochs(patch, 1)
        run("baseline", config=config, workdir="resumed")
    run("baseline", config=config, workdir="resumed")
    assert same_bits(
        tmp_path / "whole/baseline/baseline.keras",
        tmp_path / "resumed/baseline/baseline.keras",
    )
