"""Students that start from channels of their teacher."""

import logging

import numpy as np
import pytest
from stage_runs import (
    Interrupted,
    export_dummy_teacher,
    interrupt_after_epochs,
    same_bits,
    small_config,
)

from kd_keras.models import channel_pruning
from kd_keras.training import prepare
from kd_keras.training.stages import stage_class


def narrow_config(**overrides):
    """A student of the teacher's layers, with fewer filters."""
    return small_config(
        **{
            "student.from_teacher": True,
            "student.model": "cnn",
            "student.widths": (3, 6),
            "data.max_train_examples": 256,
            **overrides,
        }
    )


def make_stage(config, dataset, path, name="student"):
    context = prepare.prepare(
        config,
        workdir=path / "work",
        savedmodels=path / "models",
        dataset=dataset,
    )
    return stage_class(name)(context)


@pytest.mark.slow
@pytest.mark.usefixtures("taught")
def test_it_starts_near_a_teacher_that_was_exported(
    small_mnist, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    stage = make_stage(narrow_config(), small_mnist, tmp_path)
    network = stage.build(10)
    before = network.get_weights()
    stage.initialise(network, 10)
    assert not np.array_equal(before[0], network.get_weights()[0])
    (line,) = [x for x in caplog.messages if "the same answer for" in x]
    assert float(line.split("for ")[1].split(" %")[0]) > 60


@pytest.mark.slow
@pytest.mark.usefixtures("taught")
def test_it_is_the_same_from_a_file_of_layers(
    small_mnist, tmp_path, trained_teacher
):
    path = trained_teacher.parent / "work/teacher/teacher.keras"
    found = []
    for fields in ({}, {"teacher.path": str(path)}):
        stage = make_stage(narrow_config(**fields), small_mnist, tmp_path)
        network = stage.build(10)
        stage.initialise(network, 10)
        found.append(network.get_weights())
    for a, b in zip(*found):
        # The constants of the input are those of other images.
        np.testing.assert_allclose(a, b, atol=0.01)


@pytest.mark.usefixtures("taught")
def test_others_start_as_ever(small_mnist, tmp_path):
    for name, config in (
        ("student", narrow_config(**{"student.from_teacher": False})),
        ("baseline", narrow_config()),
    ):
        stage = make_stage(config, small_mnist, tmp_path, name)
        network = stage.build(10)
        before = network.get_weights()
        stage.initialise(network, 10)
        for a, b in zip(before, network.get_weights()):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("taught")
def test_the_record_has_the_teachers_weights(small_mnist, tmp_path):
    records = [
        make_stage(
            narrow_config(**{"student.from_teacher": start}),
            small_mnist,
            tmp_path,
            name,
        ).find_depends_on()
        for name, start in (
            ("student", True),
            ("student", False),
            ("baseline", True),
            ("baseline", False),
        )
    ]
    assert len(records[0].pop("student.from_teacher")) == 64
    # Without an entry, like the records of earlier versions.
    assert records[0] == records[1]
    assert records[2] == records[3]


@pytest.mark.slow
@pytest.mark.usefixtures("taught")
def test_a_resumed_run_equals_an_uninterrupted_one(run, tmp_path, monkeypatch):
    starts = []
    start = channel_pruning.start_from_teacher
    monkeypatch.setattr(
        channel_pruning,
        "start_from_teacher",
        lambda *args: starts.append(args) or start(*args),
    )
    run("student", config=narrow_config(), workdir="whole")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_after_epochs(patch, 1)
        run("student", config=narrow_config(), workdir="resumed")
    assert len(starts) == 2
    run("student", config=narrow_config(), workdir="resumed")
    # Not fitted again.
    assert len(starts) == 2
    whole = tmp_path / "whole/student/student.keras"
    assert same_bits(whole, tmp_path / "resumed/student/student.keras")
    card = (tmp_path / "models/small_student/model_card.md").read_text()
    assert "started from channels of the teacher" in card


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"student.widths": (6, 12)}, "not have more channels.* 6, for 4"),
        ({"student.widths": (3,)}, "teacher's layers.* of 7 .* of 11"),
        ({"teacher.widths": (5, 8)}, "teacher.widths=.5, 8.. Received"),
        ({"student.weights": "x.keras"}, "weights must be empty with"),
        ({"teacher.preprocess": "0-1"}, "preprocess must be none with"),
        ({"teacher.classes": "1,2"}, "classes must be empty with"),
    ],
)
@pytest.mark.usefixtures("taught")
def test_a_student_that_cannot_start_so_is_refused(
    run, tmp_path, fields, message
):
    config = narrow_config(**{"store.path": "auto", **fields})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        run("student", config=config)
    # No store is written for it either.
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_teacher_of_other_layers_is_refused(run, tmp_path):
    export_dummy_teacher(tmp_path / "models" / "small_teacher")
    with pytest.raises(ValueError, match="for student.from_teacher, must"):
        run("student", config=narrow_config())
