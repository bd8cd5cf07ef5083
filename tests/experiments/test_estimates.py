"""Spreads and intervals of results over seeds, against values by hand."""

import numpy as np
import pytest
import scipy.stats

from experiments.paper import estimates


def test_gain_kept():
    share, low, high = estimates.gain_kept([1000, 1040], 920, [930, 950])
    # Of 1020 - 920 errors, 1020 - 940 are kept.
    assert share == pytest.approx(0.8)
    # Variances of the means 400 and 100; their weights 0.002 and 0.01.
    quantile = scipy.stats.t.ppf(0.975, 0.0116**2 / (0.0016**2 + 0.01**2))
    np.testing.assert_allclose(
        [low, high], 0.8 + quantile * 0.0116**0.5 * np.array([-1, 1])
    )


def test_half_intervals_share_a_variance():
    halves = estimates.half_intervals({1.0: [10, 12], 2.0: [20, 24]})
    # Two degrees of freedom; the sums of squares are 2 and 8, a mean of two
    # has half of the variance.
    np.testing.assert_allclose(
        list(halves.values()), [4.3027 * 2.5**0.5] * 2, rtol=1e-4
    )
    assert estimates.half_intervals({1.0: [10], 2.0: [20]}) == {
        1.0: None,
        2.0: None,
    }


def test_mean_interval_and_spread():
    # Standard error 2, one degree of freedom.
    low, high = estimates.mean_interval([70, 74])
    np.testing.assert_allclose([low, high], [46.588, 97.412], atol=1e-3)
    assert estimates.spread([70, 74]) == "72.0 ± 2.8"
    assert estimates.spread([70]) == "70.0"
