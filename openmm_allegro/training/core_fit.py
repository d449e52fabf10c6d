# SPDX-License-Identifier: MIT
"""Fit the pair core of a model to the forces of its training set, in closed form.

A network extrapolates badly to bonds that are longer or shorter than those it has
seen: its forces stay what they are at the end of the range. A sum of terms
A exp(-b r) / r has the shape of bonds and of repulsions there, too. With the rates b
given, forces are linear in the strengths A, which a ridge regression finds. At
distances below those of the data the fitted part is asked to be small beside the
repulsion of the nuclei, so that the whole is a wall.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroConfig
from ..model.energy import screened_repulsion
from ..model.radial import polynomial_envelope
from ..topology.elements import ATOMIC_NUMBERS
from .samples import Sample
from .statistics import closest_distances
from .terms import subtract_terms

log = logging.getLogger(__name__)

MOST_FRAMES = 300  # of more every second, third and so on is taken
MOST_UNKNOWNS = 3000  # with more kinds of pairs there are fewer rates
MOST_PRODUCTS = 2e11  # of numbers, some seconds, for which frames are left out, too
UNIT = 1.3  # Å, a normalisation: a term is s (UNIT / r) exp(-b (r - UNIT))
RIDGE = 1e-5  # on unknowns in units of the root mean square of their forces
# The wall: points from the first distance (Å) to a part of the closest pair's, at which
# the fitted energy is asked to be within a part of the nuclei's, with a weight (eV²/Å²)
# that grows as long as a core is attractive there.
POINTS, FIRST, LAST, WITHIN, WEIGHT = 20, 0.25, 0.8, 0.3, 1e-3
WALLS = (1.0, 10.0, 100.0)
CHECKED, CHECKS = 0.2, 60  # first distance (Å) and number of those that are looked at
BARRIER = 50.0  # eV; nothing gets behind a higher wall, so that a core may turn there


class Kinds(NamedTuple):
    """Unordered pairs of elements that samples have, U of T elements."""

    types: Tensor  # [U, 2] int64, ascending
    index: Tensor  # [T, T] int64, the row of each; -1 for absent ones
    closest: Tensor  # [U] Å, smallest distance


def fit_terms(
    terms: torch.nn.ModuleDict,
    samples: Sequence[Sample],
    config: AllegroConfig,
    dtype: torch.dtype,
) -> None:
    """Fit those terms of an energy that have weights, in the precision of its file."""
    if "core" in terms:
        others = torch.nn.ModuleDict({n: t for n, t in terms.items() if n != "core"})
        terms["core"].strengths.copy_(fit_core(samples, others, config).to(dtype))


def fit_core(
    samples: Sequence[Sample], terms: torch.nn.ModuleDict, config: AllegroConfig
) -> Tensor:
    """Fit the strengths of a pair core to forces.

    Parameters
    ----------
    samples : sequence of Sample
        Those to train on. Without forces all strengths are zero.
    terms : ModuleDict
        Other terms of the energy, which are subtracted first.
    config : AllegroConfig
        With ``core_rates``.

    Returns
    -------
    Tensor [T, T, K], float64, eV Å
        Symmetric; zero for pairs of elements that the samples do not have within the
        cutoff.
    """
    count = len(config.elements)
    strengths = torch.zeros((count, count, len(config.core_rates)), dtype=torch.float64)
    labelled = [
        s
        for s in samples
        if s.forces is not None and s.weights[1] > 0 and len(s.centers)
    ]
    if not labelled:
        log.warning("no frame has forces to fit a pair core to: its strengths are zero")
        return strengths
    kinds = find_kinds(samples, count)
    chosen = _choose_rates(config, len(kinds.types))
    if not chosen:
        return strengths
    rates = torch.tensor(config.core_rates, dtype=torch.float64)[chosen]
    unknowns = len(kinds.types) * len(rates)
    atoms = sum(len(s.types) for s in labelled)
    every = max(
        -(-len(labelled) // MOST_FRAMES), int(3 * atoms * unknowns**2 / MOST_PRODUCTS)
    )
    frames = subtract_terms(labelled[:: max(every, 1)], terms)
    equations = _equations(frames, kinds, rates, config)
    for weight in WALLS:
        fitted = _solve(equations, kinds, rates, config, weight)
        attractive = _attractive(fitted, kinds, rates, config)
        if not attractive:
            break
    else:  # without a fitted part the nuclei's would be left for the network to undo
        log.warning(
            "the pair core of %s attracts atoms that are closer than in the data",
            ", ".join(attractive),
        )
    plain = _mean_square(labelled[:: max(every, 1)])
    _report(equations, fitted, rates, len(frames), plain)
    for (a, b), values in zip(kinds.types.tolist(), fitted, strict=True):
        strengths[a, b, chosen] = strengths[b, a, chosen] = values * _factors(rates)
    return strengths


def find_kinds(samples: Sequence[Sample], count: int) -> Kinds:
    """Find the pairs of ``count`` elements that samples have, and the closest."""
    closest = closest_distances(samples, count)
    present = torch.isfinite(closest).nonzero()[:, 0]
    types = torch.stack((present // count, present % count), 1)
    index = torch.full((count, count), -1)
    index[types[:, 0], types[:, 1]] = index[types[:, 1], types[:, 0]] = torch.arange(
        len(types)
    )
    return Kinds(types, index, closest[present])


def _choose_rates(config: AllegroConfig, kinds: int) -> list[int]:
    """Indices of the rates that there are not too many unknowns with."""
    every = len(config.core_rates)
    count = min(every, MOST_UNKNOWNS // kinds)
    if count < every:
        log.warning(
            "%d kinds of pairs: the pair core has %d of %d rates, others zero strength",
            *(kinds, count, every),
        )
    places = np.linspace(0, every - 1, count).round() if count else []
    return [int(place) for place in places]


class _Equations(NamedTuple):
    """Normal equations of forces, over the number of force components."""

    matrix: Tensor  # [U K, U K] (eV/Å)²
    vector: Tensor  # [U K]
    square: float  # mean square of the forces


def _equations(
    frames: Sequence[Sample], kinds: Kinds, rates: Tensor, config: AllegroConfig
) -> _Equations:
    size = len(kinds.types) * len(rates)
    matrix = torch.zeros((size, size), dtype=torch.float64)
    vector = torch.zeros(size, dtype=torch.float64)
    square, count = 0.0, 0
    cutoffs = torch.from_numpy(config.cutoff_table())
    for s in frames:
        forces = s.forces.double().flatten()
        known = torch.isfinite(forces)
        rows = _unit_forces(s, kinds, rates, cutoffs, config.zbl_envelope_p)[known]
        forces = forces[known]
        matrix += rows.T @ rows
        vector += rows.T @ forces
        square += float(forces @ forces)
        count += len(forces)
    return _Equations(matrix / count, vector / count, square / count)


def _unit_forces(
    s: Sample, kinds: Kinds, rates: Tensor, cutoffs: Tensor, envelope_p: float
) -> Tensor:
    """Forces [3 N, U K] on the atoms for strengths of 1."""
    center, neighbor = s.types[s.centers], s.types[s.neighbors]
    vectors = s.vectors.double()
    r = vectors.norm(dim=-1)
    limits = cutoffs[center, neighbor]
    x = (r / limits).requires_grad_(True)
    with torch.enable_grad():
        envelope = polynomial_envelope(x, envelope_p)
        (slope,) = torch.autograd.grad(envelope.sum(), x)
    values = _values(r, rates)
    slopes = -values * (rates + 1.0 / r[:, None]) * envelope.detach()[:, None]
    slopes = slopes + values * (slope / limits)[:, None]
    # half of each pair's energy belongs to each ordered pair
    along = 0.5 * (vectors / r[:, None])[:, :, None] * slopes[:, None, :]  # [P, 3, K]
    number, count = len(kinds.types), len(s.types)
    kind = kinds.index[center, neighbor]
    rows = along.new_zeros((count * number, 3, len(rates)))
    rows.index_add_(0, s.centers * number + kind, along)
    rows.index_add_(0, s.neighbors * number + kind, -along)
    rows = rows.unflatten(0, (count, number)).transpose(1, 2)  # [N, 3, U, K]
    return rows.flatten(0, 1).flatten(1)


def _solve(
    equations: _Equations,
    kinds: Kinds,
    rates: Tensor,
    config: AllegroConfig,
    wall: float,
) -> Tensor:
    """Strengths [U, K] in units of ``_factors``, with a weight of the wall."""
    scale = equations.matrix.diagonal().sqrt() + 1e-12
    matrix = equations.matrix / scale[:, None] / scale
    matrix += RIDGE * torch.eye(len(scale), dtype=torch.float64)
    count = len(rates)
    for kind in range(len(kinds.types)):
        r = _near(kinds, kind)
        part = slice(kind * count, (kind + 1) * count)
        rows = _values(r, rates) / (WITHIN * _nuclei(r, kinds, kind, config))[:, None]
        rows = rows / scale[part]
        matrix[part, part] += wall * WEIGHT * rows.T @ rows / POINTS
    solution = torch.linalg.solve(matrix, equations.vector / scale) / scale
    return solution.view(-1, count)


def _attractive(
    fitted: Tensor, kinds: Kinds, rates: Tensor, config: AllegroConfig
) -> list[str]:
    """Kinds whose core attracts in front of a high wall, closer than in the data."""
    names = []
    for kind, pair in enumerate(kinds.types.tolist()):
        r = _near(kinds, kind, CHECKED, CHECKS).sort().values
        energy = _values(r, rates) @ fitted[kind] + _nuclei(r, kinds, kind, config)
        behind = (energy > BARRIER).nonzero()
        outside = energy[int(behind[-1]) if len(behind) else 0 :]
        if (outside.diff() >= 0).any():
            names.append("-".join(config.elements[t] for t in pair))
    return names


def _near(
    kinds: Kinds, kind: int, first: float = FIRST, points: int = POINTS
) -> Tensor:
    """Distances [points] (Å) below those of the data."""
    last = LAST * float(kinds.closest[kind])
    return torch.linspace(first, last, points, dtype=torch.float64)


def _nuclei(r: Tensor, kinds: Kinds, kind: int, config: AllegroConfig) -> Tensor:
    """Repulsion of the nuclei of a pair, eV, without the envelope."""
    z = [
        torch.tensor(float(ATOMIC_NUMBERS[config.elements[t]]), dtype=torch.float64)
        for t in kinds.types[kind].tolist()
    ]
    return 2.0 * screened_repulsion(r, *z, config.zbl_coulomb)


def _values(r: Tensor, rates: Tensor) -> Tensor:
    """Terms [P, K] of strength 1 in units of ``_factors``, without the envelope."""
    return torch.exp(-rates * (r[:, None] - UNIT)) * (UNIT / r)[:, None]


def _factors(rates: Tensor) -> Tensor:
    """Strengths A [K] (Å) of A exp(-b r) / r that ``_values`` are of."""
    return UNIT * torch.exp(rates * UNIT)


def _mean_square(frames: Sequence[Sample]) -> float:
    forces = torch.cat([s.forces.double().flatten() for s in frames])
    return float(forces[torch.isfinite(forces)].square().mean())


def _report(
    equations: _Equations, fitted: Tensor, rates: Tensor, frames: int, plain: float
) -> None:
    """Log what the core leaves of the forces' mean square ``plain``."""
    values = fitted.flatten()
    rest = equations.square - 2.0 * float(equations.vector @ values)
    rest += float(values @ equations.matrix @ values)
    left, forces = (1000 * max(part, 0.0) ** 0.5 for part in (rest, plain))
    log.info(
        "pair core of %d kinds of pairs and %d rates fitted to %d frames: it leaves "
        "%.0f of the forces' %.0f meV/Å (root mean square)",
        *(len(fitted), len(rates), frames, left, forces),
    )
    if left >= forces:
        log.warning(
            "the pair core leaves larger forces (%.0f meV/Å) than there are (%.0f): "
            "train without core_rates and zbl, or with other core_rates",
            *(left, forces),
        )
