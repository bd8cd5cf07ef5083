"""The file of results."""

import pytest

from experiments.paper import results


def line(experiment, seed, errors):
    return {"experiment": experiment, "seed": seed, "errors": errors}


def test_a_result_replaces_that_of_its_experiment_and_seed(tmp_path):
    path = tmp_path / "results" / "paper.jsonl"
    kept = results.Results(path)
    assert kept.lines == []
    for new in (line("soft", 0, 80), line("soft", 1, 81), line("labels", 0, 9)):
        kept.keep(new)
    kept.keep(line("soft", 0, 70))
    expected = [line("soft", 1, 81), line("labels", 0, 9), line("soft", 0, 70)]
    assert results.Results(path).lines == expected
    assert kept.find({"experiment": "soft", "seed": 1})["errors"] == 81
    assert kept.find({"experiment": "soft", "seed": 2}) is None
    kept.forget({"soft"})
    assert kept.lines == [line("labels", 0, 9)]


@pytest.mark.parametrize(
    "text", ["a thesis\n", '{"seed": 0}\n', "[1]\n", '"experiment"\n']
)
def test_another_file_is_refused_and_unchanged(tmp_path, text):
    path = tmp_path / "thesis.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="--results must be a file of this"):
        results.Results(path).keep(line("soft", 0, 80))
    assert path.read_text() == text
