"""The record of what a stage depends on, and the table of stages."""

import dataclasses
import types

import pytest
from example_sets import numbered
from stage_runs import small_config

from kd_keras import config as config_lib
from kd_keras.data.augmentation import ViewSpec, table
from kd_keras.teachers.options import TeacherOptions
from kd_keras.training import stages
from kd_keras.training.stages import base, student, teacher


def test_stages_depend_on_their_own_augmentation_alone():
    config = small_config().copy_and_resolve_references()
    fields = teacher.TeacherStage.depends_on(config)
    assert not any(field.startswith("data.augment") for field in fields)
    fields = student.StudentStage.depends_on(config)
    assert fields["data.augment.translate"] == 1
    assert not any(field.startswith("teacher.augment") for field in fields)


def test_only_students_depend_on_how_a_teacher_is_read():
    config = small_config().copy_and_resolve_references()
    of_teacher = teacher.TeacherStage.depends_on(config)
    of_student = student.StudentStage.depends_on(config)
    names = {field.name for field in dataclasses.fields(TeacherOptions)}
    # Inner features have fields of their own. The size is also the network's.
    for name in names - {"features", "image_size"}:
        assert f"teacher.{name}" not in of_teacher
        assert f"teacher.{name}" in of_student


def test_a_run_depends_on_the_versions_of_its_augmentations(monkeypatch):
    def inputs(**fields):
        stage = types.SimpleNamespace(
            config=None,
            depends_on=lambda config: {},
            parts={"train": numbered(9)},
            view_spec=ViewSpec(**fields),
        )
        return base.Stage.find_inputs(stage)

    # Without an entry, like the records of earlier versions.
    assert "augmentations" not in inputs(translate=1, mixup=0.5)
    was = inputs(erasing=0.5)
    assert was["augmentations"] == ["erasing 1"]
    newer = dataclasses.replace(table.ALL["erasing"], version=2)
    monkeypatch.setitem(table.ALL, "erasing", newer)
    assert config_lib.differing(was, inputs(erasing=0.5)) == [
        "augmentations (was ['erasing 1'], is ['erasing 2'])"
    ]


def test_a_field_of_muon_alone_is_no_part_of_other_results():
    config = config_lib.default_config()
    field = "teacher.optimizer.kernel_learning_rate"
    assert field not in teacher.TeacherStage.depends_on(config)
    config.teacher.optimizer.name = "muon"
    assert teacher.TeacherStage.depends_on(config)[field] == 0.1


@pytest.mark.parametrize("name", stages.STAGES)
def test_every_stage_of_the_table_is_complete(name):
    stage = stages.stage_class(name)
    assert issubclass(stage, base.Stage)
    assert not stage.__abstractmethods__
    config = config_lib.default_config()
    assert stage.name == name
    assert {"model", "widths"} <= set(config[stage.role])
    assert {"epochs", "batch_size"} <= set(config[stage.section])
    assert "optimizer" in config[name]
    depends_on = stage.depends_on(config)
    assert depends_on["seed"] == 0 and "checkpoint_minutes" not in depends_on
