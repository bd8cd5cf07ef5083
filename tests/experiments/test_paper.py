"""The paper's experiments: what is run once, what is measured, the document."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from experiments.paper import document as paper_report
from experiments.paper import lab as paper_lab
from kd_keras.data import datasets
from kd_keras.teachers import ensemble
from kd_keras.training import stages

TINY = {
    "teacher.widths": (8, 8),
    "teacher.epochs": 1,
    "teacher.batch_size": 64,
    "teacher.optimizer.learning_rate": 1e-2,
    "student.widths": (8, 8),
    "student.epochs": 2,
    "student.batch_size": 16,
}


@pytest.fixture
def quick(monkeypatch):
    """Sets what quick runs change."""

    def quick(file="paper_mnist", **fields):
        changed = {**paper_lab.QUICK, file: {**TINY, **fields}}
        monkeypatch.setattr(paper_lab, "QUICK", changed)

    quick()
    return quick


@pytest.fixture
def make_lab(mnist, tmp_path):
    small = datasets.Dataset(
        name="mnist",
        train=mnist.train.subset(np.arange(500)),
        test=mnist.test.subset(np.arange(300)),
        source="the kd_keras package",
    )

    def make_lab(dataset=small):
        return paper_lab.Lab(
            workdir=tmp_path / "work",
            results=tmp_path / "results" / "paper.jsonl",
            quick=True,
            dataset=dataset,
        )

    return make_lab


def measure(lab, *names):
    return [lab.result(paper_lab.EXPERIMENTS[name], 0) for name in names]


def load(path):
    return keras.models.load_model(path, compile=False)


def test_a_bias_is_fitted_and_results_are_not_measured_twice(
    make_lab, quick, mnist, tmp_path, monkeypatch
):
    names = ("no_threes", "no_threes_bias", "no_threes_bias_on_test")
    lines = measure(make_lab(), *names)
    results = tmp_path / "results" / "paper.jsonl"
    written = [json.loads(line) for line in results.read_text().splitlines()]
    assert written == lines
    for line, name in zip(lines, names):
        assert line["experiment"] == name and line["seed"] == 0
        assert {"commit", "hardware", "config_hash"} <= line.keys()
        assert sum(line["errors_by_class"]) == line["errors"]
        assert line["test_examples"] == 300 and line["seconds"] > 0
    plain, fitted, chosen = lines
    assert plain["precision"] == stages.resolve_precision("auto")
    # No three in the transfer set: 46 of the first 500 digits are one.
    student = tmp_path / "work" / "no_threes" / "seed0"
    report = json.loads((student / "student" / "report.json").read_text())
    assert plain["agreement"] == report["agreement"]
    ids = np.load(student / "store" / "train-ids.npy")
    assert len(ids) == (mnist.train.labels[:500] != 3).sum()

    folder = tmp_path / "work" / "no_threes_bias" / "seed0"
    network = load(folder / "student.keras")
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    logits = network.predict(images, verbose=0)
    assert fitted["errors"] == (logits.argmax(-1) != labels).sum()
    served = tf.saved_model.load(str(folder / "savedmodel")).signatures
    np.testing.assert_allclose(
        served["serving_default"](images=tf.constant(images))["logits"],
        logits,
        atol=1e-4,
    )
    # Over all digits, threes too, every tenth is believed to be a three.
    logits = network.predict(mnist.train.images[:500], verbose=0)
    threes = scipy.special.softmax(logits, axis=-1)[:, 3].mean()
    assert threes == pytest.approx(0.1, abs=1e-4)
    assert np.flatnonzero(fitted["shift"]).tolist() == [3]
    # What the test labels choose is no worse on them.
    assert chosen["errors"] <= plain["errors"]

    # Neither a line nor a run that is there is made again.
    monkeypatch.setattr(keras.Model, "fit", None)
    assert measure(make_lab(), *names) == lines
    results.write_text(json.dumps({**plain, "config_hash": "another"}) + "\n")
    assert measure(make_lab(), "no_threes") == [plain]
    assert results.read_text() == json.dumps(plain) + "\n"
    # Another configuration of the teacher is another experiment.
    results.write_text(json.dumps(plain) + "\n")
    quick(**{"teacher.epochs": 2})
    with pytest.raises(ValueError, match=r"epochs \(was 1, is 2\).*restart"):
        measure(make_lab(), "no_threes")
    monkeypatch.undo()
    quick(**{"teacher.epochs": 2})
    lab = make_lab()
    lab.forget([paper_lab.EXPERIMENTS[x] for x in ("teacher", "no_threes")])
    assert lab.lines == [] and folder.exists()
    assert not any(path.is_file() for path in student.rglob("*"))
    anew = measure(lab, "teacher", "no_threes")
    assert [line["epochs"] for line in anew] == [2, 2]
    assert anew[1]["config_hash"] != plain["config_hash"]


def test_early_stopping_is_the_beginning_of_the_longer_run(
    make_lab, quick, tmp_path
):
    quick(
        **{
            "data.validation_examples": 100,
            "transfer.fraction": 0.2,
            "student.epochs": 5,
            "baseline.optimizer.learning_rate": 0.1,
        }
    )
    longer, early = measure(
        make_lab(), "mnist_3_percent_labels", "mnist_3_percent_early"
    )
    curve = longer["validation_accuracies"]
    assert longer["epochs"] == len(curve) == 5
    assert longer["train_examples"] == early["train_examples"] == 80
    best = int(np.argmax(curve)) + 1
    # The rate makes it worse after the best epoch.
    assert best < 5 and early["epochs"] == best
    assert early["validation_accuracies"] == curve[:best]
    assert early["train_curve"] == longer["train_curve"][:best]
    run = make_lab().run_dir(paper_lab.EXPERIMENTS["mnist_3_percent_labels"], 0)
    assert longer["train_curve"] == [
        round(epoch["accuracy"], 5) for epoch in run.metrics()
    ]


def test_at_a_high_temperature_the_gradient_is_logit_matching_s(
    make_lab, quick
):
    (line,) = measure(make_lab(), "matching_T1000")
    assert line["gradient_gap"] < 5e-3
    assert 0 <= line["agreement_with_matching"] <= 1
    lab, t100 = make_lab(), paper_lab.EXPERIMENTS["matching_T100"]
    high, matching = (
        paper_lab._gradient(lab, x, 0)
        for x in (t100, paper_lab.EXPERIMENTS["matching"])
    )
    # The error is O(1 / T).
    gap = np.linalg.norm(high - matching) / np.linalg.norm(matching)
    assert gap > 5 * line["gradient_gap"]


def test_the_ensemble_is_the_mean_of_its_members(make_lab, quick, tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (120, 32, 32, 3)).astype("uint8")
    labels = generator.integers(0, 10, 120)

    def examples(part):
        return datasets.Examples(images[part], labels[part], num_classes=10)

    dataset = datasets.Dataset(
        "cifar10", examples(slice(80)), examples(slice(80, 120)), "here"
    )
    quick(
        "paper_cifar10",
        **{
            "teacher.widths": (4, 4, 4),
            "student.widths": (4, 4, 4),
            "student.epochs": 1,
        },
    )
    line, student = measure(
        make_lab(dataset), "ensemble_arithmetic_itself", "ensemble_arithmetic"
    )
    mean = np.mean(
        [
            scipy.special.softmax(
                load(
                    tmp_path / f"work/member/seed{seed}/teacher/teacher.keras"
                ).predict(images[80:], verbose=0),
                axis=-1,
            )
            for seed in (0, 1)
        ],
        axis=0,
    )
    assert student["test_examples"] == 40
    # The members have spoken once, for the students of all seeds.
    store = tmp_path / "work" / "ensemble_arithmetic" / "store"
    manifest = json.loads((store / "manifest.json").read_text())
    assert len(manifest["teacher"]["fingerprint"].split()) == 2
    assert line["members"] == 2
    assert line["errors"] == (mean.argmax(-1) != labels[80:]).sum()


def test_specialists_and_a_student_of_all_together(make_lab, quick, mnist):
    def part(examples, count, *, negative):
        images = examples.images[:count]
        return datasets.Examples(
            255 - images if negative else images, examples.labels[:count]
        )

    # Digits and their negatives stand for digits and clothes.
    twenty = datasets.join(
        [
            dataclasses.replace(
                mnist,
                train=part(mnist.train, 300, negative=negative),
                test=part(mnist.test, 150, negative=negative),
            )
            for negative in (False, True)
        ]
    )
    quick(
        "paper_twenty",
        **{
            "specialist.num_specialists": 2,
            "specialist.num_classes": 3,
            "specialist.epochs": 1,
            "specialist.batch_size": 16,
            "store.views": 2,
        },
    )
    lab = make_lab(twenty)
    student, together, generalist = measure(
        lab,
        "twenty_student_of_specialists",
        "twenty_specialists",
        "twenty_generalist",
    )
    assert [len(classes) for classes in together["class_sets"]] == [3, 3]
    rows = together["by_covering"]
    assert sum(row["examples"] for row in rows) == 300
    wrong = sum(row["examples"] - row["correct"] for row in rows)
    assert together["errors"] == wrong
    alone = sum(row["examples"] - row["generalist_correct"] for row in rows)
    assert generalist["errors"] == alone
    assert student["epochs"] == 2
    # It is the specialists together that the student has learned from.
    experiment = paper_lab.EXPERIMENTS["twenty_student_of_specialists"]
    run = lab.run_dir(paper_lab.EXPERIMENTS["twenty_specialists"], 0)
    teacher = ensemble.TeacherFiles([str(run.model_path)])
    # Its store lies beside the runs, for the students of all seeds.
    store = lab.workdir / experiment.name / "store" / "manifest.json"
    stored = json.loads(store.read_text())["teacher"]
    assert stored["fingerprint"] == teacher.record["fingerprint"]


def test_seeds_of_all_and_of_quick_runs(make_lab, tmp_path):
    member, mean = (
        paper_lab.EXPERIMENTS[name] for name in ("member", "ensemble_geometric")
    )
    lab = paper_lab.Lab(workdir=tmp_path, results=tmp_path / "results")
    assert list(lab.seeds(member)) == [0, 1, 2, 3, 4]
    assert list(lab.seeds(mean)) == [0, 1, 2]
    assert list(make_lab().seeds(member)) == [0]
    assert list(make_lab().seeds(mean)) == []
    specialists = paper_lab.EXPERIMENTS["cifar10_specialists"]
    assert list(lab.seeds(specialists)) == [0]
    assert list(make_lab().seeds(specialists)) == []


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("ensemble_geometric", True),
        ("twenty_student_of_specialists", True),
        # Each seed has other views.
        ("soft_hard", False),
        # Each seed has other pictures.
        ("cifar10_3_percent_soft_mixed", False),
    ],
)
def test_students_share_a_store_where_they_see_the_same(
    make_lab, monkeypatch, name, shared
):
    lab = make_lab()
    stores = {}
    monkeypatch.setattr(
        paper_lab.stages,
        "label",
        lambda config, *, workdir, **_: (workdir / "store", True),
    )
    monkeypatch.setattr(
        paper_lab.stages,
        "run",
        lambda config, **_: stores.update({config.seed: config.store.path}),
    )
    monkeypatch.setattr(lab, "teacher_path", lambda _: "")
    for seed in (0, 1):
        lab.trained(paper_lab.EXPERIMENTS[name], seed)
    path = str(lab.workdir / name / "store") if shared else "auto"
    assert stores == {0: path, 1: path}


def test_experiments_are_chosen_by_name_and_group():
    everything = paper_lab.choose(["all"])
    assert len(everything) == len(paper_lab.EXPERIMENTS)
    assert paper_lab.choose(["none"]) == []
    # In the order of the table, whatever that of the flag.
    names = [x.name for x in paper_lab.choose(["soft", "matching", "teacher"])]
    assert names[:2] == ["teacher", "soft"] and "matching_T100" in names
    with pytest.raises(ValueError, match="Did you mean 'no_threes'"):
        paper_lab.choose(["no_trees"])


def test_the_best_shift_by_hand():
    # Class 1 is right from a shift of 1, 2 and 3 on, class 0 up to 2.5.
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [2.5, 0.0]])
    labels = np.array([1, 1, 1, 0])
    shift = paper_lab.best_shift(logits, labels, (1,))
    # One error from just over 2 to 2.5, and from just over 3 on.
    np.testing.assert_allclose(shift, [0, 2.1])
    # None is needed where nothing is wrong.
    shift = paper_lab.best_shift(logits, np.zeros(4, int), (1,))
    np.testing.assert_allclose(shift, [0, 0])


# The document


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
    """The tables' rows by their second column, NAME."""
    rows = {}
    for text in path.read_text().splitlines():
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if text.startswith("|") and cells[1].startswith("`"):
            rows[cells[1].strip("`")] = cells
    return rows


def test_the_document_says_what_was_measured_and_what_was_not(tmp_path):
    threes = [0, 0, 0, 120, 0, 0, 0, 0, 0, 80]
    lines = [
        line("teacher", 0, 70),
        line("teacher", 1, 74, precision="mixed_bfloat16"),
        line("no_threes", 0, 200, errors_by_class=threes),
        line("sevens_eights", 0, 4700, errors_by_class=[470] * 10),
        line("soft", 0, 80, agreement=0.99),
        line("soft", 1, 80, agreement=0.98),
    ]
    path = paper_report.write(lines, tmp_path / "docs")
    rows = rows_of(path)
    assert rows.keys() >= {
        name for name, x in paper_lab.EXPERIMENTS.items() if x.group != "grid"
    }
    assert rows["teacher"][2:] == ["67", "72.0 ± 2.8", "", "2", "60"]
    # 72 ± 12.706 x 2.
    assert "- `teacher`: 46.6 to 97.4; the paper's 67 is in it." in (
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


def test_the_grid_s_claims_are_decided_by_its_figures(tmp_path):
    best = {"1": 300, "2.5": 250, "4": 250, "8": 300, "20": 310, "40": 310}
    spread = {t: [x - 2, x, x + 2] for t, x in best.items()}
    lines = grid_lines(spread, 30) + grid_lines(spread, 300)
    text = paper_report.write(lines, tmp_path).read_text()
    # (298 + 300 + 302) / 3; 12 degrees of freedom, variance 4: half is
    # 2.179 x sqrt(4 / 3).
    assert "| 30 units | 300.0 ± 2.5 | 250.0 ± 2.5 |" in text
    assert "Confirmed: they make -55.0 errors" in text
    assert "300 units: the paper finds T of 8 and more alike. Refuted" in text
    assert "800 units: not measured" in text
    assert "cell: 3. Mean" in text
    assert "![Errors by temperature](paper_grid.svg)" in text
    one = grid_lines({t: [x] for t, x in best.items()}, 800)
    text = paper_report.write(lines + one, tmp_path / "one").read_text()
    assert "800 units: undecided, with one seed" in text
    assert (
        "| 800 units | 300.0 | 250.0 |" in text and "cell: 1 to 3. Mean" in text
    )
    drawing = (tmp_path / "paper_grid.svg").read_bytes()
    paper_report.write(lines, tmp_path)
    assert (tmp_path / "paper_grid.svg").read_bytes() == drawing
    # One more half-interval by hand, of two cells of two.
    halves = paper_report.half_interval({1.0: [10, 12], 2.0: [20, 24]})
    np.testing.assert_allclose(
        list(halves.values()), [4.3027 * 2.5**0.5] * 2, rtol=1e-4
    )


def test_the_gain_that_is_kept_by_hand():
    share, low, high = paper_report.gain_kept([1000, 1040], 920, [930, 950])
    # Of 1020 - 920 errors, 1020 - 940 are kept.
    assert share == pytest.approx(0.8)
    # Variances of the means 400 and 100; their weights 0.002 and 0.01.
    quantile = scipy.stats.t.ppf(0.975, 0.0116**2 / (0.0016**2 + 0.01**2))
    np.testing.assert_allclose(
        [low, high], 0.8 + quantile * 0.0116**0.5 * np.array([-1, 1])
    )


def test_curves_and_subsets_in_the_document(tmp_path):
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
    path = paper_report.write(lines, tmp_path)
    row = rows_of(path)["mnist_3_percent_soft"]
    assert row[3:] == ["99.00% ± 0.00%", "92.00% ± 0.00%", "4 ± 0", "2"]
    text = path.read_text()
    assert "| train | 10.00% | 10.00% | 10.00% | 20.00% | 45.00% |" in text
    assert "| 55.00% | 65.00% | 85.00% |" in text


def test_specialists_by_coverage_in_the_document(tmp_path):
    counts = ((0, 1000, 900, 895), (2, 4000, 3000, 3100))
    keys = ("covering", "examples", "generalist_correct", "correct")
    rows = [dict(zip(keys, row)) for row in counts]
    lines = [line("cifar10_specialists", 0, 1005, by_covering=rows)]
    path = paper_report.write(lines, tmp_path)
    text = path.read_text()
    assert "| 0 | 1000 | 90.00% | 89.50% | -5 |" in text
    assert "| 2 | 4000 | 75.00% | 77.50% | +100 |" in text
    assert "| all | 5000 | 78.00% | 79.90% | +95 |" in text
    assert rows_of(path)["cifar10_student_of_specialists"][3] == "not measured"
