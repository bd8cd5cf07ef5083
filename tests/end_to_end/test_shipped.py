"""The models in savedmodels/ are as good as their cards state."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from shipped import SHIPPED, cifar10_sample

from kd_keras.evaluation import metrics
from kd_keras.teachers import loading


@pytest.fixture(scope="module")
def samples(mnist):
    return {
        "mnist": (mnist.test.images, mnist.test.labels),
        "cifar10": cifar10_sample(),
    }


def predict(path, images):
    model = tf.saved_model.load(str(path))
    serve = model.signatures["serving_default"]
    return np.concatenate(
        [
            serve(images=tf.constant(images[i : i + 500]))["logits"]
            for i in range(0, len(images), 500)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mnist_teacher",
        "mnist_student",
        pytest.param("cifar10_teacher", marks=pytest.mark.slow),
        "cifar10_student",
        "cifar10_few_labels_student",
        "cifar10_long_student",
        "cifar10_long_resnet12_student",
        "cifar10_long_resnet8_student",
        "cifar10_long_resnet8_int8_student",
    ],
)
def test_a_shipped_model_is_as_good_as_its_card_says(name, samples):
    card = (SHIPPED / name / "model_card.md").read_text()
    wrong, count = re.search(r"test errors \| (\d+) of (\d+)", card).groups()
    images, labels = samples[name.split("_")[0]]
    logits = predict(SHIPPED / name, images)
    check_errors(logits, labels, wrong=int(wrong), count=int(count))


def check_errors(logits, labels, *, wrong, count):
    errors = metrics.errors(logits=logits, labels=labels)
    if len(labels) == count:
        # The whole test set; a processor may round one close call otherwise.
        assert abs(errors - wrong) <= 2
    else:
        # A sample: at most two standard errors more than the card's share.
        share = wrong / count
        spread = np.sqrt(share * (1 - share) / len(labels))
        assert errors / len(labels) <= share + 2 * spread


def shipped_exports():
    """The recorded files of other formats: tuples of path and record."""
    for record in sorted(SHIPPED.glob("*_exports/exports.json")):
        for row in json.loads(record.read_text())["formats"]:
            if row["format"] != "model":
                path = record.parent / row["file"]
                yield pytest.param(path, row, id=row["file"])


@pytest.mark.slow
@pytest.mark.parametrize(("path", "row"), shipped_exports())
def test_an_exported_file_is_as_good_as_its_record_says(path, row, samples):
    assert path.stat().st_size == row["bytes"]
    images, labels = samples[path.name.split("_")[0]]
    logits = loading.load_classifier(path)(images)
    check_errors(logits, labels, wrong=row["errors"], count=row["examples"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mnist", pytest.param("cifar10", marks=pytest.mark.slow)]
)
def test_a_shipped_student_agrees_with_the_shipped_teacher(name, samples):
    images, _ = samples[name]
    logits = [
        predict(SHIPPED / f"{name}_{role}", images)
        for role in ("teacher", "student")
    ]
    card = (SHIPPED / f"{name}_student" / "model_card.md").read_text()
    stated = float(re.search(r"agreement.* \| ([\d.]+)%", card)[1]) / 100
    agreement = metrics.agreement(
        teacher_logits=logits[0], student_logits=logits[1]
    )
    spread = np.sqrt(stated * (1 - stated) / len(images))
    assert agreement == pytest.approx(stated, abs=2.5 * spread + 1e-4)


def test_together_they_are_small():
    size = sum(file.stat().st_size for file in SHIPPED.rglob("*"))
    assert size < 20e6
