# SPDX-License-Identifier: MIT
"""Kinetic energies of ring polymers, and normal modes of their beads.

Of P beads at positions q_k, with forces F_k of the physical potential on each, at the
temperature T.
"""

import numpy as np

from ..units import GAS_CONSTANT, HBAR


def virial_kinetic_energy(
    positions: np.ndarray, forces: np.ndarray, kelvin: float
) -> np.ndarray:
    """Compute the kinetic energy of each atom by the centroid virial.

    K = 3/2 k T − 1/(2 P) Σ_k (q_k − q̄) · F_k, with q̄ the centroid (Herman et al.,
    doi:10.1063/1.442815; Parrinello and Rahman, doi:10.1063/1.446740). Its spread does
    not grow with the number of beads.

    Parameters
    ----------
    positions : [P, N, 3], nm, not wrapped into the box
    forces : [P, N, 3], kJ/(mol nm)
    kelvin : float

    Returns
    -------
    [N], kJ/mol
        Of an atom without mass, a virtual site, it means nothing.
    """
    apart = positions - positions.mean(axis=0)
    virial = np.einsum("pnx,pnx->n", apart, forces) / len(positions)
    return 1.5 * GAS_CONSTANT * kelvin - 0.5 * virial


def primitive_kinetic_energy(
    positions: np.ndarray, masses: np.ndarray, kelvin: float
) -> np.ndarray:
    """Compute the kinetic energy of each atom from the springs between beads.

    K = 3/2 P k T − Σ_k m P (k T)² / (2 ħ²) (q_k − q_{k+1})² (Barker,
    doi:10.1063/1.437829). Its spread grows with the number of beads; its mean is that
    of the centroid virial, so the two check each other.

    Parameters
    ----------
    positions : [P, N, 3], nm
    masses : [N], Da
    kelvin : float

    Returns
    -------
    [N], kJ/mol
    """
    beads, thermal = len(positions), GAS_CONSTANT * kelvin
    steps = np.square(positions - np.roll(positions, -1, axis=0)).sum(axis=(0, 2))
    springs = masses * beads * (thermal / HBAR) ** 2 / 2 * steps
    return 1.5 * beads * thermal - springs


def resample(beads: np.ndarray, count: int) -> np.ndarray:
    """Change the number of beads, by the normal modes that both rings have.

    As ring polymer contraction does (Markland and Manolopoulos,
    doi:10.1063/1.2953308); modes that only the larger ring has are 0.

    Parameters
    ----------
    beads : [P, N, 3]
    count : int

    Returns
    -------
    [count, N, 3]
    """
    if len(beads) == count:
        return beads
    modes = np.fft.rfft(beads, axis=0) / len(beads)
    # of an even number, the highest mode has no phase of its own
    shared = (min(len(beads), count) + 1) // 2
    kept = np.zeros((count // 2 + 1, *beads.shape[1:]), dtype=complex)
    kept[:shared] = modes[:shared]
    return np.fft.irfft(kept * count, n=count, axis=0)


def oscillator_energy(frequency: float, kelvin: float, beads: int = 0) -> float:
    """Compute the mean kinetic energy of a harmonic oscillator in one dimension.

    It is also the mean potential energy. Of P beads it is k T / 2 Σ_k ω² / (ω² + ω_k²)
    with ω_k = 2 P k T / ħ sin(k π / P) (Ceriotti et al., doi:10.1063/1.3489925); of
    infinitely many, ħ ω / 4 coth(ħ ω / 2 k T).

    Parameters
    ----------
    frequency : float
        Angular, rad/ps.
    kelvin : float
    beads : int
        0 for infinitely many.

    Returns
    -------
    float, kJ/mol
    """
    thermal = GAS_CONSTANT * kelvin
    if beads == 0:
        quantum = HBAR * frequency
        return float(quantum / 4 / np.tanh(quantum / (2 * thermal)))
    modes = 2 * beads * thermal / HBAR * np.sin(np.pi * np.arange(beads) / beads)
    return float(thermal / 2 * np.sum(frequency**2 / (frequency**2 + modes**2)))
