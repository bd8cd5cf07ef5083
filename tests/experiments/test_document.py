"""The document of the paper's experiments."""

from experiments.paper import catalogue, document


def line(experiment, seed, errors, **others):
    return {
        "experiment": experiment,
        "seed": seed,
        "errors": errors,
        "test_examples": 10_000,
        "seconds": 60.0,
        "commit": "abc",
        "hardware": "a machine",
        **others,
    }


def rows_of(path):
    """Cells of the table rows, by the second column, NAME."""
    rows = {}
    for text in path.read_text().splitlines():
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if text.startswith("|") and cells[1].startswith("`"):
            rows[cells[1].strip("`")] = cells
    return rows


def test_figures_and_missing_figures(tmp_path):
    threes = [0, 0, 0, 120, 0, 0, 0, 0, 0, 80]
    lines = [
        line("teacher", 0, 70),
        line("teacher", 1, 74, precision="mixed_bfloat16"),
        line("no_threes", 0, 200, errors_by_class=threes),
        line("sevens_eights", 0, 4700, errors_by_class=[470] * 10),
        line("soft", 0, 80, agreement=0.99),
        line("soft", 1, 80, agreement=0.98),
    ]
    path = document.write(lines, tmp_path / "docs")
    rows = rows_of(path)
    assert rows.keys() >= {
        name for name, x in catalogue.EXPERIMENTS.items() if x.group != "grid"
    }
    assert rows["teacher"][2:] == ["67", "72.0 ± 2.8", "", "2", "60"]
    # 72 ± 12.706 x 2.
    assert "- `teacher`: 46.6 to 97.4; the paper's 67 is inside." in (
        path.read_text()
    )
    assert rows["labels"][2:] == ["146", "not measured", "", "0", ""]
    assert rows["no_threes"][3] == "200.0, 120.0 of them threes"
    assert rows["sevens_eights"][3] == "4700.0 (47.00%)"
    assert rows["soft"][3:6] == ["80.0 ± 0.0", "98.50%", "2"]
    text = path.read_text()
    assert "6 results" in text and "Commits: abc." in text
    assert "Trained in: float32, mixed_bfloat16." in text
    assert "30 units: not measured" in text
    assert not (path.parent / "paper_grid.svg").exists()


def grid_lines(cells, units):
    return [
        line(f"grid_{units}_T{temperature}", seed, errors)
        for temperature, values in cells.items()
        for seed, errors in enumerate(values)
    ]


def test_the_claims_about_temperature_are_decided_by_the_grid(tmp_path):
    best = {"1": 300, "2.5": 250, "4": 250, "8": 300, "20": 310, "40": 310}
    spread = {t: [x - 2, x, x + 2] for t, x in best.items()}
    lines = grid_lines(spread, 30) + grid_lines(spread, 300)
    text = document.write(lines, tmp_path).read_text()
    # (298 + 300 + 302) / 3; 12 degrees of freedom, variance 4: half is
    # 2.179 x sqrt(4 / 3).
    assert "| 30 units | 300.0 ± 2.5 | 250.0 ± 2.5 |" in text
    assert (
        "Confirmed: the difference from the other temperatures is -55.0" in text
    )
    assert "300 units: the paper finds T of 8 and more alike. Refuted" in text
    assert "800 units: not measured" in text
    assert "Seeds per cell: 3. Mean" in text
    assert "![Errors by temperature](paper_grid.svg)" in text
    one = grid_lines({t: [x] for t, x in best.items()}, 800)
    text = document.write(lines + one, tmp_path / "one").read_text()
    assert "800 units: undecided, with one seed" in text
    assert "| 800 units | 300.0 | 250.0 |" in text
    assert "Seeds per cell: 1 to 3. Mean" in text
    drawing = (tmp_path / "paper_grid.svg").read_bytes()
    document.write(lines, tmp_path)
    assert (tmp_path / "paper_grid.svg").read_bytes() == drawing


def test_learning_curves_of_students_on_3_percent(tmp_path):
    curve = [0.5, 0.6, 0.7, 0.8]
    lines = [
        line(
            "mnist_3_percent_soft",
            seed,
            800,
            epochs=4,
            train_errors=18,
            train_examples=1800,
            train_curve=[0.1, 0.2, 0.3, 0.4 + seed / 10],
            validation_accuracies=[x + seed / 10 for x in curve],
        )
        for seed in (0, 1)
    ]
    path = document.write(lines, tmp_path)
    row = rows_of(path)["mnist_3_percent_soft"]
    assert row[3:] == ["99.00% ± 0.00%", "92.00% ± 0.00%", "4 ± 0", "2"]
    text = path.read_text()
    assert "| train | 10.00% | 10.00% | 10.00% | 20.00% | 45.00% |" in text
    assert "| 55.00% | 65.00% | 85.00% |" in text


def test_specialists_by_coverage(tmp_path):
    counts = ((0, 1000, 900, 895), (2, 4000, 3000, 3100))
    keys = ("covering", "examples", "generalist_correct", "correct")
    rows = [dict(zip(keys, row)) for row in counts]
    lines = [line("cifar10_specialists", 0, 1005, by_covering=rows)]
    path = document.write(lines, tmp_path)
    text = path.read_text()
    assert "| 0 | 1000 | 90.00% | 89.50% | -5 |" in text
    assert "| 2 | 4000 | 75.00% | 77.50% | +100 |" in text
    assert "| all | 5000 | 78.00% | 79.90% | +95 |" in text
    assert rows_of(path)["cifar10_student_of_specialists"][3] == "not measured"
