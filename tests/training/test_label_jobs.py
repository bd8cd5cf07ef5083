"""A store that is written at once, or task by task."""

import numpy as np
import pytest
import stores
from stage_runs import export_dummy_teacher, store_config

from kd_keras.training import label_jobs, teacher_files


@pytest.fixture(params=["a teacher", "predictions"])
def opened(request, small_mnist, tmp_path):
    """Opens the job of a store: function of the name of its directory."""
    fields = {"store.shard_views": 500, "data.augment.translate": 0}
    predictions = ""
    if request.param == "a teacher":
        fields["teacher.path"] = str(tmp_path / "teacher")
        export_dummy_teacher(tmp_path / "teacher")
    else:
        fields["data.augment.mirror"] = "none"
        predictions = tmp_path / "file.npz"
        logits = np.random.default_rng(0).normal(size=(500, 10))
        np.savez(
            predictions,
            ids=small_mnist.train.ids,
            logits=logits,
            test_ids=small_mnist.test.ids,
            test_logits=logits[:300],
        )

    def opened(name, **others):
        return label_jobs.opened(
            store_config(**fields, **others),
            workdir=tmp_path / name,
            savedmodels=tmp_path / "none",
            dataset=small_mnist,
            predictions=predictions,
        )

    return opened


@pytest.mark.slow
def test_each_task_alone_writes_the_store_of_one_process(
    opened, monkeypatch, tmp_path
):
    with opened("one") as job:
        assert job.write()
        # Training, validation and test images.
        assert job.num_tasks == 3
    measured = []
    check = teacher_files.teacher_measure.check
    monkeypatch.setattr(
        teacher_files.teacher_measure,
        "check",
        lambda *args: measured.append(1) or check(*args),
    )
    for number, left in ((2, 2), (0, 1), (1, 0), (1, 0)):
        with opened("many") as job:
            job.run(number)
            assert job.finish() == left
    written = [
        stores.contents(tmp_path / name / "store") for name in ("one", "many")
    ]
    assert written[0] == written[1]
    # Only the process that began the store measured its teacher.
    assert len(measured) <= 1


def test_a_task_that_does_not_exist_is_refused(opened, tmp_path):
    with opened("work") as job:
        with pytest.raises(ValueError, match="to 2, .*Received: 3"):
            job.run(3)
        assert not job.path.exists()


@pytest.mark.parametrize("mixing", ["data.mixup", "data.cutmix"])
def test_views_of_two_images_share_no_prediction(opened, tmp_path, mixing):
    shared = {"store.path": "", "store.share_views": True, mixing: 0.5}
    with (
        pytest.raises(ValueError, match=f"share_views needs .*{mixing}=0.5"),
        opened("work", **shared),
    ):
        raise AssertionError("a job was made")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("opened", ["a teacher"], indirect=True)
def test_a_teacher_is_loaded_ahead_of_its_tasks_unless_none_is_left(
    opened, monkeypatch
):
    loaded = []
    load = teacher_files.load
    monkeypatch.setattr(
        teacher_files,
        "load",
        lambda *args, **fields: loaded.append(fields) or load(*args, **fields),
    )
    with opened("work") as job:
        job.load()
        # The process that begins the store measures the teacher.
        assert loaded == [{"measured": True}]
        assert job.write()
        assert len(loaded) == 1
    with opened("work") as job:
        job.load()
    assert len(loaded) == 1
