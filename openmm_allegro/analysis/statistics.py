# SPDX-License-Identifier: MIT
"""Errors of averages over correlated frames: blocks, jackknife, time series.

All errors of this subpackage are half-widths of 68.3 % confidence intervals: value ±
error holds the truth about two times in three.
"""

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import stdtrit  # scipy.stats takes long to import

from ..utils.config import SettingError

_CONFIDENCE = 0.682689492
# Of fewer independent values the range of a series says more than any standard error:
# one much shorter than its own correlation time looks as if it had some five to ten.
FEW = 10
# Independent values from which the error of a mean holds, and of a variance.
ENOUGH, ENOUGH_OF_VARIANCE = 20, 40
# Values from which on the inefficiency can be told; correlation of neighbours that is
# one of slow changes where there are fewer.
_MANY, _ALIKE = 40, 0.5
# Lag up to which an autocorrelation may be negative and is summed all the same.
_LEAST_LAG = 3


class Estimate(NamedTuple):
    """A number and its error.

    Attributes
    ----------
    value : float or array
        In the unit that the function which made it states.
    error : float or array
        Half-width of the 68 % confidence interval in the same unit.
    """

    value: float
    error: float


def block_mean(values, weights=None):
    """Mean over blocks along the first axis, and its error.

    Blocks must be longer than what is measured stays correlated: then their means are
    independent (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461, 1989,
    doi:10.1063/1.457480).

    Parameters
    ----------
    values : (n_blocks, ...) array
        The mean of each block.
    weights : (n_blocks,) array, optional
        Weights of the blocks, as their lengths. Default: equal.

    Returns
    -------
    Estimate
        Arrays of shape (...).
    """
    values = np.asarray(values, dtype=float)
    if weights is None:
        weights = np.ones(len(values))
    shape = (-1,) + (1,) * (values.ndim - 1)
    weights = np.asarray(weights, dtype=float).reshape(shape)
    return jackknife(lambda total, weight: total / weight, values * weights, weights)


def jackknife(estimator, *blocks):
    """Function of block sums, and its error by leaving out a block at a time.

    Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982,
    doi:10.1137/1.9781611970319.

    Parameters
    ----------
    estimator : callable
        Takes one sum over blocks per array of `blocks`, returns a number or an array.
    *blocks : (n_blocks, ...) arrays
        Sums of each block.

    Returns
    -------
    Estimate
        The function of all blocks, and its error.
    """
    n = len(blocks[0])
    if n < 2:
        raise ValueError(f"expected at least 2 blocks (--blocks, n_blocks), found {n}")
    blocks = [np.asarray(block, dtype=float) for block in blocks]
    totals = [block.sum(axis=0) for block in blocks]
    # What is not defined, as a ratio of nothing to nothing, is NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        value = estimator(*totals)
        without = np.array(
            [
                estimator(*(t - b[i] for t, b in zip(totals, blocks, strict=True)))
                for i in range(n)
            ]
        )
        spread = np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    error = student_factor(n) * np.sqrt((1 - 1 / n) * spread)
    if np.ndim(value) == 0:
        return Estimate(float(value), float(error))
    return Estimate(value, error)


def replica_mean(estimates):
    """Mean of a quantity over independent runs of one system, and its error.

    From the scatter of the runs or from their own errors, whichever is larger: a
    scatter beyond the errors says that the runs sampled different states.

    Parameters
    ----------
    estimates : sequence of (value, error)
        `Estimate` or any pairs, of runs of about the same length.

    Returns
    -------
    Estimate
    """
    estimates = np.array(list(estimates), dtype=float)
    if estimates.ndim != 2 or estimates.shape[0] == 0 or estimates.shape[1] != 2:
        raise ValueError(
            "expected a value and an error of at least one run, found shape "
            f"{estimates.shape}"
        )
    values, errors = estimates.T
    scatter = values.var(ddof=1) if len(values) > 1 else 0.0
    variance = max(scatter, np.mean(errors**2)) / len(values)
    return Estimate(float(values.mean()), float(np.sqrt(variance)))


def sum_blocks(values, n_blocks):
    """Sum consecutive rows of `values` (n, ...) into (n_blocks, ...) of like length."""
    check_blocks(n_blocks, len(values), "groups of frames")
    return np.add.reduceat(values, block_edges(len(values), n_blocks)[:-1], axis=0)


def check_blocks(n_blocks, present, what="frames", each=1):
    """Refuse blocks that errors cannot come from.

    Parameters
    ----------
    n_blocks : int
    present : int
        Frames that there are, or groups of them.
    what : str, optional
        What these are.
    each : int, optional
        Frames that a block needs.

    Raises
    ------
    SettingError
        If there are less than two blocks, or too few frames for them.
    """
    if n_blocks < 2:
        raise SettingError(
            f"expected at least 2 blocks (--blocks, n_blocks), found {n_blocks}",
            "blocks",
        )
    if present < each * n_blocks:
        raise SettingError(
            f"expected at least {each * n_blocks} {what} for errors from {n_blocks} "
            f"blocks, found {present}; give a longer run, frames at shorter intervals "
            "or fewer --blocks (n_blocks)",
            "blocks",
        )


def block_edges(n, n_blocks):
    """Edges (n_blocks + 1,) of blocks of about one length in `n` values."""
    return np.linspace(0, n, n_blocks + 1).astype(int)


def student_factor(n):
    """Factor of a standard error from `n` samples that bounds 68.3 %."""
    return stdtrit(n - 1, 0.5 * (1 + _CONFIDENCE))


def series_mean(values):
    """Mean of an equilibrated time series, and its error.

    The error is that of n / g independent values, with the statistical inefficiency g
    as pymbar has it (Chodera, Swope, Pitera, Seok and Dill, J. Chem. Theory Comput. 3,
    26, 2007, doi:10.1021/ct0502864). Of fewer than 20 such values g is too small,
    since a series that is not many times longer than its own correlation time does
    not show it: the error is then twice that, and of fewer than 10 the range of the
    series.

    Parameters
    ----------
    values : (n,) array
        Values at equal intervals of time, at least 10.

    Returns
    -------
    Estimate
    """
    values = _checked_series(values)
    independent = independent_values(values)
    mean = _mean_of(values, independent)
    if independent < FEW:
        return mean._replace(error=max(mean.error, float(np.ptp(values))))
    if independent < ENOUGH:
        return mean._replace(error=2 * mean.error)
    return mean


def series_covariance(first, second=None):
    """Unbiased covariance of two time series, or variance of one, and its error.

    Of fewer than 40 independent values the error is twice the standard one, and of
    fewer than 20 at least the product of the series' standard deviations.

    Parameters
    ----------
    first, second : (n,) arrays
        As in `series_mean`. Default of `second`: `first`.

    Returns
    -------
    Estimate
        In the product of the units of the two.
    """
    first = np.asarray(first, dtype=float)
    second = first if second is None else np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(
            f"expected series of one length, found {first.shape} and {second.shape}"
        )
    deviations = first - first.mean(), second - second.mean()
    product = _checked_series(deviations[0] * deviations[1])
    product = _mean_of(product, independent_values(product))
    # Deviations from the sample's own mean are too small: by 1 / n of independent ones.
    independent = min(map(independent_values, deviations))
    factor = 1 / (1 - min(0.5, 1 / independent))
    error = product.error * factor
    if independent < ENOUGH_OF_VARIANCE:
        error *= 2
    if independent < ENOUGH:
        error = max(error, factor * float(first.std() * second.std()))
    return Estimate(product.value * factor, error)


def independent_values(values):
    """Number of independent values in a time series (n,), from its inefficiency."""
    return len(values) / statistical_inefficiency(np.asarray(values, dtype=float))


def statistical_inefficiency(values):
    """Frames per independent value, g ≥ 1, as by pymbar; 1 for a constant.

    Twice the sum of the autocorrelation up to where it first falls to 0, from the
    fourth lag on.
    """
    n = len(values)
    if np.ptp(values) == 0:
        return 1.0
    deviations = values - np.mean(values)
    spectrum = rfft(deviations, n=next_fast_len(2 * n, real=True))
    products = irfft(np.abs(spectrum) ** 2, n=next_fast_len(2 * n, real=True))[:n]
    lags = np.arange(1, n)
    correlation = products[1:] / (n - lags) * (n / products[0])
    ends = np.flatnonzero((correlation <= 0) & (lags > _LEAST_LAG))
    terms = correlation * (1 - lags / n)
    return max(1.0, 1 + 2 * float(terms[: ends[0] if len(ends) else n].sum()))


def holds_few(values):
    """Whether a time series (n,) holds fewer than 20 independent values.

    Of less than 40 values the inefficiency says little, and only those count that are
    like their neighbours; less than 20 values are few in any case.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < ENOUGH:
        return True
    if np.ptp(values) == 0 or independent_values(values) >= ENOUGH:
        return False
    if len(values) >= _MANY:
        return True
    deviations = values - values.mean()
    alike = deviations[1:] @ deviations[:-1]
    return bool(alike > _ALIKE * (deviations @ deviations))


def widen(error, values):
    """Widen the error of a mean over blocks of a series that holds few values.

    Its blocks are as correlated as the series: the error is doubled, and of fewer than
    10 independent values the range of ten blocks at least.

    Parameters
    ----------
    error : float
        From blocks, as by `jackknife`.
    values : (n,) array
        The series that was averaged.

    Returns
    -------
    float
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or not holds_few(values):
        return error
    independent = independent_values(values)
    if independent >= FEW or np.ptp(values) == 0:
        return 2 * error if independent < len(values) else error
    blocks = [part.mean() for part in np.array_split(values, min(FEW, len(values)))]
    return max(error, float(np.ptp(blocks)))


def few_factor(values):
    """Factor of errors of a curve from blocks of a series that holds few values.

    1 where it holds enough; of a curve there is no range that `widen` could take.
    """
    values = np.asarray(values, dtype=float)
    independent = independent_values(values)
    if not holds_few(values) or independent == len(values):
        return 1.0
    return 2 * max(1.0, float(np.sqrt(FEW / independent)))


def slow_mean(values, error=0.0):
    """Mean of a series of rapid noise upon slow changes, and its error.

    As `series_mean`, but each value holds the rapid noise, as a kinetic energy of a few
    atoms does, so that no range is an error: of fewer than 20 independent values half
    as many count, and of fewer than 10 a third, since a series that is short against
    its own slow changes shows too many.

    Parameters
    ----------
    values : (n,) array
    error : float, optional
        Another error of the mean, as from blocks: the larger one is taken.

    Returns
    -------
    Estimate
    """
    values = np.asarray(values, dtype=float)
    if len(values) < FEW:
        return Estimate(float(values.mean()), widen(error, values))
    independent = independent_values(values)
    if independent < ENOUGH and np.ptp(values) > 0:
        independent /= 2 if independent >= FEW else 3
    mean = _mean_of(values, independent)
    return mean._replace(error=max(error, mean.error))


def _checked_series(values):
    """Float array (n,) of at least 10 finite values; ValueError otherwise."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"expected one series of values, found shape {values.shape}")
    if len(values) < 10:
        raise ValueError(
            f"expected at least 10 values over time, found {len(values)}; give a "
            "longer run, or values at shorter intervals"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite values, found NaN or infinity")
    return values


def _mean_of(values, independent):
    """Mean of values (n,), of which so many are independent, and its error."""
    # Fewer than two independent values say nothing about their spread.
    independent = max(independent, 2.0)
    spread = values.std(ddof=1) / np.sqrt(independent)
    return Estimate(float(values.mean()), float(student_factor(independent) * spread))
