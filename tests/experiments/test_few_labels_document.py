"""The document of the experiments with few labels."""

import pathlib

import pytest

from experiments.few_labels import catalogue, document
from experiments.paper import results

REPOSITORY = pathlib.Path(__file__).parents[2]


def line(experiment, seed, accuracy, **others):
    errors = round(10_000 * (1 - accuracy))
    return {
        "experiment": experiment,
        "seed": seed,
        "errors": errors,
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.01, accuracy + 0.01],
        "seconds": 60.0,
        "parameters": 295_544,
        "commit": "abc",
        "hardware": "a machine",
        "precision": "mixed_bfloat16",
        **others,
    }


def rows_of(path):
    """Cells of all table rows, by the first column."""
    rows = {}
    for text in path.read_text().splitlines():
        if text.startswith("| "):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            rows.setdefault(cells[0], []).append(cells[1:])
    return rows


def test_figures_and_missing_figures(tmp_path):
    compared = {
        "difference": 0.3,
        "difference_interval": [0.29, 0.31],
        "p_value": 1e-200,
    }
    lines = [
        line("soft_50", 1, 0.82, against_baseline=compared),
        line("soft_50", 0, 0.80, against_baseline=compared),
        line("baseline_50", 0, 0.51),
        line("probe_500", 0, 0.88),
        {
            "experiment": "features",
            "seed": 0,
            **{key: line("", 0, 1)[key] for key in document.PROVENANCE},
        },
    ]
    path = tmp_path / "docs" / document.NAME
    document.write(lines, path)
    rows, kinds = rows_of(path), catalogue.KINDS
    # The standard deviation of 80 and 82 is the square root of 2.
    missing = ["not run yet"] * 2
    assert rows[kinds["soft"].title] == [["81.00 ± 1.41 %", *missing]]
    assert rows[kinds["probe"].title][0][1] == "88.00 % (one seed)"
    assert kinds["features"].title not in rows
    assert rows["`soft_50`"] == [
        [
            str(seed),
            f"{errors:,}",
            f"{accuracy}.00%",
            f"{accuracy - 1}.00% to {accuracy + 1}.00%",
            "+30.00 points (+29.00 to +31.00)",
            "< 1e-12",
            "60",
        ]
        for seed, accuracy, errors in ((0, 80, 2000), (1, 82, 1800))
    ]
    assert rows["`baseline_50`"][0][-3:] == ["-", "-", "60"]
    assert rows["`features`"] == [["0", *["-"] * 5, "60"]]
    text = path.read_text()
    assert "of 295,544 parameters" in text.replace("\n", " ")
    assert "5 results" in text and "Commits: abc." in text


@pytest.mark.parametrize(
    ("student", "baseline", "claim"),
    [
        (0.80, 0.55, "is 25.00 points above: met."),
        (0.80, 0.56, "is 24.00 points above: not met."),
        (0.79, 0.50, "is 29.00 points above: not met."),
        (None, 0.50, "above its baseline. The first one was not run yet."),
    ],
)
def test_the_claim_is_decided_by_the_results(
    tmp_path, student, baseline, claim
):
    lines = [line("baseline_50", 0, baseline)]
    if student:
        lines.append(line("soft_50", 0, student))
    document.write(lines, tmp_path / document.NAME)
    text = (tmp_path / document.NAME).read_text().replace("\n", " ")
    assert claim in text


@pytest.mark.parametrize(
    ("differences", "p_values", "claim"),
    [
        (
            (0.02, 0.04),
            (1e-20, 1e-3),
            "3.00 points above, with p <= 0.001: met.",
        ),
        ((0.02, 0.04), (1e-20, 0.06), "with p <= 0.06: not met."),
        ((0.02, -0.02), (1e-20, 1e-20), "with p < 1e-12: not met."),
    ],
)
def test_the_claim_about_5000_labels_needs_every_run(
    tmp_path, differences, p_values, claim
):
    lines = [
        line(
            "soft_500",
            seed,
            0.9,
            against_baseline={
                "difference": difference,
                "difference_interval": [difference, difference],
                "p_value": p_value,
            },
        )
        for seed, (difference, p_value) in enumerate(zip(differences, p_values))
    ]
    document.write(lines, tmp_path / document.NAME)
    text = (tmp_path / document.NAME).read_text().replace("\n", " ")
    assert claim in text


def test_experiments_are_chosen_by_name_kind_and_labels():
    def chosen(*names):
        return [x.name for x in catalogue.choose(names)]

    assert chosen("none") == []
    assert chosen("soft") == ["soft_50", "soft_500", "soft_all"]
    assert chosen("features", "probe_500") == ["features", "probe_500"]
    assert set(chosen("labels_50")) == {
        f"{kind}_50" for kind in catalogue.KINDS if kind != "features"
    }
    named = catalogue.EXPERIMENTS
    assert named["soft_500"].source("teacher").name == "probe_500"
    assert named["head_500"].source("backbone").name == "features"
    assert named["probe2_50"].source("labels").name == "soft_50"
    assert named["soft2_50"].source("teacher").name == "probe2_50"
    assert named["baseline_500"].source("teacher") is None
    assert named["head_500"].baseline.name == "baseline_500"
    assert named["features"].baseline is named["baseline_all"].baseline is None
    assert len(chosen("all")) == len(catalogue.EXPERIMENTS) == 16
    with pytest.raises(ValueError, match="Did you mean 'soft_50'"):
        chosen("soft_5")


def test_the_page_is_written_from_the_results(tmp_path):
    lines = results.Results(REPOSITORY / "results" / "few_labels.jsonl").lines
    document.write(lines, tmp_path / document.NAME)
    page = REPOSITORY / "docs" / "results" / document.NAME
    assert (tmp_path / document.NAME).read_text() == page.read_text()
