"""What a stage's result depends on, and the table of stages."""

import pytest
from stage_runs import small_config

from kd_keras import config as config_lib
from kd_keras.training import stages
from kd_keras.training.stages import base, student, teacher


def test_stages_depend_on_their_own_augmentation_alone():
    config = small_config().copy_and_resolve_references()
    fields = teacher.TeacherStage.depends_on(config)
    assert not any(field.startswith("data.augment") for field in fields)
    fields = student.StudentStage.depends_on(config)
    assert fields["data.augment.translate"] == 1
    assert not any(field.startswith("teacher.augment") for field in fields)


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
