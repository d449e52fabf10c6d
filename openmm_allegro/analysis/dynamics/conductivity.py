# SPDX-License-Identifier: MIT
"""Ionic conductivity and its parts, from paths or from velocities."""

from typing import NamedTuple

import numpy as np
from scipy.constants import Boltzmann, elementary_charge
from scipy.constants import physical_constants as constants

from ...units import NM2_PER_PS_TO_M2_PER_S, NM3_TO_M3
from ..defaults import BLOCKS
from ..frames import chunked
from ..statistics import Estimate, jackknife
from .correlation import block_correlations, frame_lags, green_kubo
from .ions import charge_displacements, charge_paths, find_species
from .linear import linear_start, slope_weights
from .regime import NEIGHBOR, find_regime, late_motion
from .unwrap import follow

_FARADAY = constants["Faraday constant"][0]  # C/mol
# e² nm²/ps per nm³, in C² m²/s per m³
_CHARGE_FLOW = elementary_charge**2 * NM2_PER_PS_TO_M2_PER_S / NM3_TO_M3
# Lags through which a line is laid; more of them hold nothing new.
_MAX_LAGS = 50
# How many of its errors a later slope of single ions may differ from that of the fit.
_TOLERANCE = 3.0


class Conductivity(NamedTuple):
    """Conductivity of the ions of a trajectory, and its parts.

    Attributes
    ----------
    species : tuple of str
        Names of the ions, in the order of all arrays.
    einstein : Estimate
        Conductivity in S/m, from the collective displacement of charge.
    nernst_einstein : Estimate
        The conductivity in S/m if no two ions moved together.
    haven_ratio : Estimate
        nernst_einstein / einstein: above 1 where ions of opposite charge move as
        pairs. Its inverse is called ionicity.
    transference : Estimate of (n,) arrays
        Part of the current that each species carries, the sum of its row of `matrix`
        over the sum of all. Depends on the frame of reference.
    matrix : Estimate of (n, n) arrays
        Parts of `einstein` in S/m from each pair of species.
    onsager : Estimate of (n, n) arrays
        L_ij = matrix_ij / (F² z_i z_j) in mol²/(J m s), z the mean charge number of
        the ions of a species.
    self_part : Estimate of (n,) arrays
        Parts of `nernst_einstein` in S/m.
    lag_times : (n_lags,) array
        In ps.
    displacement : (n_lags,) array
        Mean square displacement of all charge in e² nm².
    fit_start : float
        Smallest lag time in ps that entered the fit.
    reference : str
        Frame of reference: whose centre of mass is at rest.
    net_charge : float
        Charge of all species in e. Unless it is 0, `einstein` and `haven_ratio` too
        depend on the frame of reference.
    ion_displacements : (n,) array
        Root mean square displacement in nm of single ions of each species, over a
        fifth of the trajectory.
    regimes : tuple of str
        Motion of the ions of each species: "diffusive"; "caged" where they have not
        left their neighbours, "unsettled" where the slope changes after the longest
        lag, and "ballistic". All errors are wider for that.
    exponent : float
        Slope of ln MSD over ln t of single ions at the longest lags.
    """

    species: tuple
    einstein: Estimate
    nernst_einstein: Estimate
    haven_ratio: Estimate
    transference: Estimate
    matrix: Estimate
    onsager: Estimate
    self_part: Estimate
    lag_times: np.ndarray
    displacement: np.ndarray
    fit_start: float
    reference: str
    net_charge: float = 0.0
    ion_displacements: np.ndarray | None = None
    regimes: tuple = ()
    exponent: float = np.nan


def conductivity(
    source,
    charges,
    temperature,
    *,
    species=None,
    reference="all",
    time_step=None,
    max_lag=None,
    fit_start=None,
    n_blocks=BLOCKS,
):
    r"""Conductivity by Einstein and by Nernst and Einstein, with Onsager coefficients.

    .. math::
        \sigma_{ij} = \frac{1}{6 V k_B T} \frac{d}{dt}
        \left\langle \Delta P_i(t) \cdot \Delta P_j(t) \right\rangle, \qquad
        P_i = \sum_{a \in i} q_a r_a

    summed over all pairs of species (Fong, Self, McCloskey and Persson, Macromolecules
    53, 9503, 2020, doi:10.1021/acs.macromol.0c02001), and over each ion with itself
    alone for Nernst and Einstein. Slopes are the best linear unbiased ones of `linear`,
    errors a jackknife over blocks of time origins, wider where ions have not left their
    neighbours, and infinite where they still fly freely (`Conductivity.regimes`).

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, equally spaced, or a stream of chunks.
    charges : dict of str to float, or (n_atoms,) array
        Charge numbers by element, ``{"Na": 1, "Cl": -1}``, or of every atom.
    temperature : float
        In K.
    species : dict of str to selection, optional
        The ions. Default: the elements of `charges`; needed with an array. An ion is a
        molecule of the topology's bonds, or an atom without bonds.
    reference : str, (n,) array of int or None
        Atoms whose centre of mass is at rest, as in `follow`: ``"all"`` for the
        barycentric frame, the solvent for its frame, None for that of the cell. The
        conductivity of a neutral system does not depend on it, its parts do.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``.
    max_lag : float, optional
        Longest lag time in ps. Default: a twentieth of the trajectory.
    fit_start : float, optional
        Lag time in ps at which motion is taken to be diffusive. Default: found by
        `linear_start` for all charge and for single ions, the later of the two.
    n_blocks : int, optional
        Blocks that the errors come from.

    Returns
    -------
    Conductivity
    """
    _check_temperature(temperature)
    first, source = chunked(source)
    ions = find_species(first, charges, species)
    atoms = np.concatenate([kind.atoms for kind in ions])
    paths = follow(source, atoms, reference=reference, time_step=time_step)
    moved = charge_paths(paths.positions, ions)
    n_frames, time_step = len(paths.positions), paths.time_step
    lags = frame_lags(n_frames, time_step, max_lag, n_blocks)[1:]
    lags = np.unique(np.linspace(1, lags[-1], min(_MAX_LAGS, len(lags))).astype(int))
    sums = charge_displacements(moved, lags, n_blocks)
    start = _start(lags, sums, n_frames, moved, fit_start, time_step, n_blocks)
    weights, _ = slope_weights(lags[start:], n_frames)
    unit = _CHARGE_FLOW / (6 * Boltzmann * temperature * paths.volume * time_step)
    weights *= unit
    together, alone, origins = sums
    regime = find_regime(
        lags,
        alone.sum(axis=2),
        origins,
        n_frames,
        sum(path.shape[1] for path in moved),
    )
    parts = _parts(weights, [x[:, start:] for x in sums], ions)
    regimes, displacements, doubts = _judge(moved, ions, parts, unit, regime)
    return Conductivity(
        species=tuple(kind.name for kind in ions),
        **_widened(parts, doubts),
        lag_times=lags * time_step,
        displacement=together.sum(axis=(0, 2, 3)) / origins.sum(axis=0),
        fit_start=float(lags[start] * time_step),
        reference=_described(reference),
        net_charge=float(sum(kind.charges.sum() for kind in ions)),
        ion_displacements=displacements,
        regimes=regimes,
        exponent=regime.exponent.value,
    )


def nernst_einstein(coefficients, errors, numbers, charges, volume, temperature):
    r"""Conductivity of ions that move independently.

    .. math:: \sigma = \frac{e^2}{V k_B T} \sum_i N_i z_i^2 D_i

    Parameters
    ----------
    coefficients, errors : (n_species,) arrays
        Self-diffusion coefficients and their errors in cm²/s.
    numbers : (n_species,) array
        Ions in the cell.
    charges : (n_species,) array
        Charge numbers.
    volume : float
        Of the cell in nm³.
    temperature : float
        In K.

    Returns
    -------
    Estimate
        In S/m.
    """
    _check_temperature(temperature)
    # 1 cm²/s = 100 nm²/ps
    factor = 100 * _CHARGE_FLOW / (Boltzmann * temperature * volume)
    weights = factor * np.asarray(numbers) * np.asarray(charges, dtype=float) ** 2
    return Estimate(
        float(weights @ np.asarray(coefficients)),
        float(np.linalg.norm(weights * np.asarray(errors))),
    )


def green_kubo_conductivity(
    velocities,
    charges,
    temperature,
    volume,
    time_step,
    *,
    max_lag=None,
    cutoff=None,
    n_blocks=BLOCKS,
):
    r"""Conductivity from the autocorrelation of the electric current.

    .. math::
        \sigma = \frac{1}{3 V k_B T} \int_0^\infty \langle J(0) \cdot J(t) \rangle dt,
        \qquad J = \sum_a q_a v_a

    Kubo, J. Phys. Soc. Jpn. 12, 570, 1957, doi:10.1143/JPSJ.12.570.

    Parameters
    ----------
    velocities : (n_frames, n_atoms, 3) array
        In nm/ps, in the frame of reference that `read_velocities` was given.
    charges : (n_atoms,) array
        Charge numbers.
    temperature : float
        In K.
    volume : float
        Of the cell in nm³.
    time_step : float
        Time between frames in ps.
    max_lag, cutoff, n_blocks
        As in `green_kubo_diffusion`.

    Returns
    -------
    GreenKubo
        In S/m.
    """
    _check_temperature(temperature)
    current = np.einsum("i,fix->fx", np.asarray(charges, dtype=float), velocities)
    sums = block_correlations(current, current, time_step, max_lag, n_blocks)
    factor = _CHARGE_FLOW / (3 * volume * Boltzmann * temperature)
    return green_kubo(*sums, time_step, factor=factor, cutoff=cutoff)


def _check_temperature(temperature):
    """Refuse a temperature that is not above 0 K."""
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0 K, found {temperature:.6g} K")


def _parts(weights, sums, ions):
    """Estimates of a Conductivity, by name, from weights (n_lags,) of the slope.

    `sums` are those of `charge_displacements`, at the lags of the fit.
    """

    def estimate(function):
        return jackknife(
            lambda both, own, n: function(
                np.tensordot(weights, both / n[:, None, None], 1),
                np.tensordot(weights, own / n[:, None], 1),
            ),
            *sums,
        )

    valences = np.array([kind.valence for kind in ions])
    faraday = _FARADAY**2 * np.outer(valences, valences)
    return {
        "einstein": estimate(lambda both, own: both.sum()),
        "nernst_einstein": estimate(lambda both, own: own.sum()),
        "haven_ratio": estimate(lambda both, own: own.sum() / both.sum()),
        "transference": estimate(lambda both, own: both.sum(axis=1) / both.sum()),
        "matrix": estimate(lambda both, own: both),
        "onsager": estimate(lambda both, own: both / faraday),
        "self_part": estimate(lambda both, own: own),
    }


def _judge(paths, ions, parts, unit, regime):
    """Judge the motion of each species, and how much of its self part is in doubt.

    Returns
    -------
    regimes : tuple of str
    displacements : (n,) array
        In nm.
    doubts : (n,) array
        Parts of `self_part` in doubt, from 0 on.
    """
    regimes, displacements, doubts = [], [], []
    for path, kind, value in zip(paths, ions, parts["self_part"].value, strict=True):
        charge = abs(kind.valence) or 1.0
        displacement, slope = late_motion(path)
        late, error = (unit * path.shape[1] * x for x in slope)
        displacements.append(displacement / charge)
        difference = abs(value - late)
        doubt, name = 0.0, "diffusive"
        if regime.name == "ballistic":
            doubt, name = np.inf, "ballistic"
        elif displacement < NEIGHBOR * charge:
            doubt, name = 1.0, "caged"
        elif difference > _TOLERANCE * error:
            doubt, name = difference / abs(value), "unsettled"
        regimes.append(name)
        doubts.append(doubt)
    return tuple(regimes), np.array(displacements), np.array(doubts)


def _widened(parts, doubts):
    """Widen the errors of parts of a Conductivity by the doubts of its species."""
    if not np.any(doubts):
        return parts
    own = parts["self_part"].value
    in_all = float(np.abs(own * doubts).sum() / max(np.abs(own).sum(), 1e-300))
    pairs = np.maximum.outer(doubts, doubts)
    factors = {"self_part": doubts, "matrix": pairs, "onsager": pairs}
    widened = {}
    for name, (value, error) in parts.items():
        least = np.abs(value) * factors.get(name, in_all)
        wider = np.maximum(error, least)
        widened[name] = Estimate(value, wider if np.ndim(wider) else float(wider))
    return widened


def _start(lags, sums, n_frames, paths, fit_start, time_step, n_blocks):
    """Index of the first lag of the fit."""
    together, alone, origins = sums
    terms = origins.sum(axis=0)
    if fit_start is None:
        n_ions = sum(path.shape[1] for path in paths)
        all_charge = together.sum(axis=(0, 2, 3)) / terms
        start = max(
            linear_start(lags, all_charge, n_frames, 1),
            linear_start(lags, alone.sum(axis=(0, 2)) / terms, n_frames, n_ions),
        )
    else:
        start = int(np.searchsorted(lags, fit_start / time_step * (1 - 1e-6)))
    if len(lags) - start < 3:
        advice = ["more frames"]
        longest = n_frames // n_blocks - 1  # of lags shorter than a block
        if longest > lags[-1]:
            advice.append(
                f"a --max-lag (max_lag) up to {longest * time_step:.6g} ps, which is "
                f"less than each of {n_blocks} blocks (--blocks, n_blocks)"
            )
        if fit_start is not None:
            advice.append("an earlier --fit-start (fit_start)")
        raise ValueError(
            f"expected at least 3 of the lag times up to {lags[-1] * time_step:.6g} ps "
            f"in the fit, found {max(0, len(lags) - start)}; give "
            + ", or ".join(advice)
        )
    return start


def _described(reference):
    """Name a frame of reference."""
    if reference is None:
        return "cell"
    return reference if isinstance(reference, str) else f"{len(reference)} atoms"
