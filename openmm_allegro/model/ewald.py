# SPDX-License-Identifier: MIT
"""Exact sums over Gaussian charges: energy, potentials, forces and strain.

A charge is a Gaussian of density q (2α²/π)^(3/2) exp(-2α² r²), and its own energy is
not counted, so that two charges far apart have k_e q₁ q₂ / r, and near ones a smooth
k_e q₁ q₂ erf(α r) / r. In a periodic box this is the reciprocal part of Ewald's sum and
its self term, P. P. Ewald, doi:10.1002/andp.19213690304; the direct part, which would
make points of the Gaussians, is of short range and left to the network.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .. import units

# Waves whose Gaussian exp(-k²/4α²) is smaller are left out.
TOLERANCE = 1e-10


class LongRange(NamedTuple):
    """What N charges do to each other."""

    energy: Tensor  # [] eV
    potentials: Tensor  # [N] dE/dq, V
    forces: Tensor  # [N, 3] eV/Å, the charges being what they are
    strain: Tensor  # [3, 3] dE/d(strain) in eV, likewise


def ewald_sum(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    alpha: float,
    tolerance: float = TOLERANCE,
) -> LongRange:
    """Sum over Gaussian charges and all their images.

    E = 1/(2V) Σ_{k≠0} (4π k_e / k²) exp(-k²/4α²) |Σ_i q_i exp(i k·r_i)|²
    - k_e α/√π Σ_i q_i². The term of k = 0 is left out, which is the sum with conducting
    surroundings and, if the charges do not add up to zero, a uniform background. A box
    of a neutral cluster tends to ``open_sum`` when it grows.

    Each result can be differentiated by the charges, and the energy by positions and
    cell too.

    Parameters
    ----------
    positions : Tensor [N, 3], float64, Å
        Of any images.
    cell : Tensor [3, 3], float64, Å
        Vectors as rows.
    charges : Tensor [N], float64, e
    alpha : float
        Of the Gaussians, 1/Å.
    tolerance : float
        Waves with a smaller exp(-k²/4α²) are left out.

    Raises
    ------
    ValueError
        If the cell has no volume.
    """
    energy = torch.zeros([], dtype=charges.dtype, device=charges.device)
    potentials = torch.zeros_like(charges)
    forces = torch.zeros_like(positions)
    strain = torch.zeros_like(cell)
    waves, weights = half_waves(cell, alpha, tolerance)
    unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
    # entries of a matrix atoms × waves that are in memory at once
    step = max(1, 4_000_000 // max(1, len(charges)))
    for begin in range(0, len(waves), step):
        k, weight = waves[begin : begin + step], weights[begin : begin + step]
        phases = torch.matmul(positions, k.t())  # [N, K]
        cosine, sine = torch.cos(phases), torch.sin(phases)
        real, imaginary = torch.matmul(charges, cosine), torch.matmul(charges, sine)
        energies = 0.5 * weight * (real.square() + imaginary.square())  # [K]
        energy = energy + energies.sum()
        real, imaginary = weight * real, weight * imaginary
        potentials = potentials + torch.mv(cosine, real) + torch.mv(sine, imaginary)
        forces = forces + torch.matmul(sine * real - cosine * imaginary, k)
        # the strain of V, and that of k² in the rest
        rate = 2.0 / k.square().sum(-1) + 0.5 / alpha**2
        outer = torch.matmul(k.t() * (rate * energies), k)
        strain = strain + outer - unit * energies.sum()
    own = units.COULOMB_EV_ANGSTROM_CODATA * alpha / math.sqrt(math.pi)
    return LongRange(
        energy - own * charges.square().sum(),
        potentials - 2.0 * own * charges,
        charges.unsqueeze(-1) * forces,
        strain,
    )


def open_sum(positions: Tensor, charges: Tensor, alpha: float) -> LongRange:
    """Sum over Gaussian charges without periodic images.

    E = Σ_{i<j} k_e q_i q_j erf(α r_ij) / r_ij, without a term of single charges: that
    of ``ewald_sum`` takes from its waves what a charge does to itself.

    Parameters
    ----------
    positions : Tensor [N, 3], float64, Å
    charges : Tensor [N], float64, e
    alpha : float
        Of the Gaussians, 1/Å.

    Returns
    -------
    LongRange
        As ``ewald_sum``.
    """
    kernel, slope, vectors = open_kernel(positions, alpha)
    potentials = torch.mv(kernel, charges)
    pairs = charges.unsqueeze(0) * charges.unsqueeze(1) * slope  # [N, N]
    gradients = pairs.unsqueeze(-1) * vectors
    strain = 0.5 * torch.matmul(vectors.reshape(-1, 3).t(), gradients.reshape(-1, 3))
    return LongRange(
        0.5 * torch.dot(charges, potentials), potentials, gradients.sum(1), strain
    )


def open_kernel(positions: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute what two unit charges do to each other without periodic images.

    Parameters
    ----------
    positions : Tensor [N, 3], Å
    alpha : float
        Of the Gaussians, 1/Å.

    Returns
    -------
    kernel : Tensor [N, N], V/e
        k_e erf(α r)/r, zero for an atom and itself.
    slope : Tensor [N, N], V/(e Å²)
        Its derivative by r, over r.
    vectors : Tensor [N, N, 3], Å
        From the first atom to the second.
    """
    vectors = positions.unsqueeze(0) - positions.unsqueeze(1)
    own = torch.eye(len(positions), dtype=torch.bool, device=positions.device)
    # an atom has no pair with itself; 1 Å keeps its derivatives finite
    r = vectors.square().sum(-1).masked_fill(own, 1.0).sqrt()
    erf = torch.erf(alpha * r).masked_fill(own, 0.0)
    kernel = units.COULOMB_EV_ANGSTROM_CODATA * erf / r
    slope = 2.0 * alpha / math.sqrt(math.pi) * torch.exp(-(alpha * r).square())
    slope = units.COULOMB_EV_ANGSTROM_CODATA * slope.masked_fill(own, 0.0)
    return kernel, (slope - kernel) / r.square(), vectors


def half_waves(
    cell: Tensor, alpha: float, tolerance: float = TOLERANCE
) -> tuple[Tensor, Tensor]:
    """List the waves of a box, one of each pair k and -k.

    Parameters
    ----------
    cell : Tensor [3, 3], float64, Å
    alpha, tolerance : float
        As for ``ewald_sum``.

    Returns
    -------
    waves : Tensor [K, 3], 1/Å
    weights : Tensor [K], V/e
        w of E = ½ Σ w |Σ q exp(i k·r)|², the self term left out.

    Raises
    ------
    ValueError
        If the cell has no volume.
    """
    volume = torch.det(cell).abs()
    if not (float(volume) > 0.0 and float(volume) < float("inf")):  # also NaN
        raise ValueError(
            "expected a box of some volume for the charges, found one of "
            f"{float(volume)} Å³"
        )
    reciprocal = 2.0 * math.pi * torch.inverse(cell).t()  # vectors as rows
    largest = 2.0 * alpha * math.sqrt(-math.log(tolerance))
    counts: list[int] = []
    for vector in cell:
        reach = largest * float(torch.linalg.vector_norm(vector)) / (2.0 * math.pi)
        counts.append(int(reach))
    first = torch.arange(0, counts[0] + 1, device=cell.device)
    second = torch.arange(-counts[1], counts[1] + 1, device=cell.device)
    third = torch.arange(-counts[2], counts[2] + 1, device=cell.device)
    grid = torch.stack(torch.meshgrid(first, second, third, indexing="ij"), -1)
    grid = grid.reshape(-1, 3)
    x, y, z = grid[:, 0], grid[:, 1], grid[:, 2]
    half = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    waves = torch.matmul(grid[half].to(cell.dtype), reciprocal)
    square = waves.square().sum(-1)
    near = square < largest**2
    waves, square = waves[near], square[near]
    # 4π k_e / V, twice for k and -k
    factor = 8.0 * math.pi * units.COULOMB_EV_ANGSTROM_CODATA / volume
    return waves, factor * torch.exp(-square / (4.0 * alpha**2)) / square
