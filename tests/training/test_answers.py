"""The student's teacher: live, or from a store."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from stage_runs import (
    Interrupted,
    export_dummy_teacher,
    interrupt_after_batches,
    read_metrics,
    same_bits,
    save_every_minute,
    small_config,
    store_config,
    weights_of,
)

from kd_keras.data import datasets
from kd_keras.deployment import saved_model
from kd_keras.teachers import loading
from kd_keras.teachers.teacher import Teacher
from kd_keras.training import checkpoints, runs
from kd_keras.utils import locks


@pytest.fixture
def teacher(tmp_path):
    """Exports a teacher to where the student's stage looks for it."""
    export_dummy_teacher(tmp_path / "models" / "small_teacher")


def export_random_teacher(path):
    """Exports a teacher of the dummy's layers with other weights."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(10)]
    network = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    saved_model.export_saved_model(network, path)


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    """Directory of a student that has written a store and learned from it."""
    folder = tmp_path_factory.mktemp("finished")
    export_dummy_teacher(folder / "models" / "small_teacher")
    runs.run(
        store_config(),
        stages=["student"],
        workdir=folder / "work",
        savedmodels=folder / "models",
        dataset=small_mnist,
    )
    return folder


@pytest.fixture
def no_teacher_loaded(monkeypatch):
    def load(path, **options):
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(loading, "load_teacher", load)


@pytest.mark.slow
def test_a_shard_that_another_process_labels_is_refused_at_once(
    tmp_path, small_mnist, teacher, no_teacher_loaded
):
    path = tmp_path / "work" / "store"
    with (
        locks.holding(path, part="0-of-1"),
        pytest.raises(ValueError, match="store must be used by one process"),
    ):
        runs.label(
            store_config(),
            workdir=tmp_path / "work",
            savedmodels=tmp_path / "models",
            dataset=small_mnist,
        )
    assert not path.exists()


@pytest.mark.slow
def test_a_store_and_the_live_teacher_give_the_same_student(
    run, tmp_path, small_mnist, monkeypatch, request, teacher
):
    live = store_config("", **{"student.epochs": 2, "data.mixup": 0.3})
    config = store_config(**{"student.epochs": 2, "data.mixup": 0.3})
    (expected,) = run("student", config=live, workdir="live")
    path, finished = runs.label(
        config,
        workdir=tmp_path / "stored",
        savedmodels=tmp_path / "models",
        dataset=small_mnist,
    )
    assert finished and path == tmp_path / "stored" / "store"
    request.getfixturevalue("no_teacher_loaded")
    # `auto` finds it.
    (found,) = run("student", config=config, workdir="stored")
    for of_live, of_store in zip(
        *(
            weights_of(tmp_path / name / "student" / "student.keras")
            for name in ("live", "stored")
        )
    ):
        np.testing.assert_allclose(of_store, of_live, atol=1e-5)
    for key in ("test_errors", "agreement"):
        assert found[key] == pytest.approx(expected[key])
    lines = [
        read_metrics(tmp_path / name / "student" / "metrics.jsonl")[-1]
        for name in ("live", "stored")
    ]
    assert lines[0].keys() == lines[1].keys()
    for key in ("loss", "val_loss", "val_agreement", "val_accuracy"):
        assert lines[1][key] == pytest.approx(lines[0][key], rel=1e-4), key


@pytest.mark.slow
def test_auto_writes_a_store_first_and_uses_it_again(run, tmp_path, finished):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    store_dir = tmp_path / "work" / "store"
    shard = next(store_dir.glob("train-0*.npy"))
    assert np.load(shard).shape == (2, 400, 10)
    written = shard.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "work" / "student")
    run("student", config=store_config())
    assert shard.stat().st_mtime_ns == written
    # Another configuration of the stage is still refused.
    with pytest.raises(ValueError, match=r"store\.views \(was 2, is 3\)"):
        run("student", config=store_config(**{"store.views": 3}))
    with pytest.raises(ValueError, match=r"distill\.temperature \(was"):
        run("student", config=store_config(**{"distill.temperature": 2.0}))


@pytest.mark.slow
def test_the_store_of_a_transfer_set_holds_no_other_examples(
    run, tmp_path, teacher
):
    options = {
        "transfer.only_classes": (7, 8),
        "student.batch_size": 16,
        "student.epochs": 2,
    }
    run("student", config=store_config("", **options), workdir="live")
    run("student", config=store_config(**options))
    ids = np.load(tmp_path / "work" / "store" / "train-ids.npy")
    assert 40 < len(ids) < 120
    for live, stored in zip(
        weights_of(tmp_path / "live" / "student" / "student.keras"),
        weights_of(tmp_path / "work" / "student" / "student.keras"),
    ):
        np.testing.assert_allclose(stored, live, atol=1e-4)


@pytest.mark.slow
def test_an_interrupted_student_from_a_store_ends_in_the_same_bits(
    run, tmp_path, monkeypatch, finished
):
    shutil.copytree(finished / "models", tmp_path / "models")
    shutil.copytree(finished / "work" / "store", tmp_path / "cut" / "store")
    config = store_config(checkpoint_minutes=2.0)
    with monkeypatch.context() as patch:
        # The first batches of the third epoch, whose view is the first.
        save_every_minute(patch)
        interrupt_after_batches(patch, 2 * 7 + 4)
        with pytest.raises(Interrupted):
            run("student", config=config, workdir="cut")
    saved = checkpoints.saved_positions(tmp_path / "cut/student/checkpoints")
    assert saved == [(2, 2), (2, 4)]
    run("student", config=config, workdir="cut")
    assert same_bits(
        finished / "work" / "student" / "student.keras",
        tmp_path / "cut" / "student" / "student.keras",
    )


@pytest.mark.slow
def test_a_store_of_other_logits_is_refused(
    run, tmp_path, small_mnist, finished
):
    shutil.copytree(finished / "models", tmp_path / "models")
    path = tmp_path / "store"
    shutil.copytree(finished / "work" / "store", path)

    def refused(field, dataset=small_mnist, **overrides):
        words = rf"Differing: .*{field} \(was"
        with pytest.raises(ValueError, match=words) as error:
            run(
                "student",
                config=store_config(path, **overrides),
                dataset=dataset,
                workdir="other",
            )
        assert "remove" not in str(error.value)
        assert not (tmp_path / "other").exists()

    refused(r"data\.augment\.seed", seed=1)
    refused(r"data\.augment\.translate", **{"data.augment.translate": 2})
    refused(r"data\.mixup", **{"data.mixup": 0.5})
    refused(r"parts\.train\.fingerprint", **{"data.validation_examples": 90})
    refused(r"parts\.train\.examples", **{"transfer.fraction": 0.9})
    fewer_classes = small_mnist.train.subset(
        np.flatnonzero(small_mnist.train.labels < 9)
    )
    fewer_classes.num_classes = 9
    refused(
        "num_classes",
        dataset=datasets.Dataset(
            name="mnist", train=fewer_classes, test=None, source="here"
        ),
    )
    # Another teacher; its weights count, not its path.
    export_random_teacher(tmp_path / "other_teacher")
    refused(
        r"teacher\.fingerprint",
        **{"teacher.path": str(tmp_path / "other_teacher")},
    )
    shutil.move(tmp_path / "models" / "small_teacher", tmp_path / "moved")
    moved = store_config(path, **{"teacher.path": str(tmp_path / "moved")})
    run("student", config=moved, workdir="moved_too")
    # Without any teacher here, the store takes its place.
    run("student", config=store_config(path), workdir="alone")
    # As with the path `auto`.
    expected = finished / "work" / "student" / "student.keras"
    for name in ("moved_too", "alone"):
        assert same_bits(tmp_path / name / "student/student.keras", expected)
    shard = next(path.glob("train-0*.npy"))
    shard.unlink()
    with pytest.raises(ValueError, match=f"{shard.name}, which is missing"):
        run("student", config=store_config(path), workdir="other")
    with pytest.raises(ValueError, match="must be a logit store"):
        run("student", config=store_config(tmp_path), workdir="other")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shared", "words"),
    [
        (False, "share_views=true needs .*of augmented views; leave"),
        (True, "share_views=true. Received: .*and views with augmentation"),
    ],
    ids=["of views", "shared"],
)
def test_a_store_is_shared_by_views_as_it_was_labelled(
    run, tmp_path, small_mnist, shared, words
):
    export_dummy_teacher(tmp_path / "models" / "small_teacher")

    def config(path, shared):
        return store_config(path, **{"store.share_views": shared})

    path, _ = runs.label(
        config("auto", shared),
        workdir=tmp_path / "work",
        savedmodels=tmp_path / "models",
        dataset=small_mnist,
    )
    with pytest.raises(ValueError, match=words):
        run("student", config=config(path, not shared), workdir="other")
    # The store of the run's own directory.
    with pytest.raises(ValueError, match=r"share_views=true.* Take") as error:
        run("student", config=config("auto", not shared))
    assert "remove" not in str(error.value)


@pytest.mark.slow
def test_labelling_needs_no_labels(run, tmp_path, small_mnist, teacher):
    unlabelled = datasets.Dataset(
        name="images",
        train=datasets.Examples(small_mnist.train.images),
        test=None,
        source="here",
    )
    (report,) = run(
        "student", config=store_config(), dataset=unlabelled, workdir="flat"
    )
    assert report["agreement"] is None
    parts = json.loads(
        (tmp_path / "flat" / "store" / "manifest.json").read_text()
    )["parts"]
    assert list(parts) == ["train"] and parts["train"]["examples"] == 500


@pytest.mark.slow
def test_a_live_teacher_predicts_the_validation_images_once_to_train(
    run, monkeypatch, teacher
):
    """Its logits there do not change from epoch to epoch."""
    asked, call = [], Teacher.outputs

    def counting(self, images):
        tf.py_function(lambda x: asked.append(len(x)), [images], [])
        return call(self, images)

    monkeypatch.setattr(Teacher, "outputs", counting)
    run("student", config=small_config(**{"student.epochs": 3}))
    # Only the validation batch has this size: see `small_config`. It is also
    # predicted once when the teacher is measured, before the training.
    assert asked.count(100) == 2
    # The batches of training are counted, too, so none is missed.
    assert sum(asked) >= 3 * 400 + 100
