# SPDX-License-Identifier: MIT
"""Free energies and averages at any temperature from all replicas, by MBAR.

Shirts and Chodera, doi:10.1063/1.2978177; pymbar solves the equations. All errors are
standard deviations, from samples thinned out until they are independent (Chodera,
doi:10.1021/acs.jctc.5b00784).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..units import GAS_CONSTANT
from ..utils.quiet import quiet
from .samples import Samples, by_temperature, read_samples

_LEAST_SAMPLES = 10
_REMEDY = "go on with more iterations and resume=True (--resume)"


class FreeEnergies(NamedTuple):
    """Thermodynamics over temperature.

    Attributes
    ----------
    temperatures : [K] array, K
    f, f_error : [K] array
        Dimensionless free energy -ln Z of the configurations, relative to that at the
        lowest temperature.
    energy, energy_error : [K] array, kJ/mol
        Mean potential energy; under NPT plus pressure times volume.
    heat_capacity, heat_capacity_error : [K] array, kJ/(mol K)
        Configurational part, from the fluctuation of that energy. The velocity of each
        degree of freedom adds R/2.
    discarded : int
        Number of iterations left out at the start.
    inefficiency : float
        Iterations per independent sample.
    """

    temperatures: np.ndarray
    f: np.ndarray
    f_error: np.ndarray
    energy: np.ndarray
    energy_error: np.ndarray
    heat_capacity: np.ndarray
    heat_capacity_error: np.ndarray
    discarded: int
    inefficiency: float


class Averages(NamedTuple):
    """Mean of each value, and its standard error."""

    mean: np.ndarray
    error: np.ndarray


class Thinned(NamedTuple):
    """Iterations that are independent, those left out, and iterations per sample."""

    rows: np.ndarray
    discarded: int
    inefficiency: float


class _Mixture(NamedTuple):
    """Independent samples of all temperatures, by temperature, and their weights."""

    mbar: Any
    energies: np.ndarray  # [K n] kJ/mol, relative to their mean
    mean: float
    rows: np.ndarray
    discarded: int
    inefficiency: float


def free_energies(output: str | Path, *, discard: int | None = None) -> FreeEnergies:
    """Compute free energy, mean energy and heat capacity at each temperature.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.
    discard : int, optional
        Iterations to leave out at the start; by default, the number that leaves most
        independent samples.

    Raises
    ------
    ValueError
        If fewer than 10 independent samples are left.
    """
    samples = read_samples(output)
    kelvin = samples.temperatures
    mixture = _mix(samples, discard)
    differences = mixture.mbar.compute_free_energy_differences()
    energy, capacity = [], []
    for temperature in kelvin:
        [[mean], [error]] = _average(mixture, mixture.energies[None], temperature)
        energy.append((mean, error))
        # the error of the mean enters the spread in second order only
        square = (mixture.energies - mean)[None] ** 2
        [[spread], [error]] = _average(mixture, square, temperature)
        scale = GAS_CONSTANT * temperature**2
        capacity.append((spread / scale, error / scale))
    beta = 1.0 / (GAS_CONSTANT * kelvin)
    energy, capacity = np.array(energy), np.array(capacity)
    return FreeEnergies(
        kelvin,
        differences["Delta_f"][0] + (beta - beta[0]) * mixture.mean,
        differences["dDelta_f"][0],
        energy[:, 0] + mixture.mean,
        energy[:, 1],
        capacity[:, 0],
        capacity[:, 1],
        mixture.discarded,
        mixture.inefficiency,
    )


def averages(
    output: str | Path,
    values: np.ndarray,
    temperature: float,
    *,
    discard: int | None = None,
) -> Averages:
    """Average values that were measured on all replicas' frames, at one temperature.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.
    values : [n, K] or [n, K, m] array
        Values of each frame of each replica, in the order of ``read_replicas``: for
        instance ``np.stack([measure(replica) for replica in replicas], axis=1)``.
    temperature : float, K
        Any between the lowest and the highest.
    discard : int, optional
        Frames to leave out at the start, as ``free_energies``.

    Returns
    -------
    Averages
        Scalars or arrays [m].
    """
    mixture, values = _mix_frames(output, values, temperature, discard)
    mean, error = _average(mixture, values, temperature)
    return Averages(mean, error) if len(mean) > 1 else Averages(mean[0], error[0])


def basin_free_energy(
    output: str | Path,
    first: np.ndarray,
    second: np.ndarray,
    temperature: float,
    *,
    discard: int | None = None,
) -> tuple[float, float]:
    r"""Compute the free energy of a second basin relative to a first one.

    .. math:: \Delta G = -R T \ln (p_2 / p_1)

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.
    first, second : [n, K] array of bool
        Frames of each replica that are in the basin, in the order of ``read_replicas``.
    temperature : float, K
        Any between the lowest and the highest.
    discard : int, optional
        Frames to leave out at the start, as ``free_energies``.

    Returns
    -------
    value, error : float
        In kJ/mol.

    Raises
    ------
    ValueError
        If no replica was ever in one of the basins.
    """
    flags = np.stack([first, second], axis=-1).astype(float)
    mixture, values = _mix_frames(output, flags, temperature, discard)
    if not values.any(axis=1).all():
        raise ValueError(
            "expected independent frames in both basins, found "
            f"{values.sum(axis=1).astype(int).tolist()}"
        )
    population, _ = _average(mixture, values, temperature)
    # of ln (p2 / p1), to first order
    ratio = values[1] / population[1] - values[0] / population[0]
    _, error = _average(mixture, ratio[None], temperature)
    thermal = GAS_CONSTANT * temperature
    value = -thermal * np.log(population[1] / population[0])
    return float(value), float(thermal * error[0])


def _mix_frames(
    output: str | Path, values: np.ndarray, temperature: float, discard: int | None
) -> tuple[_Mixture, np.ndarray]:
    """Solve MBAR for the checkpoints alone; return it and their values [m, K n]."""
    samples = read_samples(output)
    lowest, highest = samples.temperatures[[0, -1]]
    if not lowest <= temperature <= highest:
        raise ValueError(
            f"expected a temperature from {lowest:g} to {highest:g} K, found "
            f"{temperature} K"
        )
    values = np.asarray(values, dtype=float)
    replicas = len(samples.temperatures)
    count = len(values)
    interval = len(samples.iterations) // count if count else 0
    if values.ndim not in (2, 3) or not interval or values.shape[1] != replicas:
        raise ValueError(
            f"expected values of shape [frames, {replicas}, ...], found {values.shape}"
        )
    chosen = slice(interval - 1, interval * count, interval)
    samples = samples._replace(
        iterations=samples.iterations[chosen],
        energies=samples.energies[chosen],
        states=samples.states[chosen],
    )
    values = values.reshape(count, replicas, -1)
    # slow changes of the values need not show in the energy
    mixture = _mix(
        samples, discard, [list(each.T) for each in np.moveaxis(values, 2, 0)]
    )
    values = by_temperature(values, samples.states)
    values = values[mixture.rows].swapaxes(0, 1)
    return mixture, values.reshape(-1, values.shape[-1]).T


def _mix(
    samples: Samples, discard: int | None, slow: Sequence[list[np.ndarray]] = ()
) -> _Mixture:
    """Thin out samples and solve MBAR.

    ``slow`` holds time series of other quantities along each replica, which may be
    correlated for longer than the energy.
    """
    energies = by_temperature(samples.energies, samples.states)
    total = (energies / samples.temperatures).sum(axis=1)
    rows, discard, inefficiency = thin(total, energies, discard, slow)
    energies = energies[rows].T.ravel()
    mean = energies.mean()
    energies = energies - mean
    beta = 1.0 / (GAS_CONSTANT * samples.temperatures)
    counts = np.full(len(beta), len(rows))
    with quiet("openmmtools", "pymbar"):
        from pymbar import MBAR

        mbar = MBAR(beta[:, None] * energies, counts)
    return _Mixture(mbar, energies, mean, rows, discard, inefficiency)


def thin(
    total: np.ndarray,
    states: np.ndarray,
    discard: int | None,
    slow: Sequence[list[np.ndarray]] = (),
) -> Thinned:
    """Choose iterations of an exchange that are independent of each other.

    Parameters
    ----------
    total : [n] array
        Sum over the replicas, which has the fluctuations common to all states.
    states : [n, K] array
        The same quantity in each state.
    discard : int or None
        Iterations to leave out at the start; None for the number that leaves most.
    slow : sequence of list of [n] array
        Other quantities, each along several paths.

    Raises
    ------
    ValueError
        If fewer than 10 are left.
    """
    with quiet("openmmtools", "pymbar"):
        from pymbar import timeseries

        if discard is None:
            discard, _, _ = timeseries.detect_equilibration(total)
            discard = int(discard)
        kept, total = states[discard:], total[discard:]
        if len(kept) < _LEAST_SAMPLES:
            raise ValueError(
                f"expected at least {_LEAST_SAMPLES} iterations after the {discard} "
                f"discarded ones, found {len(kept)}; {_REMEDY}"
            )
        each = (kept - kept.mean(axis=0)) / kept.std(axis=0)
        inefficiency = max(
            timeseries.statistical_inefficiency(total),
            timeseries.statistical_inefficiency_multiple(list(each.T)),
            *(
                timeseries.statistical_inefficiency_multiple(
                    [path[discard:] for path in paths]
                )
                for paths in slow
                if np.ptp(paths) > 0
            ),
        )
        rows = timeseries.subsample_correlated_data(total, g=inefficiency)
    rows = discard + np.array(rows)
    if len(rows) < _LEAST_SAMPLES:
        raise ValueError(
            f"expected at least {_LEAST_SAMPLES} independent samples, found "
            f"{len(rows)} of {inefficiency:.0f} iterations each; the run is too "
            f"short: {_REMEDY}"
        )
    return Thinned(rows, discard, float(inefficiency))


def _average(
    mixture: _Mixture, values: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Average values [m, K n] at a temperature; return means and standard errors."""
    reduced = mixture.energies / (GAS_CONSTANT * temperature)
    with quiet("openmmtools", "pymbar"):
        averages = mixture.mbar.compute_multiple_expectations(values, reduced)
    return averages["mu"], averages["sigma"]
