# SPDX-License-Identifier: MIT
"""Charge structure factor, and how well charges screen each other at long distances."""

from typing import NamedTuple

import numpy as np
from scipy.constants import Boltzmann, elementary_charge, epsilon_0

from ...units import NM_TO_M
from ..defaults import BLOCKS
from ..dipoles import charges_of, check_number
from ..frames import cell_vectors, chunked, stretch_sums
from ..statistics import (
    ENOUGH,
    Estimate,
    few_factor,
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
)
from .waves import density_waves, wave_indices, wave_lengths

# End of the line to q = 0, over the smallest of the cell's wave vectors.
_FIT = 2.0
_SLACK = 1 + 1e-6
# Bins from which on the line is bent: in water q⁴ is a tenth at 5 1/nm.
_BENT = 4


class ChargeStructure(NamedTuple):
    """Charge structure factor of a trajectory.

    Attributes
    ----------
    q : (n_bins,) array
        Mean length of the wave vectors of each bin in 1/nm.
    factor : Estimate of (n_bins,) arrays
        S_zz(q) in e².
    screening : Estimate of (n_bins,) arrays
        What of an outer field of this wave the charges screen,
        e² N S_zz(q) / (ε0 V k_B T q²).
    limit : Estimate
        `screening` at q = 0, by the line: 1 for perfect screening.
    line : (2,) or (3,) array
        Coefficients of 1, q² and q⁴ (nm² and nm⁴) of the line through `screening` up to
        `fit_end`; the last where there are enough waves.
    fit_end : float
        In 1/nm.
    uncorrelated : float
        Σ z² / N in e², S_zz(q) of charges at random places.
    independent : float
        Independent values over time of the longest waves; fewer than 20 widen errors.
    few : bool
        Whether they are fewer.
    """

    q: np.ndarray
    factor: Estimate
    screening: Estimate
    limit: Estimate
    line: np.ndarray
    fit_end: float
    uncorrelated: float
    independent: float = np.nan
    few: bool = False


def charge_structure_factor(
    source,
    charges,
    temperature,
    *,
    q_max=40.0,
    bin_width=0.5,
    fit_end=None,
    vectors_per_bin=50,
    seed=0,
    n_blocks=BLOCKS,
):
    r"""Charge structure factor of the waves that the cell allows.

    .. math::
        S_{zz}(q) = \frac{1}{N} \left\langle \left| \rho(\mathbf q) \right|^2
        \right\rangle, \qquad
        \rho(\mathbf q) = \sum_j z_j e^{i \mathbf q \cdot \mathbf r_j}

    (Hansen and McDonald, Theory of Simple Liquids, 4th ed. 2013, chapter 10). Charges
    answer an outer field of a long wave so that

    .. math::
        \frac{e^2 N S_{zz}(q)}{\varepsilon_0 V k_B T q^2} = 1 - \frac{1}{\varepsilon(q)}

    is left to be screened: for all charges of a conductor it goes to 1 as q goes to 0,
    the second-moment condition of Stillinger and Lovett (J. Chem. Phys. 49, 1991, 1968,
    doi:10.1063/1.1670358), and in an insulator to 1 - 1/ε. Forces that end at a cutoff
    do not know of it. Charges of the ions alone, in a solvent of dielectric constant ε,
    have the limit ε.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, or a stream of chunks.
    charges : (n_atoms,) or (n_frames, n_atoms) array
        Charges in e, of all frames or of each.
    temperature : float
        In K.
    q_max : float, optional
        Largest wave vector in 1/nm.
    bin_width : float, optional
        Width of the bins in 1/nm. Bins without a wave vector are left out.
    fit_end : float, optional
        Largest wave vector in 1/nm of the line in q² and q⁴ that gives `limit`; in q²
        alone of fewer than four lengths. Default: twice the smallest.
    vectors_per_bin, seed
        As of `structure_factor`.
    n_blocks : int, optional
        Blocks of frames that the errors come from.

    Returns
    -------
    ChargeStructure
    """
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0 K, found {temperature:.6g} K")
    if not 0 < bin_width < q_max:
        raise ValueError(
            "expected bins (--bin-width, bin_width) wider than 0 and narrower than the "
            f"largest q (--q-max, q_max), found {bin_width:.6g} and {q_max:.6g} 1/nm"
        )
    first, chunks = chunked(source)
    cell = cell_vectors(first)[0]
    n_bins = int(np.ceil(q_max / bin_width * (1 - 1e-9)))
    indices = wave_indices(cell, q_max, bin_width, n_bins, vectors_per_bin, seed)
    fit_end = _end_of_line(wave_lengths(indices, np.linalg.inv(cell)), fit_end)
    series = []
    sums = stretch_sums(
        _of_chunks(chunks, charges, indices, (bin_width, n_bins), fit_end, series)
    )
    squares, waves = (sum_blocks(x, n_blocks) for x in sums)
    waves = waves[:, waves[..., 3].sum(axis=0) > 0]
    total = waves.sum(axis=0)
    q = total[:, 2] / total[:, 3]
    near = q <= fit_end
    unit = elementary_charge**2 / (epsilon_0 * Boltzmann * temperature * NM_TO_M)

    def screening(x):
        return unit * x[:, 1] / x[:, 3]

    weights = _line_weights(q[near], screening(total)[near], total[near, 3])
    line = jackknife(lambda x: weights @ screening(x)[near], waves)
    few = len(series) >= ENOUGH and holds_few(series)
    factor = few_factor(series) if few else 1.0

    def wide(estimate):
        return Estimate(estimate.value, factor * estimate.error)

    return ChargeStructure(
        q=q,
        factor=wide(jackknife(lambda x: x[:, 0] / x[:, 3], waves)),
        screening=wide(jackknife(screening, waves)),
        limit=wide(Estimate(float(line.value[0]), float(line.error[0]))),
        line=line.value,
        fit_end=float(fit_end),
        uncorrelated=float(squares[:, 0].sum() / squares[:, 1].sum()),
        independent=independent_values(series),
        few=few,
    )


def _end_of_line(lengths, asked):
    """End in 1/nm of the line to q = 0, which holds the smallest of the waves."""
    smallest = lengths.min()
    end = _FIT * smallest if asked is None else asked
    if not end * _SLACK >= smallest:
        raise ValueError(
            f"expected a wave vector up to {end:.4g} 1/nm in the line to q = 0, found "
            f"the smallest at {smallest:.4g} 1/nm"
        )
    return end * _SLACK


def _of_chunks(chunks, charges, indices, bins, fit_end, series):
    """Yield, for each chunk, what each of its frames has.

    That is Σ z² / N and 1; and by bins (n_bins, 4) sums over the waves of |ρ|² / N, of
    |ρ|² / (V q²), of q and of 1. The mean over the waves up to `fit_end` of |ρ|² / q²
    in each frame is appended to `series`: the longest waves are the slowest.
    """
    done = 0
    for chunk in chunks:
        of_frames = charges_of(chunk, charges, done)
        done += chunk.n_frames
        frames = []
        for xyz, cell, values in zip(
            chunk.xyz, cell_vectors(chunk), of_frames, strict=True
        ):
            lengths, power = _waves_of(xyz, cell, values, indices)
            long = lengths <= fit_end
            series.append(np.mean(power[long] / lengths[long] ** 2))
            volume = abs(np.linalg.det(cell))
            sums = _bin_sums(lengths, power, len(values), volume, *bins)
            squares = np.mean(values**2)
            frames.append((np.array([squares, 1.0]), sums))
        yield frames
    check_number(charges, done)


def _waves_of(positions, cell, charges, indices):
    """Lengths in 1/nm of the wave vectors, and |ρ|² in e², (n_vectors,) each."""
    inverse = np.linalg.inv(cell)
    (waves,) = density_waves(
        np.asarray(positions, dtype=float) @ inverse,
        indices,
        [np.arange(len(charges))],
        charges,
    )
    return wave_lengths(indices, inverse), np.abs(waves) ** 2


def _bin_sums(lengths, power, n_atoms, volume, bin_width, n_bins):
    """Sums (n_bins, 4) over waves, see `_of_chunks`."""
    bins = np.minimum((lengths / bin_width).astype(int), n_bins)
    values = (
        power / n_atoms,
        power / (volume * lengths**2),
        lengths,
        np.ones(len(lengths)),
    )
    sums = [np.bincount(bins, x, minlength=n_bins + 1)[:n_bins] for x in values]
    return np.stack(sums, axis=-1)


def _line_weights(q, values, numbers):
    """Weights (n_coefficients, n) of values at q that give those of a line in q².

    By least squares. Of a number of waves a mean square is known to its own size over
    the root of that number.
    """
    degree = 2 if len(q) >= _BENT else min(1, len(q) - 1)
    top = values.max()
    if top > 0:
        numbers = numbers / np.maximum(values / top, 1e-2) ** 2
    scale = q[-1] ** 2  # for the sake of rounding
    powers = (q[:, None] ** 2 / scale) ** np.arange(degree + 1)
    weighted = powers.T * numbers
    weights = np.linalg.solve(weighted @ powers, weighted)
    return weights / scale ** np.arange(degree + 1)[:, None]
