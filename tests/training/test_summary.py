"""The text that the train command prints."""

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
