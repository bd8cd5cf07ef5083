"""Losses computed by their formulas, in float64."""

import numpy as np
import scipy.special


def softened(logits, temperature):
    exponentials = np.exp(np.asarray(logits, "float64") / temperature)
    return exponentials / exponentials.sum(-1, keepdims=True)


def kl_loss(teacher, student, temperature):
    p = softened(teacher, temperature)
    q = softened(student, temperature)
    return temperature**2 * np.sum(p * (np.log(p) - np.log(q)), -1)


def dkd_loss(teacher, student, target, temperature, alpha, beta):
    """By the paper's equations 3 to 7, one example, in float64."""
    p, q = (softened(x, temperature) for x in (teacher, student))
    others = [i for i in range(len(p)) if i != target]
    p_rest, q_rest = p[others].sum(), q[others].sum()
    tckd = p[target] * np.log(p[target] / q[target])
    tckd += p_rest * np.log(p_rest / q_rest)
    p_hat, q_hat = p[others] / p_rest, q[others] / q_rest
    nckd = np.sum(p_hat * np.log(p_hat / q_hat))
    return temperature**2 * (alpha * tckd + beta * nckd)


def binary_kl_loss(teacher, student, temperature):
    p, q = (scipy.special.expit(x / temperature) for x in (teacher, student))
    terms = scipy.special.rel_entr(p, q) + scipy.special.rel_entr(1 - p, 1 - q)
    return temperature**2 * terms.sum(-1)


def random_logits(seed, shape=(5, 10)):
    return np.random.default_rng(seed).normal(size=shape) * 3
