# SPDX-License-Identifier: MIT
"""Lifetimes of contacts, and their continuous and intermittent survival."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.sparse import csr_array

from ..defaults import LONG_BLOCKS
from ..statistics import Estimate, block_edges, jackknife
from .correlation import Correlation, frame_lags, noise_start

_MAX_LAGS = 100
# Part of the contacts that may outlast the integral of a residence time.
REMAINING = 0.05
# Part from which on nothing is known of a decay.
_WHOLE = 0.995


class Survival(NamedTuple):
    """Lifetime of contacts and their survival functions.

    Attributes
    ----------
    lifetime : Estimate
        Time in ps that a contact lasts, time in contact per break: 1 / rate of an
        exponential S(t). NaN if none broke.
    residence_time : Estimate
        Time in ps after which a contact is forgotten, breaks that heal included: the
        integral of (C(t) - C(∞)) / (1 - C(∞)), C(∞) that of random encounters.
    lag_times : (n_lags,) array
        In ps, from 0.
    continuous, continuous_error : (n_lags,) arrays
        S(t), probability that a contact has held without a break.
    intermittent, intermittent_error : (n_lags,) arrays
        C(t), probability that a contact is there again or still.
    random : float
        C(∞), part of all pairs that are in contact at a time.
    n_breaks : int
        Breaks that were seen.
    remaining : float
        Value of (C(t) - C(∞)) / (1 - C(∞)) where the integral ends. Where it is more
        than a few percent, contacts outlast the longest lag and `residence_time` is
        a lower bound: its error holds the rest of an exponential decay.
    """

    lifetime: Estimate
    residence_time: Estimate
    lag_times: np.ndarray
    continuous: np.ndarray
    continuous_error: np.ndarray
    intermittent: np.ndarray
    intermittent_error: np.ndarray
    random: float
    n_breaks: int
    remaining: float = np.nan


def survival(contacts, *, max_lag=None, n_blocks=LONG_BLOCKS):
    r"""Survival functions and times of contacts.

    .. math::
        C(t) = \frac{\langle h(0) h(t) \rangle}{\langle h \rangle}, \qquad
        S(t) = \frac{\langle h(0) H(t) \rangle}{\langle h \rangle}

    with h 1 in contact and H 1 while the contact holds (Rapaport, Mol. Phys. 50, 1151,
    1983, doi:10.1080/00268978300102931; Luzar and Chandler, Nature 379, 55, 1996,
    doi:10.1038/379055a0). Contacts that the end of the trajectory cuts off count as
    long as they were seen.

    Parameters
    ----------
    contacts : Contacts
        From `contacts.contacts`.
    max_lag : float, optional
        Longest lag time in ps. Default: a twentieth of the trajectory.
    n_blocks : int, optional
        Blocks of time origins that the errors come from.

    Returns
    -------
    Survival
    """
    if len(contacts.starts) == 0:
        raise ValueError("expected at least one contact, found none")
    n_frames, time_step = contacts.n_frames, contacts.time_step
    longest = frame_lags(n_frames, time_step, max_lag, n_blocks)[-1]
    lags = np.geomspace(1, longest, min(_MAX_LAGS, longest)).astype(int)
    lags = np.append(0, np.unique(lags))
    edges = block_edges(n_frames, n_blocks)
    present = _table(contacts)
    held = present.sum(axis=1)
    origins = np.stack([_by_block(held[: n_frames - m], edges) for m in lags], axis=1)
    if not origins[:, -1].sum() > 0:
        raise ValueError("expected contacts from which to look ahead, found none")
    unbroken = _unbroken(contacts, edges)[:, lags]
    again = np.stack([_by_block(_both(present, m), edges) for m in lags], axis=1)
    continuous = jackknife(np.divide, unbroken, origins)
    intermittent = jackknife(np.divide, again, origins)
    meetings = _by_block(held / contacts.n_pairs, edges)
    residence, remaining = _residence(lags * time_step, again, origins, meetings, edges)
    return Survival(
        lifetime=_lifetime(contacts, held, edges),
        residence_time=residence,
        lag_times=lags * time_step,
        continuous=continuous.value,
        continuous_error=continuous.error,
        intermittent=intermittent.value,
        intermittent_error=intermittent.error,
        random=float(meetings.sum() / n_frames),
        n_breaks=int(np.sum(contacts.stops < n_frames)),
        remaining=remaining,
    )


def _table(contacts):
    """Sparse table (n_frames, pairs that ever touched) of 0 and 1."""
    _, columns = np.unique(contacts.pairs, axis=0, return_inverse=True)
    lengths = contacts.stops - contacts.starts
    first = np.repeat(contacts.starts - np.cumsum(lengths) + lengths, lengths)
    frames = first + np.arange(lengths.sum())
    columns = np.repeat(columns, lengths)
    shape = contacts.n_frames, columns.max() + 1
    return csr_array((np.ones(len(frames)), (frames, columns)), shape=shape)


def _by_block(values, edges):
    """Sums (n_blocks,) of values by frame, which may end before the last edge."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.diff(sums[np.minimum(edges, len(values))])


def _both(present, lag):
    """Contacts of each frame that are there `lag` frames later."""
    n_frames = present.shape[0]
    return present[: n_frames - lag].multiply(present[lag:]).sum(axis=1)


def _unbroken(contacts, edges):
    """Numbers of origins (n_blocks, n_frames) whose contact outlasts each lag."""
    lasting_by_block = []
    for start, stop in pairwise(edges):
        inside = (contacts.stops > start) & (contacts.starts < stop)
        first = np.maximum(contacts.starts[inside], start)
        count = np.minimum(contacts.stops[inside], stop) - first
        # Successive origins of a contact have one frame less left.
        left = contacts.stops[inside] - first
        ends = np.bincount(left, minlength=contacts.n_frames + 1)
        begins = np.bincount(left - count, minlength=contacts.n_frames + 1)
        lasting = np.cumsum((ends - begins)[::-1])[::-1]
        lasting_by_block.append(np.cumsum(lasting[::-1])[::-1][1:])
    return np.array(lasting_by_block, dtype=float)


def _lifetime(contacts, held, edges):
    """Steps in contact over steps in which a contact broke, as a time."""
    n_frames = contacts.n_frames
    broke = contacts.stops[contacts.stops < n_frames] - 1
    if len(broke) == 0:
        return Estimate(np.nan, np.nan)
    breaks = _by_block(np.bincount(broke, minlength=n_frames), edges)
    steps = _by_block(held[:-1], edges)

    def lifetime(broken, seen):
        # A contact that holds each step with probability 1 - p decays as this rate.
        return -contacts.time_step / np.log1p(-broken / seen)

    value, error = jackknife(lifetime, breaks, steps)
    # Blocks of few breaks scatter less than breaks at random times would.
    return Estimate(value, float(np.fmax(error, value / np.sqrt(len(broke)))))


def _residence(times, again, origins, meetings, edges):
    """Integral of C(t) above random encounters, up to its noise; and its last value."""
    even = np.arange(0, times[-1] + 0.5 * times[1], times[1])
    sums = again, origins, meetings, np.diff(edges)

    def excess(together, origins, meetings, frames):
        random = meetings / frames
        return np.interp(even, times, (together / origins - random) / (1 - random))

    function = Correlation(even, *jackknife(excess, *sums))
    last = noise_start(function)
    integral = jackknife(
        lambda *totals: trapezoid(excess(*totals)[: last + 1], even[: last + 1]), *sums
    )
    remaining = float(function.values[last])
    if remaining > REMAINING:
        # Of exp(-t / tau) the rest is its last value times tau; that and half allowed.
        decay = -np.log(remaining) if remaining < _WHOLE else 0.0
        rest = 1.5 * remaining * even[last] / decay if decay else np.inf
        integral = integral._replace(error=max(integral.error, float(rest)))
    return integral, remaining
