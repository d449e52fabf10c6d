# SPDX-License-Identifier: MIT
"""Free energy surfaces from umbrella windows, by MBAR.

Shirts and Chodera, J. Chem. Phys. 129, 124105, 2008, doi:10.1063/1.2978177.
"""

from dataclasses import dataclass

import numpy as np

from ...units import GAS_CONSTANT
from ..states import LEAST_OVERLAP, state_free_energies
from ..statistics import block_edges, statistical_inefficiency
from .axes import flat_bins, shape_of
from .surface import (
    Replicates,
    Surface,
    check_inside,
    check_length,
    free_energy,
    make_surface,
    series_of,
    visits_of,
    widening,
)

# Steps of Newton's method where a block is left out: the first leaves a thousandth.
_STEPS = 3


@dataclass(frozen=True)
class Windows:
    """Umbrella windows, put together.

    Attributes
    ----------
    surface : Surface
    free_energies : (K,) array
        Of each window relative to the first, in kJ/mol.
    errors : (K,) array
        Half-widths of 68 % intervals of those, in kJ/mol.
    overlap : (K, K) array
        Probability that a sample of window i could be of window j; rows add up to 1.
    inefficiency : (R,) array
        Samples of each run per independent one.
    independent : (K,) array
        Independent values in each window.
    """

    surface: Surface
    free_energies: np.ndarray
    errors: np.ndarray
    overlap: np.ndarray
    inefficiency: np.ndarray
    independent: np.ndarray

    def weak(self):
        """Split windows where the overlap is poor: lists of those that hold together.

        Two hold together by an overlap of at least 0.03 either way, or by others.
        """
        linked = np.minimum(self.overlap, self.overlap.T) >= LEAST_OVERLAP
        left, groups = set(range(len(linked))), []
        while left:
            group, edge = set(), {min(left)}
            while edge:
                group |= edge
                edge = {j for i in edge for j in np.flatnonzero(linked[i])} - group
            groups.append(sorted(map(int, group)))
            left -= group
        return groups


def combine_windows(runs, energies, axes, temperature, *, states=None, n_blocks=5):
    """Put umbrella windows together.

    Samples are thinned out to about two for each independent one. Errors are by the
    jackknife over blocks of each run: MBAR is solved again without each.

    Parameters
    ----------
    runs : sequence of R (n_r, d) arrays
        The variables of the surface along each run in a window, equilibrated.
    energies : sequence of R (n_r, K) arrays
        Energy of each sample in the restraints of every window, in kJ/mol.
    axes : tuple of d Axis
    temperature : float
        In K.
    states : sequence of R int, optional
        Window of each run. Default: a window for each run, in order.
    n_blocks : int
        Blocks of each run.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If there is one window, one without a run, or too few samples in a run.
    """
    runs = [np.asarray(run, dtype=float) for run in runs]
    energies = [np.asarray(energy, dtype=float) for energy in energies]
    states = np.arange(len(runs)) if states is None else np.asarray(states)
    number = energies[0].shape[1]
    if number < 2 or set(states.tolist()) != set(range(number)):
        raise ValueError(
            f"expected at least 2 windows with a run each, found {number} windows and "
            f"runs of {len(set(states.tolist()))}"
        )
    series = [series_of(run, axes) for run in runs]
    inefficiency = np.array([max(map(statistical_inefficiency, x)) for x in series])
    thermal = GAS_CONSTANT * temperature
    parts, kept = [], []
    for number, (run, energy) in enumerate(zip(runs, energies, strict=True)):
        check_length(len(run), n_blocks)
        stride = min(int(0.5 * inefficiency[number]), len(run) // (2 * n_blocks))
        chosen = slice(None, None, max(1, stride))
        kept.append(run[chosen])
        places = flat_bins(axes, kept[-1])
        blocks = np.diff(block_edges(len(places), n_blocks))
        blocks = np.repeat(np.arange(n_blocks), blocks)
        codes = states[number], number
        parts.append((energy[chosen] / thermal, places, blocks, codes))
    check_inside([np.max(places) >= 0 for _, places, *_ in parts], axes)
    solved = _Pieces(parts, axes, thermal)
    values, free = solved.whole()
    without = [solved.without(r, b) for r in range(len(runs)) for b in range(n_blocks)]
    groups = np.repeat(np.arange(len(runs)), n_blocks)
    factors, independent = widening(series)
    visits = np.concatenate([visits_of(run, axes, n_blocks) for run in kept])
    values_without = np.array([x for x, _ in without])
    replicates = Replicates(values_without, groups, factors, visits)
    independent = np.bincount(states, independent)
    surface = make_surface(
        tuple(axes),
        values,
        temperature,
        replicates,
        independent=float(independent.min()),
    )
    errors = replicates.error(np.array([x for _, x in without]))
    return Windows(surface, free, errors, solved.overlap, inefficiency, independent)


class _Pieces:
    """Samples of all runs by run and block, and MBAR of some of them."""

    def __init__(self, parts, axes, thermal):
        reduced, places, blocks, codes = zip(*parts, strict=True)
        self._shape, self._thermal = shape_of(axes), thermal
        self._places = np.concatenate(places)
        self._blocks = np.concatenate(blocks)
        lengths = [len(x) for x in places]
        self._states, self._runs = np.repeat(codes, lengths, axis=0).T
        self._counts = np.bincount(self._states).astype(float)
        reduced = np.concatenate(reduced).T  # [K, N]
        # MBAR wants samples window by window
        order = np.argsort(self._states, kind="stable")
        found = state_free_energies(reduced[:, order], self._counts.astype(int))
        self._free, self.overlap = found.f, found.overlap
        logs = self._free[:, None] - reduced
        self._highest = logs.max(axis=0)
        self._terms = np.exp(logs - self._highest)  # [K, N]

    def whole(self):
        """Surface and free energies of all samples, in kJ/mol."""
        return self._surface(slice(None), self._counts)

    def without(self, run, block):
        """Surface and free energies without a block of a run.

        By Newton's method on the equations of MBAR, from the solution of all samples.
        """
        left = (self._runs != run) | (self._blocks != block)
        terms = self._terms[:, left]
        counts = np.bincount(self._states[left]).astype(float)
        shift = np.zeros(len(counts))
        for _ in range(_STEPS):
            scaled = (counts * np.exp(shift))[:, None] * terms
            parts = scaled / scaled.sum(axis=0)
            sums = parts.sum(axis=1)
            slope = np.diag(sums) - parts @ parts.T
            # free energies have a common constant: the first stays
            shift[1:] -= np.linalg.lstsq(
                slope[1:, 1:], (sums - counts)[1:], rcond=None
            )[0]
        return self._surface(left, counts * np.exp(shift), shift)

    def _surface(self, chosen, factors, shift=0.0):
        """Surface with the weight of each sample in the ensemble without restraints."""
        highest, places = self._highest[chosen], self._places[chosen]
        logs = -highest - np.log(factors @ self._terms[:, chosen])
        weights, inside = np.exp(logs - logs.max()), places >= 0
        size = int(np.prod(self._shape))
        density = np.bincount(places[inside], weights[inside], size)
        values = free_energy(density.reshape(self._shape), self._thermal)
        free = self._free + shift
        return values, self._thermal * (free - free[0])
