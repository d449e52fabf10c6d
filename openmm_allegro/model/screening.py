# SPDX-License-Identifier: MIT
"""Repulsion of nuclei as a sum of screened Coulomb terms A exp(-b r) / r.

J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in Matter",
1985; constants as LAMMPS' ``pair_style zbl``.
"""

import numpy as np

STRENGTHS = (0.02817, 0.28022, 0.50986, 0.18175)
RATES = (0.20162, 0.40290, 0.94229, 3.19980)
LENGTH, POWER = 0.46850, 0.23  # Å; lengths are in units of LENGTH / (Z_i^P + Z_j^P)


def screened_terms(
    numbers: np.ndarray, coulomb: float
) -> tuple[np.ndarray, np.ndarray]:
    """Strengths and rates of half of the repulsion of each ordered pair of elements.

    Parameters
    ----------
    numbers : ndarray [T]
        Atomic numbers.
    coulomb : float
        e² / (4 π ε₀) in eV Å.

    Returns
    -------
    strengths : ndarray [T, T, 4], eV Å
    rates : ndarray [T, T, 4], 1/Å
    """
    powers = numbers**POWER
    inverse = (powers[:, None] + powers) / LENGTH
    charges = 0.5 * coulomb * numbers[:, None] * numbers
    return charges[..., None] * STRENGTHS, inverse[..., None] * RATES
