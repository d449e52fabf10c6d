# SPDX-License-Identifier: MIT
"""The field of the charges of a training's frames.

The positions of a frame do not change in a training, and its energy is quadratic in the
charges. So the potential at each atom of a unit charge at each other one, its images
and its gradient are computed once, as matrices of atoms × atoms, which take less memory
and time than waves at the density of condensed matter. Where they would take too much
memory, and where frames are predicted once, the sums of ``model.ewald`` are taken.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..model.ewald import TOLERANCE, ewald_sum, half_waves, open_kernel, open_sum
from ..structure import Structure
from ..units import COULOMB_EV_ANGSTROM_CODATA

LARGEST_TOTAL = 1000.0  # e, of a frame, as of the total_charge of a force
# Matrices of a frame: potential, its gradient, and, if there is a stress, its
# derivatives by the strain components xx, yy, zz, yz, xz, xy.
POTENTIAL, GRADIENT, STRAIN = 1, 4, 10
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
# Rows of strain components in a 3 × 3 tensor.
_TENSOR = (0, 5, 4, 5, 1, 3, 4, 3, 2)


class Electrostatics(NamedTuple):
    """What charges of B frames need beside their elements. N atoms in all."""

    positions: Tensor  # [N, 3] float64, Å
    cells: Tensor  # [B, 3, 3] float64, Å; zeros of a frame without images
    totals: Tensor  # [B] float64, total charges, e
    charges: Tensor  # [N] float64, labels, e; NaN where unknown
    dipoles: Tensor  # [B, 3] float64, labels, e Å; NaN where unknown
    matrices: list[Tensor]  # of each frame [M, n, n]; none: sums are taken


class Field(NamedTuple):
    """What the charges of B frames with N atoms do to each other."""

    energies: Tensor  # [B] float64, eV
    potentials: Tensor  # [N] dE/dq, V
    forces: Tensor  # [N, 3] eV/Å, the charges being what they are
    strains: Tensor  # [B, 3, 3] dE/d(strain) in eV, likewise


def electrostatics_of(structure: Structure, where: str) -> Electrostatics:
    """Electrostatics of one structure.

    Raises
    ------
    ValueError
        If it is periodic in some directions only, or its charge is no number or none
        of ions.
    """
    if not abs(structure.charge) <= LARGEST_TOTAL:
        found = structure.unclear_charge or f"{structure.charge:g}"
        raise ValueError(
            f"{where}: expected one number within ±{LARGEST_TOTAL:g} as charge or "
            f"total_charge (e) in the comment line, found {found}"
        )
    if structure.periodic.any() and not structure.periodic.all():
        raise ValueError(
            f"{where}: expected periodicity in all directions or in none for a model "
            f"with charges, found {structure.periodic.tolist()}"
        )
    cell = torch.tensor(structure.cell, dtype=torch.float64)
    charges, dipole = structure.charges, structure.dipole
    charges = np.full(len(structure), np.nan) if charges is None else charges
    dipole = np.full(3, np.nan) if dipole is None else dipole
    return Electrostatics(
        torch.tensor(structure.positions, dtype=torch.float64),
        (cell if structure.periodic.all() else torch.zeros_like(cell))[None],
        torch.tensor([structure.charge], dtype=torch.float64),
        torch.tensor(charges, dtype=torch.float64),
        torch.tensor(dipole[None], dtype=torch.float64),
        [],
    )


def join_electrostatics(
    parts: Sequence[Electrostatics | None],
) -> Electrostatics | None:
    """Join those of several frames; matrices of all of them, or none."""
    if parts[0] is None:
        return None
    matrices = [matrix for part in parts for matrix in part.matrices]
    tensors = (torch.cat(values) for values in list(zip(*parts, strict=True))[:-1])
    return Electrostatics(*tensors, matrices if len(matrices) == len(parts) else [])


def field_of(
    electrostatics: Electrostatics,
    sizes: Tensor,
    charges: Tensor,
    alpha: float,
    *,
    forces: bool = True,
    stress: bool = True,
) -> Field:
    """Compute the field of given charges, which it can be differentiated by.

    Parameters
    ----------
    electrostatics : Electrostatics
        If there are matrices, they are those of ``alpha``.
    sizes : Tensor [B], int64
        Number of atoms of each frame.
    charges : Tensor [N], float64, e
    alpha : float
        Of the Gaussians, 1/Å.
    forces, stress : bool
        Whether they are wanted; zeros otherwise, and for strains of a frame whose
        matrices were made without.
    """
    if electrostatics.matrices:
        channels = STRAIN if stress else GRADIENT if forces else POTENTIAL
        return _from_matrices(electrostatics.matrices, charges, channels)
    parts = []
    frames = electrostatics.cells, electrostatics.positions, charges
    counts = sizes.tolist()
    atoms = (values.split(counts) for values in frames[1:])
    for cell, positions, q in zip(frames[0], *atoms, strict=True):
        if cell.any():
            parts.append(ewald_sum(positions, cell, q, alpha))
        else:
            parts.append(open_sum(positions, q, alpha))
    energies, potentials, pulls, strains = zip(*parts, strict=True)
    return Field(
        torch.stack(energies),
        torch.cat(potentials),
        torch.cat(pulls),
        torch.stack(strains),
    )


def _from_matrices(matrices: list[Tensor], charges: Tensor, channels: int) -> Field:
    """Compute the field of frames; neighbouring ones of one size together."""
    parts: list[Field] = []
    begin = 0
    for shape, group in groupby(matrices, key=lambda matrix: matrix.shape):
        run = list(group)
        stacked = torch.stack(run) if len(run) > 1 else run[0].unsqueeze(0)
        stacked = stacked[:, :channels]
        frames, count, size = stacked.shape[0], stacked.shape[1], shape[-1]
        q = charges[begin : begin + frames * size].view(frames, 1, size)
        q = q.to(stacked.dtype)
        begin += frames * size
        sums = torch.matmul(stacked.flatten(1, 2), q.transpose(1, 2))
        sums = sums.view(frames, count, size)
        products = sums * q
        energies = 0.5 * products[:, 0].double().sum(-1)
        forces = products.new_zeros((frames * size, 3))
        strains = products.new_zeros((frames, 3, 3))
        if count >= GRADIENT:
            forces = -products[:, 1:GRADIENT].transpose(1, 2).reshape(-1, 3)
        if count == STRAIN:
            voigt = 0.5 * products[:, GRADIENT:].sum(-1)
            strains = voigt[:, _TENSOR].view(frames, 3, 3)
        parts.append(Field(energies, sums[:, 0].flatten(), forces, strains))
    if len(parts) == 1:
        return parts[0]
    return Field(*(torch.cat(values) for values in zip(*parts, strict=True)))


def matrices_of(
    electrostatics: Electrostatics, alpha: float, dtype: torch.dtype, stress: bool
) -> Tensor:
    """Compute the matrices [M, n, n] of one frame.

    Entry [0, i, j] is the potential (V) at atom i of a unit charge at j, with all its
    images and less the self term; the next three are its gradient by the position of i,
    and the last six, with a stress, its derivatives by strain.
    """
    positions, cell = electrostatics.positions, electrostatics.cells[0]
    if not cell.any():
        kernel, slope, vectors = open_kernel(positions, alpha)
        gradient = -slope * vectors.permute(2, 0, 1)
        return torch.cat([kernel[None], gradient]).to(dtype)
    waves, weights = half_waves(cell, alpha, TOLERANCE)
    phases = torch.matmul(positions, waves.t())
    both = torch.cat([torch.cos(phases), torch.sin(phases)], 1)  # [n, 2 K]
    weighted = both * weights.repeat(2)
    potential = torch.matmul(both, weighted.t())
    own = 2.0 * COULOMB_EV_ANGSTROM_CODATA * alpha / math.sqrt(math.pi)
    potential.diagonal().sub_(own)
    matrices = [potential]
    cosine, sine = both[:, : len(waves)], weighted[:, len(waves) :]
    for component in waves.unbind(1):
        half = torch.matmul(sine * component, cosine.t())
        matrices.append(half.t() - half)
    if stress:
        rate = 2.0 / waves.square().sum(-1) + 0.5 / alpha**2
        for a, b in _VOIGT:
            factor = rate * waves[:, a] * waves[:, b] - float(a == b)
            matrices.append(torch.matmul(both * factor.repeat(2), weighted.t()))
    return torch.stack(matrices).to(dtype)


def dipoles_of(
    positions: Tensor, charges: Tensor, frames: Tensor, count: int
) -> Tensor:
    """Dipole moments [B, 3] (e Å) of ``count`` frames without images."""
    moments = charges[:, None] * positions
    return moments.new_zeros((count, 3)).index_add(0, frames, moments)


def mean_free(values: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
    """Subtract the mean over each frame from values [N] of atoms.

    Charges that are moved to a given total see the potentials without their mean.

    Parameters
    ----------
    values : Tensor [N]
    frames : Tensor [N], int64
        The frame of each atom.
    sizes : Tensor [B], int64
        Number of atoms of each frame.
    """
    sums = values.new_zeros(len(sizes)).index_add(0, frames, values)
    return values - (sums / sizes)[frames]
