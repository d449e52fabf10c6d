# SPDX-License-Identifier: MIT
"""Checks of a run: drift, temperature, bonds."""

from typing import NamedTuple

import mdtraj
import numpy as np

from .frames import chunked
from .statistics import (
    ENOUGH,
    Estimate,
    series_covariance,
    series_mean,
    statistical_inefficiency,
    student_factor,
)


class TemperatureCheck(NamedTuple):
    """Temperature of a run against that of its thermostat.

    Attributes
    ----------
    mean : Estimate
        In K.
    deviation : float
        Of the mean from the target, in errors.
    variance_ratio : Estimate
        Variance over the canonical one, 2 T² / degrees of freedom: 1 for a thermostat
        that samples the canonical ensemble, less for one that only scales velocities.
    drift : Estimate
        In K/ps.
    """

    mean: Estimate
    deviation: float
    variance_ratio: Estimate
    drift: Estimate


class Bonds(NamedTuple):
    """Lengths of bonds over a trajectory.

    Attributes
    ----------
    pairs : (n_bonds, 2) array of int
        Atom indices.
    mean, longest : (n_bonds,) arrays
        Lengths in nm.
    longest_frame : (n_bonds,) array of int
        Frame in which each bond was longest.
    broken : (n_bonds,) array of bool
        Whether it was ever longer than `limit` times its length in the first frame.
    first_break : int or None
        First frame with a broken bond.
    """

    pairs: np.ndarray
    mean: np.ndarray
    longest: np.ndarray
    longest_frame: np.ndarray
    broken: np.ndarray
    first_break: int | None


def drift(times, values):
    """Slope of a time series by least squares, with an error for correlated residuals.

    Parameters
    ----------
    times : (n,) array
        Equally spaced, in ps.
    values : (n,) array
        As the total energy of an NVE run in kJ/mol, per atom.

    Returns
    -------
    Estimate
        In the unit of `values` per ps. The error is that of independent residuals times
        the square root of their statistical inefficiency, and of fewer than 20 such
        residuals at least their range over the time: they may be one slow change.
    """
    times, values = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if times.ndim != 1 or times.shape != values.shape:
        raise ValueError(
            "expected times and values of one length, found shapes "
            f"{times.shape} and {values.shape}"
        )
    if len(times) < 10:
        raise ValueError(f"expected at least 10 frames, found {len(times)}")
    offsets = times - times.mean()
    slope = offsets @ values / (offsets @ offsets)
    left = residuals(times, values)
    inefficiency = statistical_inefficiency(left)
    independent = max(len(times) / inefficiency - 1, 2.0)
    variance = left @ left / (len(times) - 2) * inefficiency
    error = np.sqrt(variance / (offsets @ offsets))
    error *= student_factor(independent)
    if len(times) / inefficiency < ENOUGH:
        error = max(error, np.ptp(left) / np.ptp(times))
    return Estimate(float(slope), float(error))


def residuals(times, values):
    """Distances (n,) of a time series from its line by least squares."""
    times, values = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    offsets = times - times.mean()
    slope = offsets @ values / (offsets @ offsets)
    return values - values.mean() - slope * offsets


def check_temperature(times, temperatures, target, degrees_of_freedom):
    """Mean, fluctuation and drift of the temperature against the canonical ensemble.

    Merz and Shirts, PLoS ONE 13, e0202764, 2018, doi:10.1371/journal.pone.0202764.

    Parameters
    ----------
    times, temperatures : (n,) arrays
        In ps, equally spaced, and in K.
    target : float
        Temperature of the thermostat in K.
    degrees_of_freedom : int
        Three per atom, less constraints and, where its motion is removed, three.

    Returns
    -------
    TemperatureCheck
    """
    if not target > 0 or degrees_of_freedom < 1:
        raise ValueError(
            "expected a target above 0 K and at least 1 degree of freedom, found "
            f"{target:.6g} K and {degrees_of_freedom}"
        )
    mean = series_mean(temperatures)
    # About its own mean, so that a wrong mean is not taken for a wrong fluctuation.
    variance = series_covariance(temperatures)
    canonical = 2 * target**2 / degrees_of_freedom
    return TemperatureCheck(
        mean=mean,
        deviation=(mean.value - target) / mean.error if mean.error > 0 else np.inf,
        variance_ratio=Estimate(variance.value / canonical, variance.error / canonical),
        drift=drift(times, temperatures),
    )


def bond_lengths(source, pairs=None, *, limit=1.5):
    """Lengths of bonds, and those that broke.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames, or a stream of chunks.
    pairs : (n_bonds, 2) array of int, optional
        Bonded atoms. Default: the bonds of the topology.
    limit : float, optional
        A bond longer than this many times its length in the first frame is broken.

    Returns
    -------
    Bonds
    """
    first, chunks = chunked(source)
    if pairs is None:
        pairs = [(bond[0].index, bond[1].index) for bond in first.topology.bonds]
    pairs = np.asarray(pairs, dtype=int).reshape(-1, 2)
    if len(pairs) == 0:
        raise ValueError("expected at least one bond in the topology, found none")
    if not limit > 1:
        raise ValueError(f"expected a limit above 1, found {limit:.6g}")
    periodic = first.unitcell_lengths is not None
    allowed, total = None, np.zeros(len(pairs))
    longest, longest_frame = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=int)
    n_frames, first_break = 0, None
    for chunk in chunks:
        lengths = mdtraj.compute_distances(chunk, pairs, periodic=periodic)
        if allowed is None:
            allowed = limit * lengths[0]
        total += lengths.sum(axis=0, dtype=float)
        higher = lengths.max(axis=0) > longest
        longest_frame[higher] = n_frames + lengths.argmax(axis=0)[higher]
        longest = np.maximum(longest, lengths.max(axis=0))
        torn = np.flatnonzero(np.any(lengths > allowed, axis=1))
        if first_break is None and len(torn):
            first_break = int(n_frames + torn[0])
        n_frames += chunk.n_frames
    return Bonds(
        pairs, total / n_frames, longest, longest_frame, longest > allowed, first_break
    )
