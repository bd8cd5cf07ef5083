"""The teacher stage with a backbone, and students of its result."""

import json

import keras
import numpy as np
import pytest
from stage_runs import small_config

from kd_keras import load_teacher, store
from kd_keras.data import augmentation
from kd_keras.teachers import ensemble, loading, outputs
from kd_keras.teachers.options import TeacherOptions
from kd_keras.training import prepare
from kd_keras.training.stages import stage_class


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A `.keras` file whose last features tell digits apart."""
    path = tmp_path_factory.mktemp("backbone") / "features.keras"
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Dense(48, "relu", name="embedding")(
        keras.layers.Flatten()(x)
    )
    # A classifier of other classes, as one of ImageNet.
    keras.Model(inputs, keras.layers.Dense(3)(x)).save(path)
    return path


def probe_config(backbone, **overrides):
    return small_config(
        **{
            "data.labels_per_class": 20,
            "data.augment.translate": 0,
            "teacher.backbone": str(backbone),
            "student.epochs": 1,
            **overrides,
        }
    )


def report_of(path):
    return json.loads((path / "report.json").read_text())


@pytest.mark.slow
def test_a_head_is_fitted_and_is_a_teacher(
    run, backbone, tmp_path, small_mnist
):
    config = probe_config(backbone)
    (report,) = run("teacher", config=config)
    assert report["probe"]["chosen_by"] == "validation"
    assert report["probe"]["labels"] == 200
    assert report["probe"]["accuracy"] > 0.6 and report["test_accuracy"] > 0.6
    exported = tmp_path / "models/small_teacher"
    card = (exported / "model_card.md").read_text()
    assert "logistic regression" in card and str(backbone) in card
    # The exported teacher computes the head of the backbone's features.
    teacher = load_teacher(exported, features=("",))
    images = small_mnist.test.images[:7].astype("float32")
    model = keras.models.load_model(backbone)
    features = keras.Model(model.inputs, model.get_layer("embedding").output)(
        images
    )
    head = keras.models.load_model(tmp_path / "work/teacher/teacher.keras")
    answer = teacher.outputs(images)
    np.testing.assert_allclose(answer.logits, head(features), atol=1e-4)
    np.testing.assert_allclose(answer.features[0], features, atol=1e-6)
    labels = small_mnist.test.labels
    errors = np.sum(np.argmax(teacher(small_mnist.test.images), -1) != labels)
    assert errors == report["test_errors"]
    # Finished, it is neither fitted nor written again.
    before = (exported / "head.npz").stat().st_mtime_ns
    assert run("teacher", config=config) == [report]
    assert (exported / "head.npz").stat().st_mtime_ns == before
    # A part is missing: it is exported again. The backbone is inside.
    (exported / "saved_model.pb").unlink()
    run("teacher", config=config)
    backbone.rename(tmp_path / "away.keras")
    assert load_teacher(exported).num_classes == 10
    (tmp_path / "away.keras").rename(backbone)
    (student,) = run("student", config=config)
    assert student["agreement"] > 0.15


def embeddings_store(backbone, dataset, path, config):
    """Stores embeddings of two views, as `kd-keras label` does."""
    context = prepare.prepare(
        config, workdir=path, savedmodels=path, dataset=dataset
    )
    options = [TeacherOptions(features=("",))]
    files = ensemble.TeacherFiles([backbone], options=options)
    spec = augmentation.ViewSpec(**config.data.augment)
    manifest = store.plan(
        context.parts,
        teacher=files.record,
        num_classes=0,
        features=[{"teacher": "", "pool": "average", "shape": [48]}],
        spec=spec,
        views_count=2,
        dtype="float32",
    )

    teacher = files.teacher

    def embed(images):
        return outputs.Outputs(None, teacher.outputs(images).features)

    store.label(path, manifest, context.parts, embed, verbose=0)
    return store.LogitStore.open(path)


@pytest.mark.slow
def test_stored_embeddings_serve_teacher_and_student(
    run, backbone, tmp_path, small_mnist, monkeypatch
):
    config = probe_config(
        backbone,
        **{
            "store.path": str(tmp_path / "store"),
            "data.augment.translate": 1,
            "data.validation_examples": 0,
        },
    )
    opened = embeddings_store(backbone, small_mnist, tmp_path / "store", config)

    def fail(*args, **options):
        raise AssertionError("the backbone was loaded")

    (report,) = run("teacher", config=config)
    assert report["probe"]["chosen_by"] == "cross-validation"
    assert not (tmp_path / "work/embeddings").exists()
    monkeypatch.setattr(loading, "load", fail)
    (student,) = run("student", config=config)
    assert student["agreement"] > 0.15
    # The student's targets are the head's logits of the stored embeddings.
    head = keras.models.load_model(tmp_path / "work/teacher/teacher.keras")
    ids = np.array([7, 400, 3])
    (embedding,) = opened.features(ids, 1)
    config.distill.features.loss = "cosine"
    answers = answers_of(config, small_mnist, tmp_path)
    logits, features = answers(ids, 1, None)
    np.testing.assert_allclose(logits, head(embedding), atol=1e-4)
    np.testing.assert_array_equal(features[0], embedding)
    # The same with the store alone, as if it was made from a file.
    config.teacher.backbone = str(tmp_path / "store")
    config.store.path = ""
    config.name = "alone"
    run("teacher", config=config, workdir="alone")
    config.store.path = str(tmp_path / "store")
    again, _ = answers_of(config, small_mnist, tmp_path)(ids, 1, None)
    np.testing.assert_allclose(again, logits, atol=1e-5)


def answers_of(config, dataset, path):
    """The answers of a student's teacher."""
    context = prepare.prepare(
        config,
        workdir=path / "work",
        savedmodels=path / "models",
        dataset=dataset,
    )
    stage = stage_class("student")(context)
    stage.find_inputs()
    return stage.answers


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teacher.backbone": "absent"}, "absent, which does not exist"),
        ({"teacher.path": "a.keras"}, "teacher.backbone must be empty with"),
        ({"teacher.backbone_layer": "embeding"}, "Did you mean 'embedding'"),
        ({"data.labels_per_class": 500}, "Received: 500, and class"),
        ({"store.path": "absent"}, "must be a logit store"),
        ({"data.labels": "ids.npy"}, "5 labels of . of 10 classes"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    run, backbone, tmp_path, small_mnist, fields, message
):
    if "data.labels" in fields:
        np.save(tmp_path / "ids.npy", small_mnist.train.ids[:5])
        fields = {
            "data.labels_per_class": 0,
            "data.labelled_ids": str(tmp_path / "ids.npy"),
            "data.validation_examples": 0,
        }
    config = probe_config(backbone, **fields)
    with pytest.raises(ValueError, match=message) as error:
        run("teacher", config=config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "work").exists()


def test_a_probe_cannot_be_extended(run, backbone):
    with pytest.raises(ValueError, match="a probe teacher does not have"):
        run("teacher", config=probe_config(backbone), extend=True)
