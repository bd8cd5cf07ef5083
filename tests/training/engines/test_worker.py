"""Workers get the configuration as JSON."""

import json
from unittest import mock

import pytest

from kd_keras.config import flat, recipes
from kd_keras.training.engines import worker


@pytest.mark.parametrize("name", recipes.names())
def test_the_configuration_of_a_recipe_comes_back(name):
    config = recipes.load(name).copy_and_resolve_references()
    received = worker._config(json.loads(config.to_json()))
    values = flat.flatten(received)
    assert values == flat.flatten(config)
    # Equal numbers may be of two types.
    assert repr(values) == repr(flat.flatten(config))


def test_a_worker_loads_what_labels_when_it_is_asked_to(monkeypatch):
    job = mock.Mock()
    one = worker.Worker({})
    monkeypatch.setattr(one, "_opened", lambda: job)
    assert one.answer("load") == ("answer", None)
    job.load.assert_called_once_with()
