"""Refusals of a run, before anything is written."""

import pytest
from stage_runs import export_dummy_teacher, small_config

from kd_keras.training import prepare, runs


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"distill.temperature": 0.0},
            "distill.temperature must be from 0.001",
        ),
        ({"student.optimizer.warmup_epochs": 3.0}, "at most student.epochs=2"),
        ({"data.augment.translate": 28}, "translate must be at most 27"),
        ({"data.augment.cutout": 29}, "cutout must be at most 28 for"),
        ({"student.batch_size": 401}, "Received: 401 of 400"),
        ({"student.model": "resnet9"}, "Did you mean"),
        ({"data.validation_examples": 500}, "Received: 500 of 500"),
        ({"teacher.path": "nowhere"}, "kd-keras train --stage=teacher first"),
        ({"teacher.weights": (1.0, 2.0)}, "for each teacher.*for 1"),
        ({"transfer.omit_classes": (10,)}, "0 to 9. Received: 10"),
        ({"transfer.fraction": 0.1}, "Received: 64 of 40"),
        ({"store.path": "nowhere"}, "must be a logit store"),
        ({"store.path": "auto", "store.top_k": 10}, "Received: 10 of 10"),
        # No store is written for a student that cannot be built.
        ({"store.path": "auto", "student.model": "resnet9"}, "Did you mean"),
    ],
)
def test_invalid_fields_are_refused_before_anything_is_written(
    run, tmp_path, fields, message
):
    if "teacher.path" not in fields:
        export_dummy_teacher(tmp_path / "models" / "small_teacher")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        run("student", config=small_config(**fields))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("stages", "fields", "message"),
    [
        (["teacher"], {"teacher.model": "nope"}, "Received: 'nope'"),
        (
            ["teacher", "student", "baseline"],
            {"baseline.optimizer.warmup_epochs": 3.0},
            "at most student.epochs=2",
        ),
        (["student"], {}, "small_teacher, which does not exist"),
        (["specialist"], {}, "small_teacher, which does not exist"),
        # The path is used although a teacher is trained, too.
        (
            ["teacher", "student"],
            {"teacher.path": "nowhere"},
            "nowhere, which does not exist",
        ),
        (["student"], {"distill.loss": "binary_kl"}, "needs teacher.path"),
        (
            ["teacher", "student"],
            {"student.weights": "none.keras"},
            "student.weights must be a file of weights.*none.keras",
        ),
        (["baseline"], {"student.weights": __file__}, "must be a .keras file"),
        (
            ["student"],
            {
                "student.from_teacher": True,
                "teacher.path": "savedmodels/mnist_teacher,a.keras",
            },
            "must be one teacher. Received: .*,a.keras",
        ),
        (["student"], {"store.path": "none"}, "store.path must be.*none"),
        (["teacher"], {"teacher.backbone": "none"}, "backbone.*none"),
        (
            ["teacher"],
            {
                "teacher.backbone": "keras_applications:MobileNetV2",
                "store.path": "none",
            },
            "store.path must be.*none",
        ),
    ],
)
def test_mistakes_of_the_configuration_are_found_without_the_data(
    run, monkeypatch, stages, fields, message
):
    refuse_to_read(monkeypatch)
    with pytest.raises(ValueError, match=message):
        run(*stages, config=small_config(**fields), dataset=None)


@pytest.mark.parametrize("path", ["models/small_teacher", "work/teacher/t.h5"])
def test_weights_that_an_earlier_stage_writes_need_not_exist_yet(
    run, monkeypatch, path
):
    refuse_to_read(monkeypatch)
    config = small_config(**{"student.weights": path})
    with pytest.raises(AssertionError, match="the data were read"):
        run("teacher", "student", config=config, dataset=None)
    with pytest.raises(ValueError, match="student.weights must be"):
        run("baseline", config=config, dataset=None)


@pytest.mark.parametrize(
    ("name", "field", "path"),
    [
        ("baseline", "student.weights", "work/baseline/baseline.keras"),
        ("student", "teacher.path", "models/small_student"),
        ("baseline", "student.weights", "models/small_baseline"),
        ("teacher", "teacher.backbone", "models/small_teacher"),
        ("specialist", "teacher.path", "models/small_specialist_1"),
    ],
)
def test_a_stage_does_not_replace_a_model_that_it_reads(
    run, tmp_path, name, field, path
):
    path = tmp_path / path
    if path.suffix:
        path.parent.mkdir(parents=True)
        path.touch()
    else:
        export_dummy_teacher(path)
    before = sorted(tmp_path.rglob("*"))
    config = small_config(**{field: str(path)})
    with pytest.raises(ValueError, match=f"replace.*{field}={path}, where"):
        run(name, config=config, restart=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_of_another_kind_is_refused_without_the_data(
    monkeypatch, tmp_path
):
    refuse_to_read(monkeypatch)
    with pytest.raises(ValueError, match=r"suffix of --from.*'\.csv'"):
        runs.label(
            small_config(),
            workdir=tmp_path / "work",
            savedmodels=tmp_path,
            predictions="p.csv",
        )


def refuse_to_read(monkeypatch):
    def load_dataset(fields):
        raise AssertionError("the data were read")

    monkeypatch.setattr(prepare.sources, "load_dataset", load_dataset)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"shape": (32, 32, 3)}, r"teacher \(32, 32, 3\), data \(28, 28, 1\)"),
        ({"classes": 7}, "teacher 7, data 10"),
    ],
)
def test_a_teacher_that_does_not_fit_the_data_is_refused(
    run, tmp_path, teacher, message
):
    export_dummy_teacher(tmp_path / "models" / "small_teacher", **teacher)
    with pytest.raises(ValueError, match=message):
        run("student")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"student.model": "resnet9"},
        {"student.model": "os:system"},
        {"store.path": "auto", "store.top_k": 10},
    ],
)
def test_a_student_is_refused_before_its_teacher_is_trained(
    run, tmp_path, fields
):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="model|top_k"):
        run("teacher", "student", config=small_config(**fields))
    assert sorted(tmp_path.rglob("*")) == before
