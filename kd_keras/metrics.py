"""What is measured on a test set, from arrays of logits."""

import numpy as np


def errors(*, logits, labels):
    """Count of examples whose top class is not the label."""
    return int(np.sum(np.argmax(logits, axis=-1) != labels))


def negative_log_likelihood(*, logits, labels):
    """Mean of `-log softmax(logits)[label]`, in nats."""
    logits = np.asarray(logits, "float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_normaliser = np.log(np.exp(shifted).sum(axis=-1))
    return float(np.mean(log_normaliser - shifted[range(len(labels)), labels]))


def agreement(*, teacher_logits, student_logits):
    """Share of examples with the same top class."""
    same = np.argmax(teacher_logits, -1) == np.argmax(student_logits, -1)
    return float(np.mean(same))
