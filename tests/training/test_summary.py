"""The text that the train command prints."""

import pytest

from kd_keras.training import summary


def report(stage, **fields):
    return {
        "stage": stage,
        "parameters": 12345,
        "macs": 6789,
        "test_examples": 1000,
        "test_errors": 45,
        "seconds": 8.6,
        **fields,
    }


def text_of(reports):
    return summary.summary(
        reports, name="small", workdir="runs/small", savedmodels="models"
    )


def test_a_row_a_stage_and_the_student_as_the_example():
    reports = [
        report("teacher"),
        report("student", agreement=0.987, test_examples=0, test_errors=None),
        report("baseline"),
    ]
    text = text_of(reports)
    rows = [line.split() for line in text.splitlines()]
    assert ["teacher", "12,345", "6,789", "45", "of", "1,000", "-", "9"] in rows
    assert ["student", "12,345", "6,789", "-", "98.70%", "9"] in rows
    assert "tf.saved_model.load('models/small_student')" in text
    assert "images=uint8_images)['logits']" in text
    assert "tensorboard.main --logdir runs/small" in text
    of_features = text_of([report("student", outputs="features")])
    assert "images=uint8_images)['features']" in of_features


def test_a_teacher_that_was_given_has_a_row_with_its_errors():
    reports = [report("student", teacher_errors=1234, test_examples=10000)]
    rows = [line.split() for line in text_of(reports).splitlines()]
    row = ["teacher", "-", "-", "1,234", "of", "10,000", "-", "-"]
    assert rows.index(row) + 1 == rows.index(
        next(row for row in rows if row[:1] == ["student"])
    )
    trained = [report("teacher"), *reports]
    rows = [line.split() for line in text_of(trained).splitlines()]
    assert [row[0] for row in rows if row[:1] == ["teacher"]] == ["teacher"]


@pytest.mark.parametrize(
    "counts, p_value, said",
    [
        ((150, 90), 1.2e-4, "60 errors fewer than the baseline"),
        ((90, 150), 1.2e-4, "60 errors more than the baseline"),
        ((8, 7), 1.0, "1 error fewer than the baseline"),
        ((7, 7), 1.0, "as many errors as the baseline"),
    ],
)
def test_a_sentence_compares_student_and_baseline(counts, p_value, said):
    compared = {
        "only_right": counts[0],
        "only_other_right": counts[1],
        "p_value": p_value,
        "student": {"examples": 55000, "labelled": False},
        "baseline": {"examples": 1000, "labelled": True},
    }
    reports = [report("student", against_baseline=compared), report("baseline")]
    text = text_of(reports)
    beyond = "beyond chance" if p_value < 0.01 else "not beyond chance"
    assert (
        "The student (55,000 images without labels) makes "
        f"{said} (the same network, 1,000 images with labels): {beyond} "
        f"(McNemar's test, p = {p_value:.2g})."
    ) in text
    assert "McNemar" not in text_of([report("student")])
    compared["teacher"] = {"examples": 55000, "labelled": True}
    assert (
        "The student (55,000 images without labels; its teacher had 55,000 "
        f"images with labels) makes {said}"
    ) in text_of(reports)


def test_without_a_student_the_last_model_is_the_example():
    assert "models/small_teacher\n" in text_of([report("teacher")])
    one = report("specialist", model="small_specialist_1")
    assert "models/small_specialist_1\n" in text_of([one])


def test_accuracy_by_coverage_has_a_row_each_and_one_of_all():
    rows = [
        {"covering": k, "examples": n, "generalist_correct": a, "correct": b}
        for k, n, a, b in ((0, 1, 1, 0), (1, 1, 0, 1), (3, 2, 1, 2))
    ]
    sets = [[0, 1], [2, 3]]
    text = text_of(
        [report("specialist", class_sets=sets, by_coverage={"test": rows})]
    )
    assert f"specialists of classes {sets}" in text
    cells = [line.split() for line in text.splitlines()]
    assert ["3", "2", "50.00%", "100.00%", "+1"] in cells
    assert ["all", "4", "50.00%", "75.00%", "+1"] in cells
