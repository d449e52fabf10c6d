# SPDX-License-Identifier: MIT
"""Frames that deserve a look: outliers, duplicates, neighbours in time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..structure import Structure

FAR = 6.0  # robust standard deviations from the median
_FEWEST = 20  # frames of a composition that are compared among themselves
_SAME = 1e-3  # Å, by which positions of equal frames may differ
_SAME_ENERGY = 1e-4  # eV/atom
_SAME_FORCE = 1e-2  # eV/Å
_COMPARED = 300  # pairs of frames whose displacements are measured
# A step between frames that is this part of one between random frames is short.
CORRELATED = 0.5


class Outlier(NamedTuple):
    """A frame whose energy or forces are far from those of the others."""

    frame: int
    what: str  # "energy" or "forces"
    value: float  # eV/atom from the median, or the largest force, eV/Å
    score: float  # distance from the median in robust standard deviations


class Duplicate(NamedTuple):
    """Frames with the same atoms at the same positions."""

    frames: tuple[int, ...]
    energy: float  # largest difference, eV/atom
    forces: float  # largest difference of a component, eV/Å

    @property
    def contradicts(self) -> bool:
        """True if the labels differ."""
        return self.energy > _SAME_ENERGY or self.forces > _SAME_FORCE


class Succession(NamedTuple):
    """How far atoms are displaced between frames, root mean square, Å."""

    step: float  # median of successive frames
    random: float  # median of random pairs of frames

    @property
    def is_correlated(self) -> bool:
        """True if successive frames are much more alike than others."""
        return self.step < CORRELATED * self.random


def find_outliers(
    frames: Sequence[Structure], residuals: np.ndarray, largest: np.ndarray
) -> list[Outlier]:
    """Find frames whose energy or largest force is far from the median; worst first.

    Frames of a composition are compared with each other where there are enough of them.

    Parameters
    ----------
    frames : sequence of Structure
    residuals : ndarray [F]
        Energies less those of the elements, eV/atom; NaN where unknown.
    largest : ndarray [F]
        Largest length of a force, eV/Å; NaN where unknown.
    """
    outliers = []
    for members in _groups(frames):
        offsets, scores = _scores(residuals[members])
        for frame, offset, score in zip(members, offsets, scores, strict=True):
            if abs(score) > FAR:
                outliers.append(
                    Outlier(int(frame), "energy", float(offset), float(score))
                )
        # The largest of many lengths is skewed; its logarithm is less so.
        with np.errstate(divide="ignore", invalid="ignore"):
            _, scores = _scores(np.log(np.maximum(largest[members], 1e-6)))
        for frame, score in zip(members, scores, strict=True):
            if score > FAR:
                value = float(largest[frame])
                outliers.append(Outlier(int(frame), "forces", value, float(score)))
    return sorted(outliers, key=lambda outlier: -abs(outlier.score))


def _groups(frames: Sequence[Structure]) -> list[np.ndarray]:
    """Numbers of the frames of each frequent composition, and of all others."""
    by_symbols = defaultdict(list)
    for number, structure in enumerate(frames):
        by_symbols[tuple(sorted(structure.symbols))].append(number)
    groups = [np.array(g) for g in by_symbols.values() if len(g) >= _FEWEST]
    rest = [n for g in by_symbols.values() if len(g) < _FEWEST for n in g]
    return [*groups, np.array(rest)] if rest else groups


def _scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the median, and the same in robust standard deviations."""
    known = np.isfinite(values)
    if known.sum() < 4:
        return np.zeros(len(values)), np.zeros(len(values))
    offsets = np.where(known, values - np.median(values[known]), 0.0)
    deviation = 1.4826 * np.median(np.abs(offsets[known]))
    # Of values that are nearly all the same any other would be far.
    return offsets, offsets / max(deviation, 1e-5)


def find_duplicates(frames: Sequence[Structure]) -> list[Duplicate]:
    """Find frames with the same atoms in the same order at the same positions."""
    from scipy.spatial import cKDTree

    alike = defaultdict(list)
    for number, structure in enumerate(frames):
        alike[structure.symbols, tuple(structure.periodic.tolist())].append(number)
    duplicates = []
    for members in alike.values():
        if len(members) < 2:
            continue
        places = np.array(
            [np.append(frames[m].positions, frames[m].cell) for m in members]
        )
        # A few random directions tell different frames apart; the rest is compared.
        width = places.shape[1]
        directions = np.random.default_rng(0).normal(size=(width, 4))
        points = places @ (directions / np.sqrt(width))
        points, first = np.unique(points, axis=0, return_inverse=True)
        first = first.ravel()
        near = cKDTree(points).query_pairs(4 * _SAME)
        groups = _joined(len(points), near)
        together = defaultdict(list)
        for index, point in enumerate(first):
            together[groups[point]].append(index)
        for indices in together.values():
            duplicates += _equal(indices, places, members, frames)
    return sorted(duplicates)


def _joined(count: int, pairs: set[tuple[int, int]]) -> np.ndarray:
    """Number of the group that each point belongs to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return np.arange(count)
    i, j = np.array(sorted(pairs)).T
    links = coo_matrix((np.ones(len(i)), (i, j)), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _equal(
    indices: list[int],
    places: np.ndarray,
    members: list[int],
    frames: Sequence[Structure],
) -> list[Duplicate]:
    """Sets of equal frames among those that are near one another."""
    duplicates = []
    rest = indices
    while len(rest) > 1:
        difference = np.abs(places[rest] - places[rest[0]]).max(axis=1)
        same = [i for i, d in zip(rest, difference, strict=True) if d < _SAME]
        rest = [i for i, d in zip(rest, difference, strict=True) if d >= _SAME]
        if len(same) > 1:
            duplicates.append(_duplicate([members[i] for i in same], frames))
    return duplicates


def _duplicate(numbers: list[int], frames: Sequence[Structure]) -> Duplicate:
    chosen = [frames[n] for n in numbers]
    energies = [s.energy / len(s) for s in chosen if s.energy is not None]
    forces = [s.forces for s in chosen if s.forces is not None]
    return Duplicate(
        tuple(numbers),
        float(np.ptp(energies)) if energies else 0.0,
        float(np.ptp(forces, axis=0).max()) if forces else 0.0,
    )


def succession(frames: Sequence[Structure]) -> Succession | None:
    """Compare the displacements between successive frames with those between others.

    None where less than a third of the frames follow one with the same atoms.
    """
    following = [
        n for n in range(1, len(frames)) if frames[n].symbols == frames[n - 1].symbols
    ]
    if len(following) < max(3, len(frames) / 3):
        return None
    rng = np.random.default_rng(0)
    chosen = rng.permutation(following)[:_COMPARED]
    steps = [_displacement(frames[n - 1], frames[n]) for n in chosen]
    alike = defaultdict(list)
    for n in following:
        alike[frames[n].symbols].append(n)
    groups = [group for group in alike.values() if len(group) > 2]
    if not groups:
        return None
    others = []
    for _ in range(min(_COMPARED, 10 * len(following))):
        group = groups[rng.integers(len(groups))]
        a, b = rng.choice(group, 2, replace=False)
        others.append(_displacement(frames[a], frames[b]))
    return Succession(float(np.median(steps)), float(np.median(others)))


def _displacement(first: Structure, second: Structure) -> float:
    """Root mean square displacement of atoms to the nearest image, Å."""
    change = second.positions - first.positions
    if first.periodic.all() and second.periodic.all():
        fractions = change @ np.linalg.inv(second.cell)
        change = (fractions - np.round(fractions)) @ second.cell
    else:
        change = change - change.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(change**2, axis=1))))
