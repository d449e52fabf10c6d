# SPDX-License-Identifier: MIT
"""Dipole moments of molecules, and how they are distributed."""

from typing import NamedTuple

import numpy as np

from ..units import E_NM_TO_DEBYE
from .defaults import BLOCKS
from .frames import chunked, masses
from .statistics import (
    Estimate,
    few_factor,
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
    widen,
)


class MolecularDipoles(NamedTuple):
    """Distribution of the dipole moments of molecules.

    Attributes
    ----------
    dipole : (n_bins,) array
        Middles of the bins in D, debye.
    density, error : (n_bins,) arrays
        Probability density in 1/D.
    mean : Estimate
        Mean moment in D.
    spread : float
        Standard deviation over molecules and frames in D.
    charge : Estimate
        Mean charge of a molecule in e.
    charge_spread : float
        Standard deviation over molecules and frames in e.
    independent : float
        Independent values over time of the mean over molecules; fewer than 20 widen
        all errors.
    few : bool
        Whether they are fewer.
    """

    dipole: np.ndarray
    density: np.ndarray
    error: np.ndarray
    mean: Estimate
    spread: float
    charge: Estimate
    charge_spread: float
    independent: float = np.nan
    few: bool = False


def molecular_dipoles(source, charges, molecules, *, bin_width=0.05, n_blocks=BLOCKS):
    r"""Distribution of the dipole moments of molecules about their centres of mass.

    .. math:: \mu = \left| \sum_{i} q_i (r_i - r_c) \right|

    Molecules are made whole along the topology's bonds. The moment of a molecule with a
    charge depends on the centre that is taken.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a topology with bonds, or a stream of chunks.
    charges : (n_atoms,) or (n_frames, n_atoms) array
        Charges in e, of all frames or of each.
    molecules : (n_molecules, n) array of int
        Atoms of molecules of one kind.
    bin_width : float, optional
        In D.
    n_blocks : int, optional
        Blocks of frames that the errors come from.

    Returns
    -------
    MolecularDipoles
    """
    if not bin_width > 0:
        raise ValueError(f"expected bins wider than 0 D, found {bin_width:.6g}")
    first, chunks = chunked(source)
    molecules = np.asarray(molecules)
    weights = masses(first)[molecules]
    weights = weights / weights.sum(axis=1, keepdims=True)
    moments, totals, done = [], [], 0
    for chunk in chunks:
        held = charges_of(chunk, charges, done)[:, molecules]
        done += chunk.n_frames
        if chunk.unitcell_lengths is not None and chunk.topology.n_bonds:
            chunk = chunk.make_molecules_whole(inplace=False)
        places = np.asarray(chunk.xyz[:, molecules], dtype=float)
        places -= np.einsum("mi,fmix->fmx", weights, places)[:, :, None]
        vectors = np.einsum("fmi,fmix->fmx", held, places)
        moments.append(E_NM_TO_DEBYE * np.linalg.norm(vectors, axis=-1))
        totals.append(held.sum(axis=-1))
    check_number(charges, done)
    moments, totals = np.concatenate(moments), np.concatenate(totals)
    bins = (moments / bin_width).astype(int)
    low, high = bins.min(), bins.max() + 1
    counts = np.array([np.bincount(row - low, minlength=high - low) for row in bins])
    terms = np.full(len(counts), bins.shape[1])
    sums = [sum_blocks(x, n_blocks) for x in (counts, terms)]
    density, error = jackknife(lambda number, n: number / n / bin_width, *sums)
    series = moments.mean(axis=1)
    few = holds_few(series)
    return MolecularDipoles(
        dipole=(np.arange(low, high) + 0.5) * bin_width,
        density=np.atleast_1d(density),
        error=np.atleast_1d(error) * few_factor(series),
        mean=_mean(series, n_blocks),
        spread=float(moments.std()),
        charge=_mean(totals.mean(axis=1), n_blocks),
        charge_spread=float(totals.std()),
        independent=independent_values(series),
        few=few,
    )


def charges_of(chunk, charges, done):
    """Charges (n_frames, n_atoms) of a chunk, after so many frames, as float64.

    Parameters
    ----------
    charges : (n_atoms,) or (n_frames, n_atoms) array
        Of all frames or of each.
    """
    charges = np.asarray(charges)
    shape = chunk.n_frames, chunk.n_atoms
    own = charges if charges.ndim < 2 else charges[done : done + chunk.n_frames]
    if charges.ndim not in (1, 2) or own.shape not in (shape, shape[1:]):
        raise ValueError(
            f"expected charges of {chunk.n_atoms} atoms, of all frames or of each, "
            f"found shape {charges.shape}"
        )
    return np.broadcast_to(np.asarray(own, dtype=float), shape)


def check_number(charges, n_frames):
    """Refuse charges of other frames than were read."""
    if np.ndim(charges) == 2 and len(charges) != n_frames:
        raise ValueError(
            f"expected charges of {n_frames} frames, found those of {len(charges)}"
        )


def _mean(series, n_blocks):
    """Mean of a series (n,) from blocks, an Estimate."""
    sums = sum_blocks(series, n_blocks), sum_blocks(np.ones(len(series)), n_blocks)
    mean = jackknife(lambda total, n: total / n, *sums)
    return Estimate(mean.value, widen(mean.error, series))
