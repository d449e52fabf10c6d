# SPDX-License-Identifier: MIT
r"""Free energies of states from energies of their samples in each other's states.

Energies are reduced (in RT). MBAR: Shirts and Chodera, doi:10.1063/1.2978177. For two
states it is Bennett's acceptance ratio, doi:10.1016/0021-9991(76)90078-4, which also
holds for the work of switching between them, by Crooks's theorem
(doi:10.1103/PhysRevE.60.2721): Shirts et al., doi:10.1103/PhysRevLett.91.140601.
"""

import itertools
from typing import NamedTuple

import numpy as np

from ..utils.quiet import quiet
from .statistics import Estimate

# Least part of a state's samples that should be as likely in the next state: Klimovich,
# Shirts and Mobley, doi:10.1007/s10822-015-9840-9.
LEAST_OVERLAP = 0.03
# Least number of switches that an exponential average should rest on.
LEAST_EFFECTIVE = 20
# Deviation of the slope of Crooks's theorem from 1, in its errors, that is reported.
_DEVIATION = 3.0


class StateFreeEnergies(NamedTuple):
    """Free energies of K states.

    Attributes
    ----------
    f, error : [K] array
        Relative to the first state, in RT.
    overlap : [K, K] array
        Chance that a sample of state i is found in state j, if all samples are mixed;
        each row adds up to 1.
    """

    f: np.ndarray
    error: np.ndarray
    overlap: np.ndarray


class WorkFreeEnergy(NamedTuple):
    """Free energy from the work of switching between two states, in RT.

    Attributes
    ----------
    both : Estimate or None
        From both directions, by Bennett's acceptance ratio; None of one alone.
    forward, reverse : Estimate or None
        From one direction alone, by Jarzynski's equality.
    effective : dict of str to float
        Number of switches of a direction that its exponential average rests on,
        (Σ w)² / Σ w².
    overlap : [2, 2] array or None
        As in ``StateFreeEnergies``.
    slope : Estimate or None
        Slope of ln P(W) / P(-W) over W - ΔF, which is 1 by Crooks's theorem; None where
        works do not overlap.
    """

    both: Estimate | None
    forward: Estimate | None
    reverse: Estimate | None
    effective: dict[str, float]
    overlap: np.ndarray | None
    slope: Estimate | None

    @property
    def best(self) -> Estimate:
        """Estimate of both directions, or of the only one."""
        found = next(x for x in (self.both, self.forward, self.reverse) if x)
        return found


def state_free_energies(energies: np.ndarray, counts: np.ndarray) -> StateFreeEnergies:
    """Compute free energies of states by MBAR from independent samples.

    Parameters
    ----------
    energies : [K, n] array
        Reduced energy of each sample in each state, samples in the order of the states
        that they are of.
    counts : [K] array of int
        Number of samples of each state.
    """
    # Zeros of energy may be far apart; near each other the equations are easy to solve.
    zeros = np.mean(energies, axis=1, keepdims=True)
    with quiet("pymbar"):
        from pymbar import MBAR

        mbar = MBAR(energies - zeros, np.asarray(counts))
        found = mbar.compute_free_energy_differences()
        overlap = mbar.compute_overlap()["matrix"]
    f = found["Delta_f"][0] + zeros[:, 0] - zeros[0]
    return StateFreeEnergies(f, found["dDelta_f"][0], np.asarray(overlap))


def work_free_energy(
    forward: np.ndarray | None, reverse: np.ndarray | None
) -> WorkFreeEnergy:
    r"""Compute a free energy from the work of independent switches.

    .. math:: \Delta F = -\ln \langle e^{-W} \rangle

    holds for one direction (Jarzynski, doi:10.1103/PhysRevLett.78.2690). Rare switches
    of little work decide it: from few of them its mean is too high (forward) or too low
    (reverse), by about half of the error squared where that is below 1 (Gore, Ritort
    and Bustamante, doi:10.1073/pnas.1635159100).

    Parameters
    ----------
    forward, reverse : [n], [m] array or None
        Work done in switching from the first state to the second, and back, in RT.

    Raises
    ------
    ValueError
        If there is neither, or a direction has less than 2.
    """
    works = {"forward": forward, "reverse": reverse}
    works = {k: np.asarray(w, dtype=float) for k, w in works.items() if w is not None}
    if not works or min(map(len, works.values())) < 2:
        found = {name: len(work) for name, work in works.items()} or "none"
        raise ValueError(f"expected at least 2 works of a direction, found {found}")
    single = {name: _exponential(work) for name, work in works.items()}
    if "reverse" in single:
        estimate, size = single["reverse"]
        single["reverse"] = Estimate(-estimate.value, estimate.error), size
    both = overlap = slope = None
    if len(works) == 2:
        w, back = works["forward"], works["reverse"]
        zero = 0.5 * (w.mean() - back.mean())
        energies = np.zeros((2, len(w) + len(back)))
        energies[1, : len(w)], energies[0, len(w) :] = w - zero, back + zero
        mixed = state_free_energies(energies, np.array([len(w), len(back)]))
        both = Estimate(float(mixed.f[1] + zero), float(mixed.error[1]))
        overlap, slope = mixed.overlap, _crooks_slope(w - zero, -back - zero)
    return WorkFreeEnergy(
        both,
        *(
            single[name][0] if name in single else None
            for name in ("forward", "reverse")
        ),
        {name: size for name, (_, size) in single.items()},
        overlap,
        slope,
    )


def _exponential(work: np.ndarray) -> tuple[Estimate, float]:
    """Jarzynski's average of works, and the number of them that it rests on."""
    weights = np.exp(work.min() - work)
    mean = weights.mean()
    value = work.min() - np.log(mean)
    error = weights.std(ddof=1) / np.sqrt(len(work)) / mean
    size = weights.sum() ** 2 / (weights**2).sum()
    return Estimate(float(value), float(error)), float(size)


def _crooks_slope(forward: np.ndarray, back: np.ndarray) -> Estimate | None:
    """Fit by how much a work tells its direction, by maximum likelihood.

    The chance that a work is one of a forward switch is logistic in it, with slope 1.
    ``back`` has the reverse works with their signs turned.
    """
    works = np.concatenate([forward, back])
    is_forward = np.arange(len(works)) < len(forward)
    center, scale = works.mean(), works.std()
    if not scale > 0:
        return None
    terms = np.stack([np.ones(len(works)), (works - center) / scale])
    beta = np.zeros(2)
    for _ in range(50):
        with np.errstate(over="ignore"):
            chance = 1.0 / (1.0 + np.exp(-(beta @ terms)))
        information = (terms * chance * (1 - chance)) @ terms.T
        if not np.linalg.cond(information) < 1e10:
            return None  # the directions are apart: any steep slope fits
        step = np.linalg.solve(information, terms @ (is_forward - chance))
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            error = np.sqrt(np.linalg.inv(information)[1, 1])
            return Estimate(float(beta[1] / scale), float(error / scale))
    return None


def overlap_warnings(overlap: np.ndarray, names: list[str]) -> list[str]:
    """Say which neighbouring states overlap too little.

    Parameters
    ----------
    overlap : [K, K] array
    names : list of str
        Of the states.
    """
    words = []
    for k, (first, second) in enumerate(itertools.pairwise(names)):
        least = min(overlap[k, k + 1], overlap[k + 1, k])
        if not least >= LEAST_OVERLAP:
            words.append(
                f"expected an overlap of {first} and {second} of at least "
                f"{LEAST_OVERLAP}, found {least:.2g}: their free energies, and the "
                "errors, cannot be trusted"
            )
    return words


def work_warnings(result: WorkFreeEnergy) -> list[str]:
    """Say what makes a free energy from works doubtful."""
    words = []
    if result.overlap is not None:
        words += overlap_warnings(result.overlap, ["forward works", "reverse works"])
    else:
        ((name, size),) = result.effective.items()
        if size < LEAST_EFFECTIVE:
            high = "high" if name == "forward" else "low"
            words.append(
                f"expected an average of exponentials (Jarzynski) that rests on at "
                f"least {LEAST_EFFECTIVE} {name} switches, found {size:.1f}: it is "
                f"biased, too {high}, and its error too small; switch more slowly, or "
                "in both directions"
            )
    slope = result.slope
    if slope and abs(slope.value - 1.0) > _DEVIATION * slope.error:
        words.append(
            f"expected a slope of 1 of Crooks's theorem, found {slope.value:.2f} ± "
            f"{slope.error:.2f}: the switches did not start from equilibrium"
        )
    return words


def independent(series: np.ndarray) -> np.ndarray:
    """Choose members of a time series that are independent of each other.

    Chodera, doi:10.1021/acs.jctc.5b00784.
    """
    series = np.asarray(series, dtype=float)
    if len(series) < 4 or not np.ptp(series) > 0:
        return series
    with quiet("pymbar"):
        from pymbar import timeseries

        rows = timeseries.subsample_correlated_data(series)
    return series[np.asarray(rows)]
