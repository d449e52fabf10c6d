# SPDX-License-Identifier: MIT
"""Tables of all that depends on the distance of a pair and its elements alone.

Cubic Hermite interpolation in x = r / cutoff for each ordered pair of elements, from
``TABLE_FROM`` to 1; closer pairs are computed.
"""

import copy
import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from ...model import AllegroEnergy
from ...topology.elements import covalent_radii
from .fold import TABLE_FROM, fold, fold_parts
from .operator import register
from .program import Program

_log = logging.getLogger(__name__)
INTERVALS = (128, 256, 512, 1024, 2048, 4096)
# Random environments of each element, and their shortest distances over the sum of the
# covalent radii. Bonds vibrate to some 0.85 of it.
ENVIRONMENTS, NEAREST = 64, 0.8


def fold_with_table(
    energy: AllegroEnergy,
    dtype: torch.dtype,
    elements: Sequence[str],
    tolerance: float = 3e-5,
) -> Program:
    """Fold a model to a program with a table as fine as it must be.

    Logs a bound on the error of forces that the table and the precision bring, see
    ``force_error``.

    Parameters
    ----------
    energy : AllegroEnergy
    dtype : torch.dtype
    elements : sequence of str
        Chemical symbols of the model's elements.
    tolerance : float
        Largest error of a tabulated function's slope, as a fraction of the largest
        slope; up to 4096 intervals are tried.
    """
    folded = fold_parts(energy, dtype)
    functions = TableFunctions(energy, folded.combined)
    for intervals in INTERVALS:
        value, slope = functions.error(intervals)
        if slope <= tolerance:
            break
    program = folded.program(functions.table(intervals))
    bound, seen = force_error(energy, program, elements)
    _log.info(
        "two-body table of %d intervals: errors of %.1e of the largest value and %.1e "
        "of the largest slope; forces within %.1e eV/Å (%.1e in the worst of %d random "
        "environments of each element); %.1f MB",
        *(intervals, value, slope, bound, seen, ENVIRONMENTS),
        program.weights.nbytes / 1e6,
    )
    return program


class TableFunctions:
    """Functions of the distance and the elements alone, in double precision.

    Parameters
    ----------
    energy : AllegroEnergy
    combined : Tensor [depth, width]
        See ``fold.Folded``.
    """

    def __init__(self, energy: AllegroEnergy, combined: Tensor) -> None:
        network = copy.deepcopy(energy.network).double().cpu()
        self.network, self.combined = network.requires_grad_(False), combined
        self.types = network.embedding.cutoffs.number_of_elements

    def table(self, intervals: int) -> Tensor:
        """Coefficients of each interval's cubic: [T², intervals, 4, width].

        Coefficients, because a slope from the values at both ends would lose digits.
        """
        kinds = range(self.types**2)
        return torch.stack([self._cubics(kind, intervals)[0] for kind in kinds])

    def error(self, intervals: int) -> tuple[float, float]:
        """Largest relative errors of values and of slopes between the nodes."""
        errors = torch.zeros(2, dtype=torch.float64)
        for kind in range(self.types**2):
            cubic, x, step = self._cubics(kind, intervals)
            p, s, b, c = cubic.unbind(1)
            for t in (0.21, 0.5, 0.79):  # where errors of slopes and values are largest
                exact = self._values(x[:-1] + t * step, kind)
                value = p + t * (s + t * (b + t * c))
                slope = (s + t * (2.0 * b + t * 3.0 * c)) / step
                for i, estimate in enumerate((value, slope)):
                    scale = exact[i].abs().amax().clamp(min=1e-12)
                    error = (estimate - exact[i]).abs().amax() / scale
                    errors[i] = torch.maximum(errors[i], error)
        return float(errors[0]), float(errors[1])

    def _cubics(self, kind: int, intervals: int) -> tuple[Tensor, Tensor, float]:
        """Coefficients [n, 4, width] of an ordered pair, the nodes, their distance."""
        x = torch.linspace(TABLE_FROM, 1.0, intervals + 1, dtype=torch.float64)
        step = (1.0 - TABLE_FROM) / intervals
        value, slope = self._values(x, kind)
        p0, p1, s0, s1 = value[:-1], value[1:], slope[:-1] * step, slope[1:] * step
        c = s0 + s1 - 2.0 * (p1 - p0)
        return torch.stack((p0, s0, p1 - p0 - s0 - c, c), 1), x, step

    def _values(self, x: Tensor, kind: int) -> tuple[Tensor, Tensor]:
        """The functions [n, width] and their derivatives by x = r / cutoff."""
        net = self.network
        center, neighbor = kind // self.types, kind % self.types
        kinds = torch.tensor([center]), torch.tensor([[neighbor]])
        cutoff = net.embedding.cutoffs(*kinds).double()
        kinds = kinds[0], kinds[1].expand(1, len(x))

        def values(x: Tensor) -> Tensor:
            hidden = net.embedding((x * cutoff).view(1, -1), *kinds)[0]
            if not isinstance(net.two_body.activation, torch.nn.Identity):
                for layer in net.two_body.layers[:-1]:
                    hidden = net.two_body.activation(layer(hidden))
            return hidden @ self.combined

        return torch.func.jvp(values, (x,), (torch.ones_like(x),))


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
    radii = torch.tensor(covalent_radii(elements), dtype=torch.float64)
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
