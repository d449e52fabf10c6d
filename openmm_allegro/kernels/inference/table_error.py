# SPDX-License-Identifier: MIT
"""The force error that a two-body table and the precision bring."""

from collections.abc import Sequence

import torch
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor

from ...model import AllegroEnergy
from .fold import TABLE_FROM, fold
from .operator import register
from .program import Program

# Random environments of each element, and their shortest distances over the sum of the
# covalent radii. Bonds vibrate to some 0.85 of it.
ENVIRONMENTS, NEAREST = 64, 0.8


def force_error(
    energy: AllegroEnergy, program: Program, elements: Sequence[str]
) -> tuple[float, float]:
    """Estimate the force error of a program against the exact model in float64.

    Measured in random environments with as many neighbours as the model was trained
    with, at any distances from short bonds on: forces there are larger than in a
    liquid, and so are errors. The bound takes the errors g_ij of all derivatives of one
    centre's energy by the vectors to its neighbours with the same sign, and as much
    again from the centres that it is a neighbour of: |ΔF_i| ≤ Σ_j |g_ij| + Σ_j |g_ji|.

    Returns
    -------
    bound, seen : float
        eV/Å; ``seen`` is the largest error of a component of the force on a centre, of
        its own energy alone.
    """
    register()
    exact = fold(energy, torch.float64)
    environments = _environments(energy, elements)
    forces = torch.ops.openmm_allegro.evaluate(*environments, *program)[1]
    reference = torch.ops.openmm_allegro.evaluate(*environments, *exact)[1]
    difference = forces - reference
    offsets = environments[3]
    sizes = offsets.diff()
    centers = torch.nonzero(sizes).squeeze(1)
    neighbors = torch.repeat_interleave(centers, sizes[centers])
    size = difference.norm(dim=1)
    size[centers] = 0.0
    others = torch.nonzero(sizes == 0).squeeze(1)
    sums = torch.zeros_like(size).index_add(0, neighbors, size[others])
    return 2.0 * float(sums.max()), float(difference[centers].abs().max())


def _environments(energy: AllegroEnergy, elements: Sequence[str]) -> tuple[Tensor, ...]:
    """Make clusters of a centre and its neighbours, arguments of ``twin.evaluate``.

    Only the first atom of each cluster has pairs.
    """
    network = energy.network
    generator = torch.Generator().manual_seed(0)
    numbers = network.environment_norm.double().cpu().pow(-2).round().long()
    centers = torch.arange(len(elements)).repeat_interleave(ENVIRONMENTS)
    sizes = numbers[centers].clamp(min=1)
    count = int(sizes.sum())
    kinds = torch.randint(len(elements), (count,), generator=generator)
    direction = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    uniform = torch.rand(count, dtype=torch.float64, generator=generator)
    center_types = torch.repeat_interleave(centers, sizes)
    cutoffs = network.embedding.cutoffs(center_types, kinds).double().cpu()
    radii = torch.tensor([covalent_radii[atomic_numbers[e]] for e in elements])
    nearest = NEAREST * (radii[center_types] + radii[kinds])
    nearest = nearest.clamp(TABLE_FROM * cutoffs, 0.9 * cutoffs)
    r = (nearest**3 + (cutoffs**3 - nearest**3) * uniform).pow(1 / 3)
    vectors = r.unsqueeze(1) * torch.nn.functional.normalize(direction, dim=1)
    first = torch.cumsum(sizes + 1, 0) - sizes - 1  # atom numbers of the centres
    is_neighbor = torch.ones(count + len(sizes), dtype=torch.bool)
    is_neighbor[first] = False
    positions = torch.zeros(len(is_neighbor), 3, dtype=torch.float64)
    positions[is_neighbor] = vectors
    types = torch.zeros(len(is_neighbor), dtype=torch.int64)
    types[is_neighbor], types[first] = kinds, centers
    degrees = torch.zeros(len(is_neighbor), dtype=torch.int64)
    degrees[first] = sizes
    offsets = torch.zeros(len(is_neighbor) + 1, dtype=torch.int64)
    offsets[1:] = torch.cumsum(degrees, 0)
    neighbors = torch.nonzero(is_neighbor).squeeze(1).to(torch.int32)
    shifts = torch.zeros(count, 3, dtype=torch.int8)
    cell = torch.zeros(3, 3, dtype=torch.float64)
    return positions, cell, types, offsets, neighbors, shifts
