# SPDX-License-Identifier: MIT
"""Rates of jumps, residence times, and the diffusion that jumps would give."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...units import NM2_PER_PS_TO_CM2_PER_S
from ..defaults import LONG_BLOCKS
from ..statistics import Estimate, block_edges, check_blocks, jackknife
from .density import KIND

# Lengths of jumps in nm between which so large a gap lies are of different kinds.
_GAP = 0.02
# Places in nm that are the same.
_SAME = 1e-4
# Fewer jumps tell little of rates; fewer stays at a site of a density, on average, do
# not show that it is one.
_FEW, _FEW_STAYS = 20, 5
# Points of survival functions.
_MOST_TIMES = 100


class Residence(NamedTuple):
    """Stays at sites of one kind.

    Attributes
    ----------
    time : Estimate
        Mean residence time in ps: time spent over departures. NaN without any.
    lag_times : (n,) array
        In ps, from 0.
    survival, survival_error : (n,) arrays
        Probability that a stay lasts so long.
    n_stays : int
        Stays whose begin was seen.
    censored : int
        Those of them whose end was not.
    """

    time: Estimate
    lag_times: np.ndarray
    survival: np.ndarray
    survival_error: np.ndarray
    n_stays: int
    censored: int


class Jumps(NamedTuple):
    """Jumps of ions between sites.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of jumps: kinds of the two sites, and where there are several what tells
        them apart, as ``"A-B in a cage, 0.19 nm"``.
    rates : Estimate of (n_kinds,) arrays
        In 1/ps: jumps of an ion that is at a site of the first kind.
    numbers : (n_kinds,) array of int
    lengths : (n_kinds,) array
        Root mean square in nm.
    parts : Estimate of (n_kinds,) arrays
        Parts of `diffusion` in cm²/s.
    diffusion : Estimate
        Coefficient in cm²/s that the jumps would give if they did not depend on each
        other.
    residences : dict of str to Residence
        By kind of site.
    occupations : dict of str to float
        Mean number of ions at a site of each kind.
    cosine : Estimate
        Mean cosine of the angle between an ion's successive jumps, 0 of a random walk.
    returns : Estimate
        Part of the jumps that lead back to where the one before came from.
    doubts : tuple of str
        ``"few"`` jumps, fewer than 20; ``"sparse"`` stays, fewer than 5 at a site on
        average, of sites that a density has shown; a ``"brief"`` run, in which ions
        stay longer than it lasts. Of the first two the errors of rates, of their times
        and of the diffusion hold 0 too.
    """

    kinds: tuple
    rates: Estimate
    numbers: np.ndarray
    lengths: np.ndarray
    parts: Estimate
    diffusion: Estimate
    residences: dict
    occupations: dict
    cosine: Estimate
    returns: Estimate
    doubts: tuple


def jumps(stays, sites, *, edges=None, n_blocks=LONG_BLOCKS):
    r"""Count jumps by kind: rates, residence times, and diffusion by jumps.

    .. math::
        k_{AB} = \frac{n_{AB}}{t_A}, \qquad \tau_A = \frac{t_A}{\sum_B n_{AB}}, \qquad
        D_J = \frac{1}{6 N t} \sum a^2

    with the time :math:`t_A` that ions spent at sites A, that of stays without begin or
    end included: of exponential stays these are the most likely rates (Albert, Ann.
    Math. Stat. 33, 727, 1962). :math:`D_J`, and its ratio to the tracer's coefficient,
    the correlation factor, are those of de Klerk, van der Maas and Wagemaker, ACS Appl.
    Energy Mater. 1, 3230, 2018, doi:10.1021/acsaem.8b00457.
    The probability that a stay lasts is the product-limit estimate of stays whose begin
    was seen (Kaplan and Meier, J. Am. Stat. Assoc. 53, 457, 1958,
    doi:10.1080/01621459.1958.10501452), in which one whose end was not counts as long
    as it was seen.

    Errors are a jackknife over blocks of time, and at least those of so many
    independent jumps; see `Jumps` for where they hold 0 too.

    Parameters
    ----------
    stays : Stays
    sites : Sites
    edges : sequence of float, optional
        Lengths in nm that divide jumps into kinds. Default: gaps in the lengths of
        the jumps that were seen.
    n_blocks : int, optional

    Returns
    -------
    Jumps

    Raises
    ------
    ValueError
        If no jump was seen.
    """
    before = stays.jumps
    if len(before) == 0:
        raise ValueError(
            f"expected jumps between sites, found none in {stays.n_frames} frames of "
            f"{stays.n_ions} ions"
        )
    check_blocks(n_blocks, stays.n_frames)
    blocks = block_edges(stays.n_frames, n_blocks)
    vectors = stays.places[before + 1] - stays.places[before]
    lengths = np.linalg.norm(vectors, axis=1)
    names, which = _kinds(stays, sites, before, lengths, edges)
    block = np.searchsorted(blocks, stays.starts[before + 1], side="right") - 1
    numbers = _sums(block, which, len(names), n_blocks)
    squares = _sums(block, which, len(names), n_blocks, lengths**2)
    spent = _time_spent(stays, sites, blocks)
    start = np.array([sites.names.index(first) for first, *_ in names])
    rates = jackknife(np.divide, numbers, spent[:, start])
    parts = jackknife(_part, squares, spent.sum(axis=1))
    diffusion = jackknife(lambda a, t: _part(a.sum(), t), squares, spent.sum(axis=1))
    total = numbers.sum(axis=0)
    doubts = _doubts(stays, sites)
    # A long jump counts for several short ones.
    in_all = (lengths**2).sum() ** 2 / (lengths**4).sum()
    if doubts in ((), ("brief",)):
        events, left = total, np.inf
    else:
        events, in_all, left = np.ones_like(total), 1, 1
    return Jumps(
        kinds=_labels(names),
        rates=_at_least(rates, events),
        numbers=total.astype(int),
        lengths=np.sqrt(squares.sum(axis=0) / total),
        parts=_at_least(parts, events),
        diffusion=_at_least(diffusion, in_all),
        residences=_residences(stays, sites, blocks, spent, left),
        doubts=doubts,
        occupations={
            name: float(stays.occupation[sites.numbers == k].mean())
            for k, name in enumerate(sites.names)
        },
        **_memory(stays, before, vectors, lengths, block, n_blocks),
    )


def _doubts(stays, sites):
    """Name what makes rates doubtful, see `Jumps`."""
    n_jumps, n_stays = len(stays.jumps), len(stays.ions)
    at_sites = (stays.stops - stays.starts).sum()
    present = {
        "few": n_jumps < _FEW,
        "sparse": sites.names == [KIND] and n_stays < _FEW_STAYS * len(sites.kinds),
        "brief": at_sites > n_jumps * stays.n_frames,
    }
    return tuple(name for name, holds in present.items() if holds)


def _part(squares, time):
    return NM2_PER_PS_TO_CM2_PER_S * squares / (6 * time)


def _sums(block, which, n_kinds, n_blocks, weights=None):
    """Sums (n_blocks, n_kinds) of what is counted, or of its weights."""
    keys = block * n_kinds + which
    sums = np.bincount(keys, weights, minlength=n_blocks * n_kinds)
    return sums.reshape(n_blocks, n_kinds).astype(float)


def _kinds(stays, sites, before, lengths, edges):
    """Names of the kinds of jumps, and the kind (n,) of each.

    A name is (first site, second site, cages, length).
    """
    numbers, names = sites.numbers, sites.names
    first, second = stays.sites[before], stays.sites[before + 1]
    cages = np.zeros(len(before), dtype=int)
    if sites.cages is not None:
        to_center = (sites.cages - sites.fractional) @ sites.cell
        centers = [
            stays.places[before + k] + to_center[at]
            for k, at in enumerate((first, second))
        ]
        cages = 1 + (np.linalg.norm(centers[1] - centers[0], axis=1) > _SAME)
    groups = np.stack([numbers[first], numbers[second], cages], axis=1)
    found, group = np.unique(groups, axis=0, return_inverse=True)
    group = group.ravel()
    kinds, which = [], np.zeros(len(before), dtype=int)
    for k, (a, b, cage) in enumerate(found):
        members = np.flatnonzero(group == k)
        if edges is None:
            classes, texts = _by_gaps(lengths[members])
        else:
            classes, texts = _by_edges(lengths[members], edges)
        for number, text in enumerate(texts):
            which[members[classes == number]] = len(kinds)
            word = ("", " in a cage", " between cages")[cage]
            kinds.append((names[a], names[b], word, text))
    return kinds, which


def _by_gaps(lengths):
    """Class (n,) of each length, and the name of each class."""
    order = np.argsort(lengths)
    classes = np.empty(len(lengths), dtype=int)
    classes[order] = np.append(0, np.cumsum(np.diff(lengths[order]) > _GAP))
    if classes.max() == 0:
        return classes, [""]
    means = [lengths[classes == k].mean() for k in range(classes.max() + 1)]
    return classes, [f"{mean:.2f} nm" for mean in means]


def _by_edges(lengths, edges):
    edges = np.sort(np.asarray(edges, dtype=float))
    present, classes = np.unique(np.searchsorted(edges, lengths), return_inverse=True)
    if len(edges) == 0:
        return classes.ravel(), [""]
    texts = [f"below {edges[0]:.3g} nm"]
    texts += [f"{a:.3g}-{b:.3g} nm" for a, b in pairwise(edges)]
    texts.append(f"above {edges[-1]:.3g} nm")
    return classes.ravel(), [texts[k] for k in present]


def _labels(names):
    return tuple(
        f"{a}-{b}{cage}{f', {text}' if text else ''}" for a, b, cage, text in names
    )


def _time_spent(stays, sites, blocks):
    """Time (n_blocks, n_kinds) in ps that ions spent at sites of each kind."""
    low, high = blocks[:-1, None], blocks[1:, None]
    frames = np.minimum(stays.stops, high) - np.maximum(stays.starts, low)
    frames = np.maximum(frames, 0) * stays.time_step
    kinds = sites.numbers[stays.sites]
    return np.stack(
        [np.bincount(kinds, row, minlength=len(sites.names)) for row in frames]
    )


def _at_least(estimate, numbers):
    """Errors of at least those of so many independent events."""
    floor = np.abs(estimate.value) / np.sqrt(np.maximum(numbers, 1))
    error = np.fmax(estimate.error, floor)
    return Estimate(estimate.value, error if np.ndim(error) else float(error))


def _memory(stays, before, vectors, lengths, block, n_blocks):
    """Mean cosine of successive jumps, and the part of them that lead back."""
    nothing = Estimate(np.nan, np.nan)
    later = np.flatnonzero(np.diff(before) == 1) + 1
    if len(later) == 0:
        return {"cosine": nothing, "returns": nothing}
    products = np.einsum("nx,nx->n", vectors[later], vectors[later - 1])
    cosines = products / (lengths[later] * lengths[later - 1])
    back = np.linalg.norm(vectors[later] + vectors[later - 1], axis=1) < _SAME
    number = np.bincount(block[later], minlength=n_blocks)
    return {
        name: jackknife(
            np.divide, np.bincount(block[later], values, minlength=n_blocks), number
        )
        for name, values in (("cosine", cosines), ("returns", back))
    }


def _residences(stays, sites, blocks, spent, most):
    """Residence of each kind of site, by its name; errors of `most` departures."""
    kinds = sites.numbers[stays.sites]
    n_blocks = len(blocks) - 1
    residences = {}
    for k, name in enumerate(sites.names):
        at = kinds == k
        left = np.searchsorted(blocks, stays.stops[at & stays.ended], side="right") - 1
        departures = np.bincount(np.minimum(left, n_blocks - 1), minlength=n_blocks)
        time = Estimate(np.nan, np.nan)
        if departures.any():
            mean = jackknife(np.divide, spent[:, k], departures)
            time = _at_least(mean, min(departures.sum(), most))
        whole = at & stays.begun
        residences[name] = Residence(
            time, *_survival(stays, whole, blocks), *_censored(stays, whole)
        )
    return residences


def _censored(stays, whole):
    return int(whole.sum()), int((whole & ~stays.ended).sum())


def _survival(stays, whole, blocks):
    """Product-limit estimate: times, survival and its error."""
    n_blocks = len(blocks) - 1
    lasted = (stays.stops - stays.starts)[whole]
    ended = stays.ended[whole]
    block = np.searchsorted(blocks, stays.starts[whole], side="right") - 1
    longest = int(lasted.max()) if len(lasted) else 0
    if not ended.any():
        return np.zeros(1), np.ones(1), np.zeros(1)
    at_risk = np.zeros((n_blocks, longest + 1))
    events = np.zeros((n_blocks, longest + 1))
    np.add.at(events, (block[ended], lasted[ended]), 1)
    np.add.at(at_risk, (block, lasted), 1)
    at_risk = np.cumsum(at_risk[:, ::-1], axis=1)[:, ::-1]

    def survival(lost, held):
        # Where none is at risk any more, nothing further is known.
        return np.cumprod(
            1 - np.divide(lost, held, out=np.zeros_like(lost), where=held > 0)
        )

    values, errors = jackknife(survival, events, at_risk)
    shown = np.unique(np.geomspace(1, longest, min(_MOST_TIMES, longest)).astype(int))
    shown = np.append(0, shown)
    return shown * stays.time_step, values[shown], errors[shown]
