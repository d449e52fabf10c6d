# SPDX-License-Identifier: MIT
"""Time correlation functions with errors, and their running integrals."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.integrate import cumulative_trapezoid

from ...utils.config import SettingError
from ..defaults import BLOCKS
from ..statistics import Estimate, block_edges, block_mean, check_blocks, jackknife

# A correlation function is noise where its mean size is below this many of its errors;
# the mean size of Gaussian noise is 0.8.
_NOISE = 1.2
# Part of its first value below which a function has decayed where it is cut off, and
# part of an integral by which its second half may change where it has a plateau: a
# function that only crosses zero at its last lag has none.
_LEFT, _LEVEL = 0.02, 0.1
# Tails that are missing are guessed from an exponential decay; this many are allowed.
_TAIL = 1.5


class Correlation(NamedTuple):
    """Time correlation function.

    Attributes
    ----------
    lag_times : (n_lags,) array
        In ps, from 0.
    values, error : (n_lags,) arrays
        In the unit that the function which made it states.
    """

    lag_times: np.ndarray
    values: np.ndarray
    error: np.ndarray


class GreenKubo(NamedTuple):
    """Transport coefficient as the integral of a correlation function.

    Attributes
    ----------
    coefficient : Estimate
        The running integral at `cutoff`; where `finished` is false its error holds
        what may be missing.
    lag_times : (n_lags,) array
        In ps, from 0.
    running, running_error : (n_lags,) arrays
        Integral up to each lag time, in the unit of `coefficient`.
    cutoff : float
        In ps. Where it is the longest lag, the function had not become noise.
    finished : bool
        Whether the function had decayed at `cutoff`: otherwise the integral has not
        ended.
    """

    coefficient: Estimate
    lag_times: np.ndarray
    running: np.ndarray
    running_error: np.ndarray
    cutoff: float
    finished: bool = True


def correlation(sums, counts, time_step):
    """Correlation function of the block sums that `block_correlations` gives."""
    values, error = jackknife(lambda total, terms: total / terms, sums, counts)
    return Correlation(np.arange(len(values)) * time_step, values, error)


def green_kubo(sums, counts, time_step, *, factor, cutoff=None):
    """Running integral of a correlation function, times `factor`, and its cutoff.

    Parameters
    ----------
    sums, counts : (n_blocks, n_lags) arrays
        From `block_correlations`.
    time_step : float
        Time between frames in ps.
    factor : float
        Factor of the integral.
    cutoff : float, optional
        In ps. Default: `noise_start` of the correlation function.

    Returns
    -------
    GreenKubo
    """
    function = correlation(sums, counts, time_step)
    integrals = factor * cumulative_trapezoid(
        sums / counts, dx=time_step, axis=1, initial=0.0
    )
    running, error = block_mean(integrals)
    if cutoff is None:
        last = noise_start(function)
    elif time_step <= cutoff <= function.lag_times[-1] * (1 + 1e-6):
        last = round(cutoff / time_step)
    else:
        raise SettingError(
            f"expected a cutoff from {time_step:.6g} to {function.lag_times[-1]:.6g} "
            f"ps, the longest lag, found {cutoff:.6g} ps",
            "cutoff",
        )
    finished = cutoff is None and last < len(function.values) - 1
    level = _is_level(running, error, last)
    finished = finished or (level and _has_decayed(function, last))
    uncertain = float(error[last])
    if not finished:
        uncertain = max(uncertain, abs(factor) * _tail(function, last))
    return GreenKubo(
        coefficient=Estimate(float(running[last]), uncertain),
        lag_times=function.lag_times,
        running=running,
        running_error=error,
        cutoff=float(function.lag_times[last]),
        finished=finished,
    )


def noise_start(function):
    """Index of the lag at which a correlation function has become noise.

    Twice the shortest lag t from which to 2 t the mean of |C| / error is below 1.2: a
    function that crosses zero and comes back is not cut there. The longest lag where
    there is none.
    """
    # At lag 0 a normalised function has no error.
    size = np.abs(function.values[1:]) / np.maximum(function.error[1:], 1e-300)
    for first in range(1, len(size) // 2 + 1):
        if size[first - 1 : 2 * first].mean() < _NOISE:
            return 2 * first
    return len(size)


def _has_decayed(function, last):
    """Whether a correlation function is near nothing, or noise, at a lag."""
    left = np.abs(function.values[last])
    return bool(left < max(_LEFT * abs(function.values[0]), 2 * function.error[last]))


def _is_level(running, error, last):
    """Whether an integral changes little over the second half of the way to a lag."""
    change = np.abs(running[last] - running[last // 2 : last + 1]).max()
    return bool(change <= max(_LEVEL * abs(running[last]), 2 * error[last]))


def _tail(function, last):
    """Integral beyond a lag that an exponential decay to there would have, and half.

    Of a function that crosses zero, as large as over the second half of the way there.
    """
    start, left = abs(function.values[0]), abs(function.values[last])
    end = function.lag_times[last]
    decay = end / np.log(start / left) if 0 < left < start else end
    if left >= start:
        decay = np.inf
    size = max(left, float(np.abs(function.values[last // 2 : last + 1]).mean()))
    # Of a function that comes back from below, the lag is the only time known.
    longest = max(end, decay) if function.values[last] > 0 else end
    return _TAIL * max(left * longest, size * end)


def block_correlations(first, second, time_step, max_lag=None, n_blocks=BLOCKS):
    """Sums of products of two series at a lag, by blocks of time origins.

    Parameters
    ----------
    first, second : (n_frames, ...) arrays
        Products are summed over all but the first axis.
    time_step : float
        Time between frames in ps.
    max_lag : float, optional
        Longest lag time in ps. Default: a twentieth of the series.
    n_blocks : int, optional
        Blocks of origins of equal length, each longer than `max_lag`.

    Returns
    -------
    sums : (n_blocks, n_lags) array
        Of first(t) second(t + lag) over the origins t of a block; t + lag may lie in
        the next.
    counts : (n_blocks, n_lags) array
        Numbers of origins.
    """
    n_frames = len(first)
    first = np.asarray(first, dtype=float).reshape(n_frames, -1)
    second = np.asarray(second, dtype=float).reshape(n_frames, -1)
    lags = frame_lags(n_frames, time_step, max_lag, n_blocks)
    longest = lags[-1]
    edges = block_edges(n_frames, n_blocks)
    sums, counts = [], []
    for start, stop in pairwise(edges):
        origins, later = first[start:stop], second[start : stop + longest]
        padded = next_fast_len(len(later) + longest, real=True)
        spectrum = rfft(origins, n=padded, axis=0)
        product = np.conj(spectrum) * rfft(later, n=padded, axis=0)
        sums.append(irfft(product.sum(axis=1), n=padded)[: longest + 1])
        counts.append(np.minimum(stop, n_frames - lags) - start)
    return np.array(sums), np.array(counts)


def frame_lags(n_frames, time_step, max_lag, n_blocks):
    """Lags (n_lags,) in frames from 0 to `max_lag` ps, shorter than a block."""
    check_blocks(n_blocks, n_frames, each=2)
    block = n_frames // n_blocks
    if max_lag is None:
        last = max(1, n_frames // 20)
    elif time_step * (1 - 1e-6) <= max_lag <= (block - 1) * time_step * (1 + 1e-6):
        last = int(max_lag / time_step * (1 + 1e-6))
    else:
        raise SettingError(
            f"expected a longest lag (--max-lag, max_lag) from {time_step:.6g} to "
            f"{(block - 1) * time_step:.6g} ps, less than each of {n_blocks} blocks "
            f"(--blocks, n_blocks), found {max_lag:.6g} ps",
            "max_lag",
            "blocks",
        )
    return np.arange(min(last, block - 1) + 1)
