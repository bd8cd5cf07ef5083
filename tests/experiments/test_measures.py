"""Measures of the paper's experiments, on tiny runs."""

import dataclasses
import json

import numpy as np
import paper_lab
import pytest
import scipy.special
import tensorflow as tf
from stage_runs import export_dummy_teacher

from experiments.paper import catalogue
from experiments.paper.measures import class_bias, logit_matching
from kd_keras.data import datasets, joining
from kd_keras.teachers import ensemble
from kd_keras.training import devices, teacher_measure


@pytest.mark.slow
def test_biases_are_fitted_to_the_training_images(
    make_lab, quick, mnist, tmp_path, monkeypatch
):
    teacher = tmp_path / "teacher"
    export_dummy_teacher(teacher)
    lab = make_lab()
    monkeypatch.setattr(lab, "teacher_path", lambda _: str(teacher))
    names = ("no_threes", "no_threes_bias", "no_threes_bias_on_test")
    lines = paper_lab.measure(lab, *names)
    for line in lines:
        assert sum(line["errors_by_class"]) == line["errors"]
    plain, fitted, chosen = lines
    assert plain["precision"] == devices.resolve_precision("auto")
    # No three in the transfer set: 46 of the first 500 digits are threes.
    student = tmp_path / "work" / "no_threes" / "seed0"
    report = json.loads((student / "student" / "report.json").read_text())
    assert plain["agreement"] == report["agreement"]
    ids = np.load(student / "store" / "train-ids.npy")
    assert len(ids) == (mnist.train.labels[:500] != 3).sum()

    folder = tmp_path / "work" / "no_threes_bias" / "seed0"
    network = paper_lab.load(folder / "student.keras")
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    logits = network.predict(images, verbose=0)
    assert fitted["errors"] == (logits.argmax(-1) != labels).sum()
    served = tf.saved_model.load(str(folder / "savedmodel")).signatures
    np.testing.assert_allclose(
        served["serving_default"](images=tf.constant(images))["logits"],
        logits,
        atol=1e-4,
    )
    # Over all digits, threes included, the mean prediction of a three is 1/10.
    logits = network.predict(mnist.train.images[:500], verbose=0)
    threes = scipy.special.softmax(logits, axis=-1)[:, 3].mean()
    assert threes == pytest.approx(0.1, abs=1e-4)
    assert np.flatnonzero(fitted["shift"]).tolist() == [3]
    # A shift chosen by the test labels is no worse on them.
    assert chosen["errors"] <= plain["errors"]


@pytest.mark.slow
def test_early_stopping_equals_the_beginning_of_the_longer_run(
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
    longer, early = paper_lab.measure(
        make_lab(), "mnist_3_percent_labels", "mnist_3_percent_early"
    )
    curve = longer["validation_accuracies"]
    assert longer["epochs"] == len(curve) == 5
    assert longer["train_examples"] == early["train_examples"] == 80
    best = int(np.argmax(curve)) + 1
    # The high learning rate makes later epochs worse.
    assert best < 5 and early["epochs"] == best
    assert early["validation_accuracies"] == curve[:best]
    assert early["train_curve"] == longer["train_curve"][:best]
    run = make_lab().run_dir(catalogue.EXPERIMENTS["mnist_3_percent_labels"], 0)
    assert longer["train_curve"] == [
        round(epoch["accuracy"], 5) for epoch in run.metrics()
    ]


@pytest.mark.slow
def test_high_temperature_gradients_tend_to_logit_matching(make_lab, quick):
    (line,) = paper_lab.measure(make_lab(), "matching_T1000")
    assert line["gradient_gap"] < 5e-3
    assert 0 <= line["agreement_with_matching"] <= 1
    lab, t100 = make_lab(), catalogue.EXPERIMENTS["matching_T100"]
    high, matching = (
        logit_matching.loss_gradient(lab, x, 0)
        for x in (t100, catalogue.EXPERIMENTS["matching"])
    )
    # The error is O(1 / T).
    gap = np.linalg.norm(high - matching) / np.linalg.norm(matching)
    assert gap > 5 * line["gradient_gap"]


@pytest.mark.slow
def test_the_ensemble_is_the_mean_of_its_members(
    make_lab, quick, tmp_path, monkeypatch
):
    # Teachers of noise are no better than chance.
    monkeypatch.setattr(teacher_measure, "check", lambda answers, parts: None)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (120, 32, 32, 3)).astype("uint8")
    labels = generator.integers(0, 10, 120)

    def examples(part):
        return datasets.Examples(images[part], labels[part], num_classes=10)

    dataset = datasets.Dataset(
        "cifar10", examples(slice(80)), examples(slice(80, 120)), "generated"
    )
    quick(
        "paper_cifar10",
        **{
            "teacher.model": "mlp",
            "teacher.widths": (8,),
            "student.model": "mlp",
            "student.widths": (8,),
            "student.epochs": 1,
            "teacher.optimizer.warmup_epochs": 0.5,
            "student.optimizer.warmup_epochs": 0.5,
        },
    )
    line, student = paper_lab.measure(
        make_lab(dataset), "ensemble_arithmetic_itself", "ensemble_arithmetic"
    )
    mean = np.mean(
        [
            scipy.special.softmax(
                paper_lab.load(
                    tmp_path / f"work/member/seed{seed}/teacher/teacher.keras"
                ).predict(images[80:], verbose=0),
                axis=-1,
            )
            for seed in (0, 1)
        ],
        axis=0,
    )
    assert student["test_examples"] == 40
    # One store of the members' mean, for the students of all seeds.
    store = tmp_path / "work" / "ensemble_arithmetic" / "store"
    manifest = json.loads((store / "manifest.json").read_text())
    assert len(manifest["teacher"]["fingerprint"].split()) == 2
    assert line["members"] == 2
    assert line["errors"] == (mean.argmax(-1) != labels[80:]).sum()


@pytest.mark.slow
def test_specialists_and_a_student_of_all_together(make_lab, quick, mnist):
    def part(examples, count, *, negative):
        images = examples.images[:count]
        return datasets.Examples(
            255 - images if negative else images, examples.labels[:count]
        )

    # Digits and their negatives stand for digits and clothes.
    twenty = joining.join(
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
            "teacher.model": "mlp",
            "student.model": "mlp",
            "specialist.num_specialists": 2,
            "specialist.num_classes": 3,
            "specialist.epochs": 1,
            "specialist.batch_size": 16,
            "store.views": 2,
        },
    )
    lab = make_lab(twenty)
    student, together, generalist = paper_lab.measure(
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
    experiment = catalogue.EXPERIMENTS["twenty_student_of_specialists"]
    run = lab.run_dir(catalogue.EXPERIMENTS["twenty_specialists"], 0)
    teacher = ensemble.TeacherFiles([str(run.model_path)])
    # The student learned from all together, by a store for all seeds.
    store = lab.workdir / experiment.name / "store" / "manifest.json"
    stored = json.loads(store.read_text())["teacher"]
    assert stored["fingerprint"] == teacher.record["fingerprint"]


def test_best_shift():
    # Examples of class 1 are right above a shift of 1, 2 and 3; the example
    # of class 0 is right below 2.5.
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [2.5, 0.0]])
    labels = np.array([1, 1, 1, 0])
    shift = class_bias.best_shift(logits, labels, (1,))
    # One error between 2 and 2.5, and above 3; the smallest is taken.
    np.testing.assert_allclose(shift, [0, 2.1])
    # No shift where nothing is wrong.
    shift = class_bias.best_shift(logits, np.zeros(4, int), (1,))
    np.testing.assert_allclose(shift, [0, 0])
