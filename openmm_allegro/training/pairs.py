# SPDX-License-Identifier: MIT
"""Distances between atoms of a data set: neighbours within a radius, closest pairs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..structure import Structure

RADII = np.arange(2.5, 7.01, 0.25)  # Å, at which neighbours are counted
NEAR = 3.0  # Å, within which all frames are searched for close pairs
_COUNTED = 60  # frames in which neighbours are counted, and farther pairs looked for
_ATOMS = 30_000  # about as many atoms at most in them


class Closest(NamedTuple):
    """Closest pair of two elements."""

    distance: float  # Å
    frame: int


class Pairs(NamedTuple):
    """Pairs of E elements; the order of elements is that of the survey."""

    elements: tuple[str, ...]
    share: np.ndarray  # [E] of the atoms that are of each element
    neighbors: np.ndarray  # [E, E, radii] mean number around a centre, centre first
    closest: dict[str, Closest]  # by "H-O", elements in alphabetical order

    def mean_neighbors(
        self, cutoff: float, pair_cutoffs: Mapping[str, float] | None = None
    ) -> float:
        """Mean number of neighbours of an atom.

        Parameters
        ----------
        cutoff : float
            Å, among ``RADII`` or between two of them.
        pair_cutoffs : mapping, optional
            Shorter ones of ordered pairs, "H-O" for centre H.
        """
        total = 0.0
        for i, center in enumerate(self.elements):
            for j, neighbor in enumerate(self.elements):
                radius = (pair_cutoffs or {}).get(f"{center}-{neighbor}", cutoff)
                count = np.interp(radius, RADII, self.neighbors[i, j])
                total += self.share[i] * count
        return float(total)


def find_pairs(frames: Sequence[Structure], elements: Sequence[str]) -> Pairs:
    """Count neighbours in some frames, and find the closest pairs of all.

    Pairs farther apart than ``NEAR`` are looked for in the frames in which neighbours
    are counted.
    """
    import torch

    from ..neighbors import PairList

    index = {element: i for i, element in enumerate(elements)}
    types = [np.array([index[e] for e in s.symbols]) for s in frames]
    count = len(elements)
    mean = np.mean([len(s) for s in frames])
    number = int(np.clip(_ATOMS / mean, 3, _COUNTED))
    chosen = set(np.linspace(0, len(frames) - 1, number).astype(int).tolist())
    far, near = PairList(float(RADII[-1])), PairList(NEAR)
    atoms, counts = np.zeros(count), np.zeros((count * count, len(RADII)))
    smallest = np.full(count * count, np.inf)
    origin = np.zeros(count * count, dtype=int)
    for frame, (structure, kinds) in enumerate(zip(frames, types, strict=True)):
        search = far if frame in chosen else near
        centers, neighbors, vectors = search(
            torch.tensor(structure.positions),
            torch.tensor(structure.cell),
            torch.tensor(structure.periodic),
        )
        pair = kinds[centers.numpy()] * count + kinds[neighbors.numpy()]
        distances = vectors.norm(dim=-1).numpy()
        least = np.full(count * count, np.inf)
        np.minimum.at(least, pair, distances)
        origin[least < smallest] = frame
        smallest = np.minimum(smallest, least)
        if frame in chosen:
            atoms += np.bincount(kinds, minlength=count)
            for k, radius in enumerate(RADII):
                counts[:, k] += np.bincount(
                    pair[distances < radius], minlength=count * count
                )
    around = counts.reshape(count, count, -1) / np.maximum(atoms, 1)[:, None, None]
    closest: dict[str, Closest] = {}
    for number, distance in enumerate(smallest.tolist()):
        first, second = divmod(number, count)
        name = "-".join(sorted((elements[first], elements[second])))
        if distance < closest.get(name, Closest(np.inf, 0)).distance:
            closest[name] = Closest(distance, int(origin[number]))
    share = np.zeros(count)
    for kinds in types:
        share += np.bincount(kinds, minlength=count)
    return Pairs(tuple(elements), share / share.sum(), around, closest)
