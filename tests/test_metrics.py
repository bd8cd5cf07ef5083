"""Measures by hand."""

import numpy as np
import pytest

from kd_keras import metrics

LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
LABELS = np.array([0, 0, 1])


def test_errors_are_a_count():
    assert metrics.errors(logits=LOGITS, labels=LABELS) == 2


def test_negative_log_likelihood_by_hand():
    by_hand = (
        np.log(1 + np.exp(-2)) + np.log(1 + np.exp(1)) + np.log(1 + np.exp(2))
    ) / 3
    likelihood = metrics.negative_log_likelihood(logits=LOGITS, labels=LABELS)
    assert likelihood == pytest.approx(by_hand)


def test_a_sure_error_costs_its_logit_and_does_not_overflow():
    likelihood = metrics.negative_log_likelihood(
        logits=np.array([[1000.0, 0.0]]), labels=np.array([1])
    )
    assert likelihood == pytest.approx(1000)


def test_agreement_is_a_share():
    agreement = metrics.agreement(
        teacher_logits=LOGITS, student_logits=LOGITS[:, ::-1] * [[1], [1], [-1]]
    )
    assert agreement == pytest.approx(1 / 3)
