"""Specialists: sets of confusable classes, their training, their inference.

A specialist tells apart the classes of its set; all others are one class to
it, the dustbin. Its network keeps the generalist's softmax over all classes,
and the dustbin's probability is the sum of the others': at the start every
specialist agrees with the generalist exactly, and soft targets of the other
classes still have a place to act (section 6.1).

Reference:
    - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), sections 5, 6.1
"""

import itertools
import math

import keras
import numpy as np
import sklearn.cluster
import tensorflow as tf

from kd_keras.distillation import labels as labels_lib
from kd_keras.distillation import losses, trainer
from kd_keras.teachers import teacher as teachers

# Of eq. 5's fixed point: the largest change of any log q that ends it, and
# the iterations after which it ends in any case.
_TOLERANCE = 1e-9
_MAX_ITERATIONS = 1000
# Starts of k-means, of which the best is kept.
_STARTS = 10


def confusable_sets(predictions, *, num_sets, num_classes=0, seed=0):
    """Sets of classes that are often predicted together. Needs no labels.

    Ordinary k-means on the columns of the covariance matrix of the
    predictions.

    Args:
        predictions: float array `(n, classes)` of the generalist's
            probabilities, softened: at T = 1 one that fits its training set
            confuses nothing there, all columns are equally far apart, and
            most classes end in one cluster.
        num_sets: int, the k of k-means.
        num_classes: int, classes of each set: those with the largest mean
            covariance with a cluster's classes, so that sets may overlap;
            where that is another's set, the next largest in place of the
            last. 0 for the clusters themselves, which share no class.
        seed: int, of the starts of k-means.

    Returns:
        List of `num_sets` different increasing lists of classes, in
        increasing order.

    Raises:
        ValueError: if so many sets, or classes of each, cannot be had.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 5.3
    """
    columns = np.cov(np.asarray(predictions, "float64"), rowvar=False)
    total = len(columns)
    if not 2 <= num_sets <= total:
        raise ValueError(
            f"there must be 2 to {total} sets of {total} classes. Received: "
            f"num_sets={num_sets}"
        )
    if not 0 <= num_classes < total:
        raise ValueError(
            f"a set must leave some of the {total} classes to the dustbin. "
            f"Received: num_classes={num_classes}"
        )
    distinct = len(np.unique(columns, axis=0))
    if distinct < num_sets:
        raise ValueError(
            f"{num_sets} sets need as many classes that are predicted "
            f"differently. Received: {distinct}"
        )
    found = sklearn.cluster.KMeans(
        num_sets, n_init=_STARTS, random_state=seed
    ).fit_predict(columns)
    clusters = [found == m for m in range(num_sets)]
    if not num_classes:
        return sorted(np.flatnonzero(cluster).tolist() for cluster in clusters)
    sets = []
    for cluster in clusters:
        # The mean covariance of each class with the cluster's, its own
        # variance included, so that the cluster's come first.
        affinities = columns[:, cluster].mean(axis=1)
        order = np.argsort(-affinities, kind="stable").tolist()
        choices = map(sorted, itertools.combinations(order, num_classes))
        sets.append(next(x for x in choices if x not in sets))
    return sorted(sets)


def log_oversampling(*, share, prior):
    """How much too rare the dustbin is in a specialist's training, as a log.

    A specialist that is trained where special examples are the share `s`
    and used where they are the share `p` believes in them too much: the odds
    of its classes to the dustbin are too high by the proportion
    `(s / p) / ((1 - s) / (1 - p))`. Its logarithm, added to the dustbin's
    logit, gives the posterior under `p`.

    Args:
        share: float in (0, 1), of special examples in training.
        prior: float in (0, 1), of special examples where it is used.

    Returns:
        float, in nats; > 0 where special examples are oversampled.

    Raises:
        ValueError: if a share is not in (0, 1).

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 5.2
    """
    for name, value in (("share", share), ("prior", prior)):
        if not 0 < value < 1:
            raise ValueError(
                f"{name} must be in (0, 1). Received: {name}={value}"
            )
    return math.log(share / (1 - share)) - math.log(prior / (1 - prior))


def with_dustbin(logits, classes, *, offset=0.0):
    """The logits of a specialist's classes, and of its dustbin last.

    Args:
        logits: float tensor `(..., num_classes)` over all classes.
        classes: list of int, the specialist's.
        offset: float, added to the dustbin's logit.

    Returns:
        float32 tensor `(..., len(classes) + 1)`. Without an offset, its
        softmax has the probabilities of `classes`, and the sum of the rest.
    """
    logits = tf.cast(logits, tf.float32)
    others = np.setdiff1d(np.arange(logits.shape[-1]), classes)
    dustbin = tf.reduce_logsumexp(
        tf.gather(logits, others, axis=-1), axis=-1, keepdims=True
    )
    special = tf.gather(logits, classes, axis=-1)
    return tf.concat([special, dustbin + offset], axis=-1)


def combine(generalist_logits, specialist_logits, class_sets):
    """What generalist and specialists say together: eq. 5.

    Finds the q that minimises `KL(p_g, q) + sum_m KL(p_m, q)` over the
    active specialists m, those whose set holds the generalist's top class
    (the paper's k = 1); the q of a dustbin is the sum over its classes. All
    at T = 1.

    The objective is convex in q, and where its gradient along the simplex
    vanishes

        q_i = (p_g(i) + sum_m r_m(i)) / (1 + number of active specialists)

    with `r_m(i) = p_m(i)` in m's set, and outside of it m's dustbin divided
    in proportion to q. Iterated from `q = p_g` this is expectation
    maximisation (what is missing is which class of the dustbin it was), so
    the objective falls at every step, to its only minimum, without a step
    size. The paper descends by the gradient in q's logits, to the same q.
    With one active specialist the first step is exact. An example whose q
    has converged is left alone: its result does not depend on the batch.

    Args:
        generalist_logits: float tensor `(batch, num_classes)`.
        specialist_logits: list of a float tensor `(batch, len(set) + 1)` for
            each set: its classes in their order, and the dustbin.
        class_sets: list of lists of int.

    Returns:
        float32 tensor `(batch, num_classes)`: log q, which are logits; the
        generalist's log probabilities where no specialist is active.

    Raises:
        ValueError: if a set is empty, leaves nothing to the dustbin, or does
            not fit its logits.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 5
        - convergence: [Dempster et al., 1977](
          https://doi.org/10.1111/j.2517-6161.1977.tb01600.x)
    """
    generalist_logits = tf.convert_to_tensor(generalist_logits)
    num_classes = generalist_logits.shape[-1]
    # float64, since a change of 1e-9 shall be seen.
    log_p_g = tf.nn.log_softmax(tf.cast(generalist_logits, tf.float64))
    inside = np.zeros((len(class_sets), num_classes), bool)
    log_p = []
    for m, (logits, classes) in enumerate(zip(specialist_logits, class_sets)):
        logits = tf.cast(logits, tf.float64)
        _check_set(classes, num_classes, logits.shape[-1])
        inside[m, classes] = True
        # For each class its place in the specialist's logits.
        place = np.full(num_classes, len(classes))
        place[classes] = np.arange(len(classes))
        log_p.append(tf.gather(tf.nn.log_softmax(logits), place, axis=-1))
    log_p = tf.stack(log_p, axis=1)  # (batch, sets, num_classes)

    nothing = tf.constant(-math.inf, tf.float64)
    active = tf.gather(tf.constant(inside.T), tf.argmax(log_p_g, axis=-1))
    log_weights = tf.math.log1p(
        tf.reduce_sum(tf.cast(active, tf.float64), axis=-1, keepdims=True)
    )

    def step(log_q):
        log_q_sets = log_q[:, tf.newaxis]
        log_dustbin = tf.reduce_logsumexp(
            tf.where(inside, nothing, log_q_sets), axis=-1, keepdims=True
        )
        log_r = tf.where(inside, log_p, log_p + log_q_sets - log_dustbin)
        log_r = tf.where(active[..., tf.newaxis], log_r, nothing)
        parts = tf.concat([log_p_g[:, tf.newaxis], log_r], axis=1)
        return tf.reduce_logsumexp(parts, axis=1) - log_weights

    def iterate(log_q, moving):
        following = tf.where(moving, step(log_q), log_q)
        change = tf.reduce_max(
            tf.abs(following - log_q), axis=-1, keepdims=True
        )
        return following, change > _TOLERANCE

    moving = tf.reduce_any(active, axis=-1, keepdims=True)
    log_q, _ = tf.while_loop(
        lambda log_q, moving: tf.reduce_any(moving),
        iterate,
        (log_p_g, moving),
        maximum_iterations=_MAX_ITERATIONS,
    )
    return tf.cast(log_q, tf.float32)


def accuracy_by_covering(*, labels, generalist_logits, logits, class_sets):
    """What specialists change, by how many of them cover the true class.

    Args:
        labels: int array `(n,)`.
        generalist_logits: float array `(n, num_classes)`.
        logits: float array `(n, num_classes)`, those of `combine`.
        class_sets: list of lists of int.

    Returns:
        List of dicts, by increasing `covering`: `examples`, and how many of
        them the generalist has right, `generalist_correct`, and generalist
        and specialists together, `correct`.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), tables 3
          and 4
    """
    labels = np.asarray(labels)
    covering = sum(
        np.isin(labels, classes).astype(int) for classes in class_sets
    )
    right_before = np.argmax(generalist_logits, axis=-1) == labels
    right = np.argmax(logits, axis=-1) == labels
    rows = []
    for count in np.unique(covering):
        chosen = covering == count
        rows.append(
            {
                "covering": int(count),
                "examples": int(chosen.sum()),
                "generalist_correct": int(right_before[chosen].sum()),
                "correct": int(right[chosen].sum()),
            }
        )
    return rows


@keras.saving.register_keras_serializable(package="kd_keras")
class Combination(keras.layers.Layer):
    """`combine` as a layer, without weights.

    It is called with `[generalist's logits, specialist's logits, ...]`, each
    `(batch, num_classes)` over all classes.

    Args:
        class_sets: list of lists of int, one for each specialist.
    """

    def __init__(self, class_sets, **kwargs):
        super().__init__(**kwargs)
        self.class_sets = [list(classes) for classes in class_sets]

    def call(self, inputs):
        generalist_logits, *specialist_logits = inputs
        return combine(
            generalist_logits,
            [
                with_dustbin(logits, classes)
                for logits, classes in zip(specialist_logits, self.class_sets)
            ],
            self.class_sets,
        )

    def get_config(self):
        return {**super().get_config(), "class_sets": self.class_sets}


def combined_network(generalist, specialists, class_sets):
    """Generalist, specialists and eq. 5 as one network: images -> log q.

    All specialists see every image, and those that are not active are not
    listened to.

    Args:
        generalist: Keras model, images -> logits over all classes.
        specialists: list of Keras models, the same.
        class_sets: list of lists of int, one for each specialist.

    Returns:
        Keras model.
    """
    inputs = keras.Input(generalist.input_shape[1:], name="images")
    # Networks of one architecture have one name, which Keras refuses.
    named = {"generalist": generalist}
    named |= {f"specialist_{m}": x for m, x in enumerate(specialists)}
    logits = [
        keras.Model(network.inputs, network.output, name=name)(inputs)
        for name, network in named.items()
    ]
    outputs = Combination(class_sets, name="logits")(logits)
    return keras.Model(inputs, outputs, name="specialists")


class SpecialistTrainer(trainer.ExactTrainer):
    """Trains a specialist on labels, held to the generalist elsewhere.

    `loss` is the cross-entropy over the specialist's classes and its dustbin
    (`hard_loss`), plus for examples of other classes `soft_loss_weight`
    times the distillation loss from the generalist over all classes
    (`soft_loss`, 0 for special examples). Batches are `(x, labels)`.

    In training the dustbin's logit is lowered by `log_oversampling`. That is
    the same as raising it afterwards: the network's own logits are always
    those for examples as frequent as they are, and it starts as the
    generalist also here. `evaluate` lowers it too: its losses are those of
    training, its accuracy, over all classes, is not touched.

    Args:
        network: Keras model, images -> logits over all classes.
        generalist: as `teacher.logits_function` takes it.
        classes: list of int, the specialist's.
        log_oversampling: float; see `log_oversampling`.
        temperature: float > 0, of the soft targets.
        soft_loss_weight: float >= 0.
    """

    def __init__(
        self,
        network,
        generalist,
        *,
        classes,
        log_oversampling,
        temperature,
        soft_loss_weight,
        **kwargs,
    ):
        terms = (
            "loss",
            "hard_loss",
            "soft_loss",
            "regularization_loss",
            "accuracy",
        )
        super().__init__(network, terms=terms, **kwargs)
        self._generalist_logits, _ = teachers.logits_function(generalist)
        self._classes = list(classes)
        self._log_oversampling = log_oversampling
        self._temperature = temperature
        self._soft_loss_weight = soft_loss_weight

    def _targets(self, x, y):
        return {
            "labels": labels_lib.integer_labels(y),
            "generalist_logits": tf.stop_gradient(self._generalist_logits(x)),
        }

    def _terms(self, logits, targets):
        # For each class its place among the specialist's; the dustbin's last.
        place = np.full(logits.shape[-1], len(self._classes))
        place[self._classes] = np.arange(len(self._classes))
        places = tf.gather(place, targets["labels"])
        hard_loss = labels_lib.hard_loss(
            places,
            with_dustbin(logits, self._classes, offset=-self._log_oversampling),
        )
        soft_loss = losses.distillation_loss(
            teacher_logits=targets["generalist_logits"],
            student_logits=logits,
            temperature=self._temperature,
        )
        soft_loss = tf.where(places == len(self._classes), soft_loss, 0.0)
        return {
            "loss": hard_loss + self._soft_loss_weight * soft_loss,
            "hard_loss": hard_loss,
            "soft_loss": soft_loss,
        }


def _check_set(classes, num_classes, num_logits):
    if not 0 < len(classes) < num_classes:
        raise ValueError(
            f"a set must hold some of the {num_classes} classes, and leave "
            f"some to the dustbin. Received: {classes}"
        )
    if num_logits != len(classes) + 1:
        raise ValueError(
            "a specialist must have a logit for each class of its set, and "
            f"one for the dustbin. Received: {num_logits} for {classes}"
        )
