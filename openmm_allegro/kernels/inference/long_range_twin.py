# SPDX-License-Identifier: MIT
"""The sums over charges of ``long_range.h`` in plain torch, for TorchScript too."""

import math

import torch
from torch import Tensor

from ... import units
from ...model.ewald import open_sum
from .. import header

USUAL = header.constant("ALLEGRO_USUAL_SPACING") / 100  # spacing times alpha


def long_range(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    alpha: float,
    spacing: float,
    order: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum over Gaussian charges, on a mesh where they are periodic.

    Parameters
    ----------
    positions : Tensor [N, 3], float64, Å
    cell : Tensor [3, 3], float64, Å
        Zeros if there is no box.
    charges : Tensor [N], float64, e
    alpha, spacing : float
        1/Å, and Å; see ``allegro_charges`` in ``long_range.h``.
    order : int

    Returns
    -------
    energy : Tensor [], eV
    potentials : Tensor [N], V
    forces : Tensor [N, 3], eV/Å
    strain : Tensor [3, 3], eV
    """
    if not bool((cell != 0.0).any()):
        result = open_sum(positions, charges, alpha)
        return result.energy, result.potentials, result.forces, result.strain
    points = mesh_points(cell, alpha, spacing)
    inverse = torch.inverse(cell)  # column k gives fraction k
    count = torch.tensor(points, dtype=cell.dtype, device=cell.device)
    fractions = torch.matmul(positions, inverse)
    places = (fractions - fractions.floor()) * count
    below = torch.minimum(places.floor(), count - 1.0)
    values, slopes = splines(places - below, order)  # [N, 3, order]
    steps = torch.arange(order, device=cell.device) - (order - 1)
    near = below.nan_to_num().to(torch.int64).unsqueeze(-1) + steps
    near = torch.remainder(near, count.to(torch.int64).unsqueeze(-1))
    x, y, z = (
        near[:, 0, :, None, None],
        near[:, 1, None, :, None],
        near[:, 2, None, None],
    )
    index = ((x * points[1] + y) * points[2] + z).flatten(1)  # [N, order^3]
    weights = _product(values[:, 0], values[:, 1], values[:, 2])
    mesh = torch.zeros(
        points[0] * points[1] * points[2], dtype=cell.dtype, device=cell.device
    )
    mesh = mesh.index_add(0, index.flatten(), (charges[:, None] * weights).flatten())
    spectrum = torch.fft.rfftn(mesh.view(points))
    k, kernel, times = _waves(cell, inverse, points, order, alpha)
    square = k.square().sum(-1)
    square[0, 0, 0] = 1.0
    energies = 0.5 * times * kernel * spectrum.abs().square()
    stretch = (2.0 / square + 0.5 / alpha**2) * energies
    unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
    waves = k.flatten(0, 2)
    strain = torch.matmul(waves.t() * stretch.flatten(), waves) - unit * energies.sum()
    field = torch.fft.irfftn(spectrum * kernel, points, norm="forward").flatten()[index]
    own = units.COULOMB_EV_ANGSTROM_CODATA * alpha / math.sqrt(math.pi)
    potentials = (weights * field).sum(-1) - 2.0 * own * charges
    by_place = torch.stack(
        [
            (_product(slopes[:, 0], values[:, 1], values[:, 2]) * field).sum(-1),
            (_product(values[:, 0], slopes[:, 1], values[:, 2]) * field).sum(-1),
            (_product(values[:, 0], values[:, 1], slopes[:, 2]) * field).sum(-1),
        ],
        dim=1,
    )
    forces = -charges[:, None] * torch.matmul(by_place * count, inverse.t())
    energy = energies.sum() - own * charges.square().sum()
    return energy, potentials, forces, strain


def mesh_points(cell: Tensor, alpha: float, spacing: float) -> list[int]:
    """Numbers of points along each vector, as ``allegro_mesh_points`` finds them."""
    spacing = mesh_spacing(alpha, spacing)
    points: list[int] = []
    for vector in cell.detach():
        length = float(torch.linalg.vector_norm(vector))
        half = max(1, math.ceil(length / spacing * (1.0 - 1e-12) / 2.0))
        while not _is_smooth(half):
            half += 1
        points.append(2 * half)
    return points


def mesh_spacing(alpha: float, spacing: float, usual: float = USUAL) -> float:
    """Largest distance between points, Å: what is given, or if 0 what alpha needs."""
    return spacing if spacing > 0.0 else usual / alpha


def _is_smooth(number: int) -> bool:
    for factor in (2, 3, 5, 7):
        while number % factor == 0:
            number = number // factor
    return number == 1


def splines(u: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Cardinal splines at the points around places, and their derivatives.

    Parameters
    ----------
    u : Tensor
        Distance of each place to the point below it, in points.
    order : int

    Returns
    -------
    Tensor, Tensor [..., order]
        The first point is the farthest below.
    """
    # m[j]: spline of the order so far at u + j
    m = [u, 1.0 - u]
    slopes = [u]
    for n in range(3, order + 1):
        if n == order:
            slopes = [m[0]]
            for j in range(1, n - 1):
                slopes.append(m[j] - m[j - 1])
            slopes.append(-m[n - 2])
        raised = [u * m[0] / (n - 1)]
        for j in range(1, n - 1):
            raised.append(((u + j) * m[j] + (n - u - j) * m[j - 1]) / (n - 1))
        raised.append((1.0 - u) * m[n - 2] / (n - 1))
        m = raised
    return torch.stack(m, -1).flip(-1), torch.stack(slopes, -1).flip(-1)


def _product(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Products [N, order^3] of three arrays [N, order]."""
    return (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None]).flatten(1)


def _waves(
    cell: Tensor, inverse: Tensor, points: list[int], order: int, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Wave vectors of half the spectrum, the field of each, and how often it counts."""
    numbers: list[Tensor] = []
    squares: list[Tensor] = []
    for count in points:
        m = torch.arange(count, dtype=cell.dtype, device=cell.device)
        m = torch.where(2 * m < count, m, m - count)
        # the splines' transform is sinc to the power of the order
        inverse_square = torch.sinc(m / count).pow(-2 * order)
        # half a turn at each point: two waves of opposite signs, which are left out
        inverse_square[count // 2] = 0.0
        squares.append(inverse_square)
        numbers.append(m)
    half = points[2] // 2 + 1
    k = (
        2.0
        * math.pi
        * (
            numbers[0][:, None, None, None] * inverse[:, 0]
            + numbers[1][:, None, None] * inverse[:, 1]
            + numbers[2][:half, None] * inverse[:, 2]
        )
    )
    square = k.square().sum(-1)
    square[0, 0, 0] = 1.0
    scale = squares[0][:, None, None] * squares[1][:, None] * squares[2][:half]
    factor = 4.0 * math.pi * units.COULOMB_EV_ANGSTROM_CODATA / torch.det(cell).abs()
    kernel = factor * torch.exp(-square / (4.0 * alpha**2)) / square * scale
    kernel[0, 0, 0] = 0.0
    times = torch.full([half], 2.0, dtype=cell.dtype, device=cell.device)
    times[0] = 1.0
    return k, kernel, times
