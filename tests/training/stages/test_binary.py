"""Students of teachers with one logit, or with one for each label."""

import nets
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from stage_runs import small_config

from kd_keras.data import datasets
from kd_keras.training import runs

COUNT = 64


def save_teacher(path, num_logits):
    """Saves a teacher, and returns its decisions about the images."""
    network = nets.make_network(num_classes=num_logits)
    logits = network.predict(images(), verbose=0)
    # Half of the decisions are yes.
    network.layers[-1].bias.assign(-np.median(logits, axis=0))
    network.save(path)
    return (network.predict(images(), verbose=0) > 0).astype(int)


def images():
    return nets.make_images(COUNT).astype("uint8")


def dataset(labels, num_classes=2):
    if labels is None:
        return datasets.Dataset("made", datasets.Examples(images()), None, "")
    examples = datasets.Examples(images(), labels, num_classes=num_classes)
    return datasets.Dataset("made", examples, examples, "a generator")


def config(teacher, **overrides):
    fields = {
        "data.validation_examples": 16,
        "data.augment.translate": 0,
        "student.model": "mlp",
        "student.widths": (8,),
        "student.batch_size": 16,
        "student.epochs": 1,
        "teacher.path": str(teacher),
        "distill.loss": "binary_kl",
    }
    return small_config(**{**fields, **overrides})


def served(path):
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return serve(images=tf.constant(images()))


@pytest.mark.slow
def test_a_binary_student_is_trained_measured_and_exported(run, tmp_path):
    decisions = save_teacher(tmp_path / "t.keras", 1)
    data = dataset(decisions[:, 0])
    # Stored logits take the longest way.
    fields = {"store.path": "auto", "distill.hard_loss_weight": 0.5}
    (report,) = run(
        "student", dataset=data, config=config(tmp_path / "t.keras", **fields)
    )
    outputs = served(tmp_path / "models" / "small_student")
    wrong = (outputs["logits"].numpy() > 0) != decisions
    assert report["test_errors"] == wrong.sum()
    assert report["agreement"] == 1 - wrong.mean()
    np.testing.assert_allclose(
        outputs["probabilities"],
        scipy.special.expit(outputs["logits"]),
        atol=1e-6,
    )


@pytest.mark.slow
def test_a_multi_label_student_needs_no_labels(run, tmp_path):
    save_teacher(tmp_path / "t.keras", 3)
    run("student", dataset=dataset(None), config=config(tmp_path / "t.keras"))
    outputs = served(tmp_path / "models" / "small_student")
    assert outputs["logits"].shape == (COUNT, 3)
    expected = scipy.special.expit(outputs["logits"])
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


def label(tmp_path, **overrides):
    return runs.label(
        config(tmp_path / "t.keras", **overrides),
        workdir=tmp_path / "work",
        savedmodels=tmp_path / "models",
        dataset=dataset(None),
    )


def test_top_k_logits_of_labels_are_not_stored(tmp_path):
    save_teacher(tmp_path / "t.keras", 3)
    with pytest.raises(ValueError, match="top_k must be 0 .*Received: 2"):
        label(tmp_path, **{"store.top_k": 2})
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_a_store_of_top_k_logits_is_not_learnt_as_labels(run, tmp_path):
    save_teacher(tmp_path / "t.keras", 3)
    path, _ = label(tmp_path, **{"store.top_k": 2, "distill.loss": "kl"})
    fields = {"store.path": str(path), "teacher.path": ""}
    with pytest.raises(ValueError, match="all logits.*with store.top_k=2"):
        run(
            "student",
            dataset=dataset(None),
            config=config("", **fields),
            workdir="student",
        )
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(
    ("num_logits", "classes", "overrides", "words"),
    [
        (
            1,
            2,
            {"distill.loss": "kl"},
            "one logit needs distill.loss=binary",
        ),
        (1, None, {"distill.loss": "kl"}, "one logit needs distill.loss"),
        (2, 2, {}, "needs a teacher with one logit.*with 2"),
        (1, 4, {}, "needs data of two classes.*4"),
        (1, 2, {"teacher.path": ""}, "needs teacher.path, a teacher with one"),
        (
            3,
            None,
            {"store.path": "auto", "store.top_k": 2},
            "top_k must be 0 with distill.loss=binary_kl.*Received: 2",
        ),
        (
            3,
            None,
            {
                "store.path": "auto",
                "store.top_k": 2,
                "distill.loss": "kl",
                "teacher.outputs": "label_probabilities",
            },
            "top_k must be 0 with label_probabilities.*Received: 2",
        ),
    ],
)
def test_other_teachers_and_data_are_refused(
    run, tmp_path, num_logits, classes, overrides, words
):
    save_teacher(tmp_path / "t.keras", num_logits)
    labels = None if classes is None else np.arange(COUNT) % classes
    with pytest.raises(ValueError, match=words):
        run(
            "student",
            dataset=dataset(labels, classes),
            config=config(tmp_path / "t.keras", **overrides),
        )
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "models").exists()
