"""Means, spreads and intervals of results over seeds."""

import numpy as np
import scipy.stats


def spread(values, form=".1f"):
    """`mean ± standard deviation` as text; the mean alone of one value."""
    mean = format(np.mean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ± {np.std(values, ddof=1):{form}}"


def mean_interval(values):
    """The 95 % interval of the mean: `(low, high)`, by Student's t.

    Args:
        values: list of two or more.
    """
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return np.mean(values) - half, np.mean(values) + half


def half_intervals(cells):
    """Half of the 95 % intervals of several means, by a common variance.

    Args:
        cells: dict of temperature to a list of errors, one a seed.

    Returns:
        Dict of temperature to errors; None where no cell has two seeds.
    """
    freedom = sum(len(errors) - 1 for errors in cells.values())
    if not freedom:
        return dict.fromkeys(cells)
    squares = sum(np.var(errors) * len(errors) for errors in cells.values())
    quantile = scipy.stats.t.ppf(0.975, freedom)
    return {
        temperature: quantile * np.sqrt(squares / freedom / len(errors))
        for temperature, errors in cells.items()
    }


def gain_kept(single, ensemble, distilled):
    """Share of an ensemble's gain over one network that distillation keeps.

    Args:
        single: list of errors of networks on labels, two or more.
        ensemble: errors of the ensemble.
        distilled: list of errors of distilled networks, two or more.

    Returns:
        `(share, low, high)`. The 95 % interval covers the spread of single
        and distilled networks; the ensemble is taken as given.
    """
    gain = np.mean(single) - ensemble
    share = (np.mean(single) - np.mean(distilled)) / gain
    # First order in both means.
    by_single = (1 - share) / gain
    parts = [
        (by_single**2 * np.var(single, ddof=1) / len(single), len(single)),
        (np.var(distilled, ddof=1) / gain**2 / len(distilled), len(distilled)),
    ]
    variance = sum(part for part, _ in parts)
    # Degrees of freedom by Welch and Satterthwaite.
    freedom = variance**2 / sum(p**2 / (n - 1) for p, n in parts)
    half = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    return share, share - half, share + half
