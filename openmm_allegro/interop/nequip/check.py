# SPDX-License-Identifier: MIT
"""Comparison of a nequip model with ours on small clusters."""

import copy
import dataclasses
import itertools

import numpy as np
import torch
from torch import Tensor

from ...model import AllegroConfig, AllegroEnergy
from ...structure import Structure
from ...training.predict import predict
from ...training.samples import Batch, collate, make_samples
from .load import nequip_state

# Largest difference of the energies of pairs and atoms and of forces, as a fraction of
# the largest of its kind or of 0.01 (eV, Å). A float32 model is compared in float64,
# but its Wigner 3j symbols and norms are rounded already.
TOLERANCE = {"float64": 1e-9, "float32": 2e-6}
_ALL_PAIRS = 12  # elements
MOST_NUMBERS = 3 * 10**6  # in the operators of a layer, for the clusters of one call
_COMPARED = ("atomic_energy", "total_energy", "edge_energy", "forces")


def difference(
    theirs: torch.nn.Module,
    energy: AllegroEnergy,
    config: AllegroConfig,
    length: float,
    energy_scale: float,
) -> float:
    """Find the largest relative difference of two models; NaN if one is not finite.

    Parameters
    ----------
    theirs : nequip GraphModel
        Converted to float64.
    energy : AllegroEnergy
    config : AllegroConfig
    length, energy_scale : float
        Units of ``theirs`` in Å and eV.
    """
    energy = copy.deepcopy(energy).set_dtype(torch.float64).requires_grad_(False)
    _to_double(theirs)
    structure, groups = clusters(config)
    some = clusters_at_once(energy)
    parts = []
    for begin in range(0, groups[-1] + 1, some):
        chosen = np.flatnonzero((groups >= begin) & (groups < begin + some))
        part = dataclasses.replace(
            structure,
            symbols=tuple(structure.symbols[i] for i in chosen),
            positions=structure.positions[chosen],
        )
        batch = collate(make_samples([part], config, torch.float64), config)
        near = torch.tensor(groups[chosen][:, None] == groups[chosen])
        edges, other = _their_results(theirs, part, batch.types, near, length)
        parts.append(_compared(energy, batch, edges, other, energy_scale, length))
    mine, other = (
        [torch.cat(x) for x in zip(*side, strict=True)]
        for side in zip(*parts, strict=True)
    )
    shifts = energy.shifts
    rounding = 8.0 * torch.finfo(torch.float64).eps * float(shifts.abs().max())
    slack = rounding, rounding * 4 * some, 0.0, 0.0
    differences = [
        _relative(*arrays) for arrays in zip(mine, other, slack, strict=False)
    ]
    return float(np.max(differences))  # Python's max() would pass over NaN


def clusters_at_once(energy: AllegroEnergy) -> int:
    """Number of clusters whose operators take some hundred MB in each layer."""
    sizes = [o.channels * o.dim_in * o.dim_out for o in energy.network.operators]
    return max(1, MOST_NUMBERS // (4 * max(sizes)))


def _their_results(
    theirs: torch.nn.Module,
    structure: Structure,
    types: Tensor,
    near: Tensor,
    length: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Pairs [2, P] among those ``near`` [N, N], and what nequip computes with them."""
    pos = torch.tensor(structure.positions / length)
    near = near & (torch.cdist(pos, pos) < float(theirs.metadata["r_max"]))
    edges = (near & ~torch.eye(len(pos)).bool()).nonzero().T
    data = {
        "pos": pos,
        "edge_index": edges,
        "atom_types": types,
        # with a cell, so that a term for periodic structures alone would show
        "cell": torch.eye(3, dtype=torch.float64).unsqueeze(0) * 1e3,
        "edge_cell_shift": torch.zeros((edges.shape[1], 3), dtype=torch.float64),
        "batch": torch.zeros(len(pos), dtype=torch.int64),
        "num_atoms": torch.tensor([len(pos)]),
    }
    with nequip_state():
        result = theirs(data)
    return edges, {k: v.detach().double() for k, v in result.items() if k in _COMPARED}


def _compared(
    energy: AllegroEnergy,
    batch: Batch,
    edges: Tensor,
    result: dict[str, Tensor],
    energy_scale: float,
    length: float,
) -> tuple[list[Tensor], list[Tensor]]:
    """Our and nequip's energies of atoms, of all, of pairs, and forces, flat."""
    ours = predict(energy, batch, stress=False)
    atoms, pairs = _our_energies(energy, batch, len(batch.types))
    shifts = energy.shifts[batch.types]
    # Pair energies are without the core, whose forces may hide those of the network.
    mine = [atoms - shifts, ours.energies, pairs[edges[0], edges[1]]]
    other = [
        result["atomic_energy"].flatten() * energy_scale - shifts,
        result["total_energy"].flatten() * energy_scale,
        result["edge_energy"].flatten(),
    ]
    if "forces" in result:
        mine.append(ours.forces.flatten())
        other.append(result["forces"].flatten() * (energy_scale / length))
    return mine, other


def _relative(mine: Tensor, other: Tensor, rounding: float) -> float:
    excess = ((mine - other).abs().max() - rounding).clamp(min=0.0)
    return float(excess / mine.abs().max().clamp(min=0.01))


def clusters(config: AllegroConfig) -> tuple[Structure, np.ndarray]:
    """Build clusters of four atoms, far apart, with the elements of ``quadruples``.

    The first two atoms are half their cutoff apart, the others at random places about
    them.

    Returns
    -------
    structure : Structure
    groups : ndarray [N], int
        The cluster of each atom.
    """
    random = np.random.default_rng(0)
    table = config.cutoff_table()
    kinds = quadruples(len(config.elements), random)
    positions = []
    for index, (a, b, _, _) in enumerate(kinds):
        reach = min(table[a, b], table[b, a])
        directions = random.normal(size=(3, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        places = np.zeros((4, 3))
        # the third and fourth on the other side, so that none is on top of the second
        directions[1:] *= -np.sign(directions[1:] @ directions[0])[:, None]
        places[1] = directions[0] * 0.5 * reach
        places[2] = directions[1] * 0.45 * table.min()
        places[3] = places[1] - directions[2] * 0.55 * reach
        places[:, 0] += 4.0 * config.cutoff * index
        positions.append(places)
    symbols = tuple(config.elements[t] for t in kinds.flatten())
    structure = Structure(
        symbols, np.concatenate(positions), np.zeros((3, 3)), np.zeros(3, dtype=bool)
    )
    return structure, np.repeat(np.arange(len(kinds)), 4)


def quadruples(count: int, random: np.random.Generator) -> np.ndarray:
    """Choose the elements of clusters of four atoms.

    Up to ``_ALL_PAIRS`` elements, a cluster for each pair of them, its other two atoms
    at random. With more, whose pairs would take minutes, one for each element: those 0,
    0, 1 and 4 places on in a circle of the elements at random, so that each is met, as
    centre and as neighbour, beside itself and six others.

    Returns
    -------
    ndarray [C, 4], int
    """
    if count <= _ALL_PAIRS:
        pairs = list(itertools.combinations_with_replacement(range(count), 2))
        others = random.integers(count, size=(len(pairs), 2))
        return np.concatenate([pairs, others], axis=1)
    circle = random.permutation(count)
    return circle[(np.arange(count)[:, None] + [0, 0, 1, 4]) % count]


def _our_energies(energy: AllegroEnergy, batch, count: int) -> tuple[Tensor, Tensor]:
    """Compute energies of atoms [N] (eV) and of pairs [N, N] before the factors."""
    atom_energies = torch.zeros(count, dtype=torch.float64)
    pair_energies = torch.zeros((count, count), dtype=torch.float64)
    with torch.no_grad():
        for centers, neighbors, vectors in batch.blocks:
            kinds = batch.types[centers], batch.types[neighbors]
            atom_energies[centers] = energy(vectors, *kinds)
            shape = neighbors.shape[0], neighbors.shape[1]
            values = energy.network(
                vectors.flatten(0, 1), kinds[0], kinds[1].flatten(), [shape]
            ).view(shape)
            pairs = centers.unsqueeze(1).expand_as(neighbors), neighbors
            pair_energies.index_put_(pairs, values, accumulate=True)  # 0 for padding
    return atom_energies, pair_energies


def _to_double(model: torch.nn.Module) -> None:
    model.to(torch.float64)
    for module in model.modules():
        for name in ("_output_dtype", "model_dtype", "out_dtype"):
            if getattr(module, name, None) == torch.float32:
                setattr(module, name, torch.float64)
