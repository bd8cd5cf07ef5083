"""The linear head that is fitted to embeddings."""

import numpy as np
import pytest
from sklearn import linear_model

from kd_keras.training import probing


def separable(count, *, classes=3, views=2, seed=0):
    """Embeddings around a centre for each class, of unlike scales."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(7).normal(size=(classes, 6))
    noise = generator.normal(size=(count, views, 6))
    scales = np.array([1, 100, 0.01, 1, 1, 0])
    return (centres[labels][:, np.newaxis] + noise) * scales + 5, labels


@pytest.mark.slow
def test_the_head_is_the_regression_on_standardised_embeddings():
    values, labels = separable(60, views=1)
    fitted = probing.fit(values, labels, num_classes=3, seed=0)
    flat = values[:, 0]
    scaled = (flat - flat.mean(0)) / np.where(flat.std(0), flat.std(0), 1)
    expected = linear_model.LogisticRegression(C=fitted.strength, max_iter=999)
    expected.fit(scaled, labels)
    np.testing.assert_allclose(
        flat @ fitted.kernel + fitted.bias,
        expected.decision_function(scaled),
        atol=2e-2,
    )
    assert fitted.chosen_by == "cross-validation"


@pytest.mark.slow
def test_the_strength_is_the_likeliest_for_held_out_images():
    values, labels = separable(60)
    held_out, held_out_labels = separable(300, views=1, seed=1)
    held_out = held_out[:, 0]
    fitted = probing.fit(
        values,
        labels,
        num_classes=3,
        seed=0,
        held_out=(held_out, held_out_labels),
    )
    losses = []
    for strength in probing.STRENGTHS:
        flat = values.reshape(-1, 6)
        deviation = np.where(flat.std(0), flat.std(0), 1)
        model = linear_model.LogisticRegression(C=strength, max_iter=9999)
        model.fit((flat - flat.mean(0)) / deviation, labels.repeat(2))
        log_probs = model.predict_log_proba(
            (held_out - flat.mean(0)) / deviation
        )
        losses.append(-log_probs[np.arange(300), held_out_labels].mean())
    assert fitted.strength == probing.STRENGTHS[np.argmin(losses)]
    assert fitted.nll == pytest.approx(min(losses), abs=1e-3)
    assert fitted.chosen_by == "validation" and 0.5 < fitted.accuracy <= 1


@pytest.mark.slow
def test_views_of_an_image_stay_in_one_fold():
    # Noise alone: an image's other view would give its label away.
    generator = np.random.default_rng(0)
    values = np.repeat(generator.normal(size=(40, 1, 50)), 2, axis=1)
    fitted = probing.fit(values, np.arange(40) % 2, num_classes=2, seed=0)
    assert fitted.accuracy < 0.8


def test_of_many_images_one_fold_chooses(monkeypatch):
    values, labels = separable(60)
    monkeypatch.setattr(probing, "_MANY_IMAGES", 59)
    fitted = probing.fit(values, labels, num_classes=3, seed=0)
    assert fitted.chosen_by == "a held-out part"
    # Of 12 images.
    assert (fitted.accuracy * 12) % 1 == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_two_classes_have_two_logits():
    values, labels = separable(40, classes=2)
    fitted = probing.fit(values, labels, num_classes=2, seed=0)
    assert fitted.kernel.shape == (6, 2)
    logits = values[:, 0] @ fitted.kernel + fitted.bias
    assert np.mean(logits.argmax(-1) == labels) > 0.7


def test_a_class_with_one_label_leaves_none_to_choose_by():
    values, labels = separable(3)
    fitted = probing.fit(values, labels, num_classes=3, seed=0)
    assert fitted.chosen_by == "default" and fitted.accuracy is None
    assert "leaves none" in fitted.described()


def test_fewer_labels_than_classes_and_bad_embeddings_are_refused():
    values, labels = separable(9)
    with pytest.raises(ValueError, match="9 labels of 3 of 5 classes, none of"):
        probing.fit(values, labels, num_classes=5, seed=0)
    values[2, 1, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        probing.fit(values, labels, num_classes=3, seed=0)
