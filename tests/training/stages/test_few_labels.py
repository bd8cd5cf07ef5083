"""Stages where only some training examples have labels."""

import json

import numpy as np
import pytest
from stage_runs import small_config

from kd_keras.training import prepare
from kd_keras.training.stages import base, stage_class


def few(**overrides):
    return small_config(
        **{
            "data.labels_per_class": 12,
            "teacher.model": "mlp",
            "teacher.widths": (16,),
            "student.model": "mlp",
            "student.widths": (16,),
            "teacher.epochs": 1,
            "student.epochs": 1,
            **overrides,
        }
    )


def stages_of(config, dataset, path):
    context = prepare.prepare(
        config, workdir=path, savedmodels=path, dataset=dataset
    )
    return {
        name: stage_class(name)(context)
        for name in ("teacher", "student", "baseline", "specialist")
    }


def test_all_stages_but_the_student_learn_from_the_same_labels(
    small_mnist, tmp_path
):
    stages = stages_of(few(), small_mnist, tmp_path)
    student = stages.pop("student")
    counts = [np.bincount(s.train.labels).tolist() for s in stages.values()]
    assert counts == [[12] * 10] * 3
    assert len({stage.train.fingerprint for stage in stages.values()}) == 1
    assert len(student.train) == 400 and student.train.labels is None
    for stage in (student, *stages.values()):
        assert stage.parts["validation"].labelled
        assert stage.train.num_classes == 10


def test_the_baseline_alone_may_have_few_labels(small_mnist, tmp_path):
    given = {"data.labels_per_class": 0, "baseline.labels_per_class": 6}
    config = few(**given, **{"baseline.labelled_passes": 5})
    stages = stages_of(config, small_mnist, tmp_path)
    counts = {name: len(stage.train) for name, stage in stages.items()}
    assert counts.pop("baseline") == 60
    assert set(counts.values()) == {400}
    passes = {name: stage.passes for name, stage in stages.items()}
    assert passes.pop("baseline") == 5
    assert set(passes.values()) == {1}
    # It chooses the same images as if all stages had few labels.
    same = few(**{"data.labels_per_class": 6})
    all_few = stages_of(same, small_mnist, tmp_path)["baseline"]
    assert stages["baseline"].train.ids.tolist() == all_few.train.ids.tolist()
    # The records of the other stages stay the same.
    without = few(**{"data.labels_per_class": 0})
    for name, stage in stages_of(without, small_mnist, tmp_path).items():
        records = [
            {**x.depends_on(x.config), **base.Stage.find_inputs(x)}
            for x in (stage, stages[name])
        ]
        assert (records[0] == records[1]) is (name != "baseline")


def test_few_labels_of_all_are_those_of_the_baseline(small_mnist, tmp_path):
    config = few(**{"baseline.labels_per_class": 6})
    stages = stages_of(config, small_mnist, tmp_path)
    assert len(stages["baseline"].train) == len(stages["teacher"].train) == 120


@pytest.mark.slow
def test_a_run_with_few_labels_says_so(run, tmp_path):
    run("teacher", "student", config=few())
    cards = {
        name: (tmp_path / f"models/small_{name}/model_card.md").read_text()
        for name in ("teacher", "student")
    }
    assert "120 training examples (12 of each class)" in cards["teacher"]
    assert "400 training examples without labels" in cards["student"]
    for name, labelled in [("teacher", True), ("student", False)]:
        record = json.loads((tmp_path / f"work/{name}/config.json").read_text())
        assert record["depends_on"]["data.labels_per_class"] == 12
        assert bool(record["depends_on"]["data.train.labels"]) is labelled


def test_a_list_is_known_by_its_examples(small_mnist, tmp_path):
    records = []
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, small_mnist.train.ids[:50])
        config = few(
            **{"data.labels_per_class": 0, "data.validation_examples": 0}
        )
        config.data.labelled_ids = str(tmp_path / name)
        stage = stages_of(config, small_mnist, tmp_path)["teacher"]
        assert len(stage.train) == 50
        records.append(stage.find_depends_on())
    assert records[0] == records[1]


def test_a_hard_loss_is_refused_with_few_labels(small_mnist, tmp_path):
    config = few(**{"distill.hard_loss_weight": 0.1})
    with pytest.raises(ValueError, match="hard_loss_weight must be 0 with"):
        stages_of(config, small_mnist, tmp_path)


@pytest.mark.slow
def test_an_epoch_of_several_passes_shows_a_view_in_each(small_mnist, tmp_path):
    config = few(**{"data.labelled_passes": 3, "student.epochs": 2})
    stages = stages_of(config, small_mnist, tmp_path)
    # 120 labelled images and 400 in batches of 64.
    steps = {name: stage.steps_per_epoch for name, stage in stages.items()}
    assert (steps["teacher"], steps["baseline"], steps["student"]) == (6, 6, 7)
    baseline = stages["baseline"]
    images, labels = zip(*baseline.training_batches(0, 0))
    assert len(images) == 12
    for first in range(0, 12, 2):
        shown = np.concatenate(labels[first : first + 2])
        assert np.bincount(shown).tolist() == [12] * 10
    views = [
        {view.tobytes() for view in np.concatenate(images[i : i + 2])}
        for i in range(0, 12, 2)
    ]
    # Shifts of a pixel: some of the nine are drawn again.
    assert len(set.union(*views)) > 3 * 120
    assert baseline.view_of(1) == 3
    # A resumed training sees the remaining batches.
    rest = [batch for batch, _ in baseline.training_batches(1, 3)]
    assert len(rest) == 3
    np.testing.assert_array_equal(rest[0], images[9])
    # With all labels a pass is an epoch.
    config.data.labels_per_class = 0
    assert stages_of(config, small_mnist, tmp_path)["teacher"].passes == 1
