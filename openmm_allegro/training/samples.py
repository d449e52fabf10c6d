# SPDX-License-Identifier: MIT
"""Reference structures as batches of blocks of centres, and their statistics."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroConfig, Statistics
from ..neighbors import PairList, center_blocks
from ..structure import Structure

# Entries of a block. Larger ones spill out of the processor's cache.
LARGEST_BLOCK = 8192
# What center_blocks lets rows be filled to, and for how many centres: less padding than
# its defaults, since the network takes several of these blocks at once.
FILL = 0.75, 4
PADDING = 1.5  # length of a padding vector over the largest cutoff

Block = tuple[Tensor, Tensor, Tensor]  # centres, neighbours, vectors


class Sample(NamedTuple):
    """A structure ready for the network. P pairs, N atoms."""

    types: Tensor  # [N] int64, index into AllegroConfig.elements
    centers: Tensor  # [P] int64, ascending
    neighbors: Tensor  # [P] int64
    vectors: Tensor  # [P, 3] Å, from centre to neighbour
    energy: float | None  # eV
    forces: Tensor | None  # [N, 3] eV/Å
    stress: Tensor | None  # [3, 3] eV/Å³
    volume: float  # Å³, 0 where not periodic


class Batch(NamedTuple):
    """Samples joined to one set of N atoms in B frames."""

    types: Tensor  # [N] int64
    frames: Tensor  # [N] int64, the frame of each atom
    sizes: Tensor  # [B] number of atoms
    blocks: list[Block]  # as center_blocks
    energies: Tensor  # [B] float64, eV; NaN where unknown
    forces: Tensor  # [N, 3] eV/Å; NaN where unknown
    stresses: Tensor  # [B, 3, 3] eV/Å³; NaN where unknown
    volumes: Tensor  # [B] Å³


def split(
    structures: Sequence[Structure], sizes: Sequence[int], seed: int = 0
) -> list[list[Structure]]:
    """Random disjoint subsets.

    Parameters
    ----------
    structures : sequence of Structure
    sizes : sequence of int
        Number of structures of each subset; their sum may be smaller than the whole.
    seed : int

    Returns
    -------
    list of list of Structure

    Raises
    ------
    ValueError
        If more structures are asked for than there are.
    """
    if min(sizes, default=0) < 0 or sum(sizes) > len(structures):
        raise ValueError(
            f"expected sizes that sum to at most {len(structures)} structures, found "
            f"{list(sizes)}"
        )
    order = np.random.default_rng(seed).permutation(len(structures))
    ends = np.cumsum(sizes)
    return [
        [structures[i] for i in order[end - size : end]]
        for size, end in zip(sizes, ends, strict=True)
    ]


def make_samples(
    structures: Sequence[Structure],
    config: AllegroConfig,
    dtype: torch.dtype = torch.float32,
) -> list[Sample]:
    """Find each structure's pairs once.

    Parameters
    ----------
    structures : sequence of Structure
    config : AllegroConfig
        Elements and cutoffs.
    dtype : torch.dtype
        Of vectors, forces and stresses.

    Raises
    ------
    ValueError
        If a structure has an element that the config does not name, or two atoms at
        one position.
    """
    table = config.cutoff_table()
    find = PairList(config.cutoff)
    samples = []
    for index, structure in enumerate(structures):
        where = structure.source or f"structure {index}"
        types = element_types(structure.symbols, config.elements, where)
        cell = torch.tensor(structure.cell)
        periodic = torch.tensor(structure.periodic)
        centers, neighbors, vectors = find(
            torch.tensor(structure.positions), cell, periodic
        )
        same = (vectors == 0).all(-1)
        if same.any():
            i, j = centers[same][0].item(), neighbors[same][0].item()
            raise ValueError(
                f"{where}: expected atoms at different positions, found atoms {i} and "
                f"{j} at the same one"
            )
        near = vectors.square().sum(-1) < table[types[centers], types[neighbors]] ** 2
        samples.append(
            Sample(
                types=types,
                centers=centers[near],
                neighbors=neighbors[near],
                vectors=vectors[near].to(dtype),
                energy=structure.energy,
                forces=_tensor(structure.forces, dtype),
                stress=_tensor(structure.stress, dtype),
                volume=structure.volume if structure.periodic.all() else 0.0,
            )
        )
    return samples


def collate(samples: Sequence[Sample], config: AllegroConfig) -> Batch:
    """Join samples to one batch."""
    sizes = [len(s.types) for s in samples]
    offsets = np.cumsum([0, *sizes[:-1]]).tolist()
    vectors = torch.cat([s.vectors for s in samples])
    blocks = center_blocks(
        torch.cat([s.centers + o for s, o in zip(samples, offsets, strict=True)]),
        torch.cat([s.neighbors + o for s, o in zip(samples, offsets, strict=True)]),
        vectors,
        sum(sizes),
        PADDING * config.cutoff,
        LARGEST_BLOCK,
        *FILL,
    )
    return Batch(
        frames=torch.repeat_interleave(torch.tensor(sizes)),
        blocks=blocks,
        **join_fields(samples),
    )


def join_fields(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Types, sizes, labels and volumes of samples, as in ``Batch``."""
    nan, dtype = float("nan"), samples[0].vectors.dtype
    sizes = [len(s.types) for s in samples]
    energies = [nan if s.energy is None else s.energy for s in samples]
    forces = [
        torch.full((n, 3), nan, dtype=dtype) if s.forces is None else s.forces
        for s, n in zip(samples, sizes, strict=True)
    ]
    unknown = torch.full((3, 3), nan, dtype=dtype)
    return {
        "types": torch.cat([s.types for s in samples]),
        "sizes": torch.tensor(sizes),
        "energies": torch.tensor(energies, dtype=torch.float64),
        "forces": torch.cat(forces),
        "stresses": torch.stack(
            [unknown if s.stress is None else s.stress for s in samples]
        ),
        "volumes": torch.tensor([s.volume for s in samples], dtype=dtype),
    }


def statistics(samples: Sequence[Sample], config: AllegroConfig) -> Statistics:
    """Neighbour counts, energy scale and energy shifts of training data.

    The scale is the root mean square of the force components. With several compositions
    the shifts are the least-squares energies per element; where the compositions do not
    determine them all, the solution of least norm. Musaelian et al.,
    doi:10.1038/s41467-023-36329-y, "Normalization" in Methods.

    Parameters
    ----------
    samples : sequence of Sample
    config : AllegroConfig

    Raises
    ------
    ValueError
        If no sample has an energy or forces.
    """
    labelled = [s for s in samples if s.energy is not None and s.forces is not None]
    if not labelled:
        raise ValueError("expected samples with energies and forces, found none")
    count = len(config.elements)
    pairs, atoms = np.zeros(count), np.zeros(count)
    for s in samples:
        pairs += np.bincount(s.types[s.centers], minlength=count)
        atoms += np.bincount(s.types, minlength=count)
    mean = max(pairs.sum() / atoms.sum(), 1.0)
    # An element with few or no neighbours must not blow its features up.
    neighbors = np.where(pairs > 0, pairs / np.maximum(atoms, 1), mean)

    composition = np.array(
        [np.bincount(s.types, minlength=count) for s in labelled], dtype=float
    )
    energies = np.array([s.energy for s in labelled])
    shifts = np.linalg.lstsq(composition, energies, rcond=1e-8)[0]
    forces = torch.cat([s.forces for s in labelled]).double()
    scale = float(forces.square().mean().sqrt())
    return Statistics(
        mean_neighbors=tuple(np.maximum(neighbors, 1.0).tolist()),
        scales=(scale if scale > 0 else 1.0,) * count,
        shifts=tuple(shifts.tolist()),
    )


def closest_pairs(samples: Sequence[Sample], config: AllegroConfig) -> dict[str, float]:
    """The smallest distance of each pair of elements that is within a cutoff, Å.

    Rounded down to 1e-4 Å, so that no pair of the samples is closer. Keys are like
    ``"H-O"``, in alphabetical order.
    """
    count = len(config.elements)
    smallest = torch.full((count * count,), torch.inf, dtype=torch.float64)
    for s in samples:
        pair = s.types[s.centers] * count + s.types[s.neighbors]
        distances = s.vectors.double().norm(dim=-1)
        smallest = smallest.scatter_reduce(0, pair, distances, "amin")
    result: dict[str, float] = {}
    for index, distance in enumerate(smallest.tolist()):
        if distance < float("inf"):
            pair = "-".join(sorted(config.elements[i] for i in divmod(index, count)))
            distance = math.floor(distance * 1e4) / 1e4
            result[pair] = min(distance, result.get(pair, distance))
    return dict(sorted(result.items()))


def element_types(
    symbols: Sequence[str], elements: Sequence[str], where: str
) -> Tensor:
    """Index of each symbol in ``elements``, [N] int64.

    Raises
    ------
    ValueError
        If a symbol is not among ``elements``.
    """
    index = {element: i for i, element in enumerate(elements)}
    unknown = sorted(set(symbols) - set(index))
    if unknown:
        raise ValueError(
            f"{where}: expected only the elements the model knows, "
            f"{', '.join(elements)}; found {', '.join(unknown)}"
        )
    return torch.tensor([index[s] for s in symbols], dtype=torch.int64)


def _tensor(array: np.ndarray | None, dtype: torch.dtype) -> Tensor | None:
    return None if array is None else torch.tensor(array, dtype=dtype)
