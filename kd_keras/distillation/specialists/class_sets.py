"""Sets of confusable classes, and the accuracy by coverage of a class."""

import itertools

import numpy as np
import sklearn.cluster

# Starts of k-means; the best one is kept.
_STARTS = 10


def confusable_sets(predictions, *, num_sets, num_classes=0, seed=0):
    """Finds sets of classes that are often predicted together, without labels.

    Clusters the columns of the predictions' covariance matrix by k-means.

    Args:
        predictions: float array `(n, classes)` of the generalist's
            probabilities. They should be softened: at T = 1 a generalist
            that fits its training set confuses nothing there, all columns
            are equally far apart, and most classes end in one cluster.
        num_sets: int, the k of k-means.
        num_classes: int, number of classes of each set: those with the
            largest mean covariance with the classes of a cluster, so sets
            may overlap. If that is another set already, the next largest
            replaces the last. 0 takes the clusters themselves, which share
            no class.
        seed: int, seed of k-means.

    Returns:
        List of `num_sets` different increasing lists of classes, in
        increasing order.

    Raises:
        ValueError: if so many sets, or classes in each, are impossible.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 5.3
    """
    columns = np.cov(np.asarray(predictions, "float64"), rowvar=False)
    _check_sizes(columns, num_sets, num_classes)
    found = sklearn.cluster.KMeans(
        num_sets, n_init=_STARTS, random_state=seed
    ).fit_predict(columns)
    clusters = [found == m for m in range(num_sets)]
    if not num_classes:
        return sorted(np.flatnonzero(cluster).tolist() for cluster in clusters)
    sets = []
    for cluster in clusters:
        # The mean covariance of each class with the cluster's, its own
        # variance included, so that the cluster's classes come first.
        affinities = columns[:, cluster].mean(axis=1)
        order = np.argsort(-affinities, kind="stable").tolist()
        choices = map(sorted, itertools.combinations(order, num_classes))
        sets.append(next(x for x in choices if x not in sets))
    return sorted(sets)


def accuracy_by_coverage(*, labels, generalist_logits, logits, class_sets):
    """Accuracy with and without specialists, by coverage of the true class.

    The coverage of a class is the number of sets that hold it.

    Args:
        labels: int array `(n,)`.
        generalist_logits: float array `(n, num_classes)`.
        logits: float array `(n, num_classes)`, as `combine` returns.
        class_sets: list of lists of int.

    Returns:
        List of dicts by increasing `covering`, the coverage: `examples`, and
        the numbers of correct ones, `generalist_correct` of the generalist
        and `correct` of generalist and specialists together.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), tables 3
          and 4
    """
    labels = np.asarray(labels)
    coverage = sum(
        np.isin(labels, classes).astype(int) for classes in class_sets
    )
    generalist_correct = np.argmax(generalist_logits, axis=-1) == labels
    correct = np.argmax(logits, axis=-1) == labels
    rows = []
    for count in np.unique(coverage):
        chosen = coverage == count
        rows.append(
            {
                "covering": int(count),
                "examples": int(chosen.sum()),
                "generalist_correct": int(generalist_correct[chosen].sum()),
                "correct": int(correct[chosen].sum()),
            }
        )
    return rows


def _check_sizes(columns, num_sets, num_classes):
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
