# SPDX-License-Identifier: MIT
"""Check that box, contents and positions fit, before any work is done with them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..model.contacts import relative_distances
from ..plugin.search import find_pairs
from ..structure import check_cell, check_lengths
from ..utils.reasons import reason_of
from .checks import WITHOUT_BOX

# Distances of atoms over the sum of their covalent radii.
OVERLAP, NEAR = 0.2, 0.5
BONDED = 1.3
LONG = 3.0  # of bonds, and of the distance that makes neighbours
SPARSE = 6.0  # typical distance of nearest neighbours; helium has 5
# Volume of the atoms' spheres over that of the box; caesium fluoride has 0.3, metals in
# the core of the earth have 1.4.
DENSEST, LARGEST_RADIUS = 2.0, 1.5
# Part of the box, and of each of its vectors, that is at least filled.
FILLED, FILLED_AXIS = 0.05, 0.5
MANY = 10  # molecules
FAR = 5.0  # boxes over which positions reach
SAMPLE = 2000


class Contents(NamedTuple):
    """Atoms in a box, or without one.

    Attributes
    ----------
    symbols : sequence of str, N
    radii : ndarray [N]
        Covalent radii, Å.
    positions : ndarray [N, 3], Å
    box : ndarray [3, 3] or None
        Å; None where not periodic.
    bonds : ndarray [B, 2]
    indices : ndarray [N]
        Names of the atoms in messages.
    """

    symbols: Sequence[str]
    radii: np.ndarray
    positions: np.ndarray
    box: np.ndarray | None
    bonds: np.ndarray
    indices: np.ndarray


class Overlaps(NamedTuple):
    """Pairs of atoms that are near to one another, in ascending relative distance."""

    pairs: np.ndarray  # [P, 2]
    lengths: np.ndarray  # [P] Å
    relative: np.ndarray  # [P]


def find_overlaps(contents: Contents) -> Overlaps:
    """Find pairs of atoms nearer than ``NEAR``, periodic images included.

    Raises
    ------
    ValueError
        If the box is no box, or so many atoms lie on one another that a search for
        pairs would have no end.
    """
    radii, positions, box = contents.radii, contents.positions, contents.box
    if box is not None:
        check_cell(box, "box")
        check_lengths(box, "box", WITHOUT_BOX)
        _check_packing(contents)
    check_distinct(contents.positions, contents.indices)
    try:
        ordered = find_pairs(positions, box, 2.0 * NEAR * float(radii.max()))
    except ValueError as error:
        raise ValueError(f"positions: {reason_of(error)}") from error
    relative = relative_distances(radii, *ordered)
    centers, neighbors, vectors = ordered
    near = np.flatnonzero((relative < NEAR) & (centers <= neighbors))
    near = near[np.argsort(relative[near])]
    pairs = np.stack([centers[near], neighbors[near]], axis=1)
    return Overlaps(pairs, np.linalg.norm(vectors[near], axis=1), relative[near])


def check_distinct(positions: np.ndarray, indices: Sequence[int]) -> None:
    """Refuse positions of which a tenth is repeated, as where all are 0.

    A search for pairs would take all of them.

    Parameters
    ----------
    positions : ndarray [N, 3], Å
    indices : sequence of int, N
        Names of the atoms in the message.

    Raises
    ------
    ValueError
    """
    points = np.round(positions / 1e-3)
    order = np.lexsort(points.T)
    same = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    number = int(same.sum())
    if number > max(len(points) // 10, 1):
        k = int(same.argmax())
        first, second = sorted((order[k], order[k + 1]))
        at = ", ".join(f"{x:.4g}" for x in positions[first])
        raise ValueError(
            f"positions: expected atoms at different ones, found {number} of "
            f"{len(points)} atoms at that of another, like atoms {indices[first]} and "
            f"{indices[second]} at ({at}) Å; does the file hold a topology alone?"
        )


def describe_overlaps(contents: Contents, overlaps: Overlaps) -> str:
    """Describe the worst pair, and how many there are."""
    (i, j), length = overlaps.pairs[0], overlaps.lengths[0]
    first, second = (f"{contents.indices[k]} ({contents.symbols[k]})" for k in (i, j))
    second = "its own image" if i == j else second
    text = f"atoms {first} and {second} {length:.3g} Å apart"
    if len(overlaps.pairs) > 1:
        text += f", {len(overlaps.pairs)} such pairs in all"
    if contents.box is not None:
        reach = np.ptp(contents.positions @ np.linalg.inv(contents.box), axis=0).min()
        if reach > FAR:
            text += f" (positions reach over {reach:.0f} boxes: in Å, for nm?)"
    return text


def describe_long_bonds(contents: Contents) -> str | None:
    """Describe bonds that are far too long, and refuse positions in another unit.

    Returns
    -------
    str or None
        A sentence about bonds that are far too long, if there are any.

    Raises
    ------
    ValueError
    """
    bonds, box = contents.bonds, contents.box
    if not len(bonds):
        return None
    vectors = contents.positions[bonds[:, 1]] - contents.positions[bonds[:, 0]]
    if box is not None:
        vectors = vectors - np.round(vectors @ np.linalg.inv(box)) @ box
    lengths = np.linalg.norm(vectors, axis=1)
    relative = lengths / contents.radii[bonds].sum(axis=1)
    worst = int(relative.argmax())
    i, j = (f"{contents.indices[k]} ({contents.symbols[k]})" for k in bonds[worst])
    typical = _median(relative)
    if typical > LONG:
        raise ValueError(
            "positions: expected bonds of the topology of about the sum of covalent "
            f"radii, found typical ones {typical:.1f} times as long, like "
            f"{i} to {j} of {lengths[worst]:.4g} Å; are positions in Å where nm are "
            "expected, or of another topology?"
        )
    if relative[worst] > LONG:
        number = np.count_nonzero(relative > LONG)
        return (
            f"the topology has {number} bonds over {LONG:g} times as long as the sum "
            f"of covalent radii, the longest from {i} to {j} of {lengths[worst]:.4g} "
            "Å: was a molecule cut at the border of a box, or is a part missing?"
        )
    return None


def describe_room(contents: Contents, *, pressure: bool) -> str | None:
    """Describe a box that is far larger than its contents, or atoms that are far apart.

    Slabs and wires leave one or two directions of a box empty, and a molecule or a few
    all three; these pass, unless a barostat would close the vacuum.

    Parameters
    ----------
    contents : Contents
    pressure : bool
        Whether the volume will change.
    """
    radii, positions, box = contents.radii, contents.positions, contents.box
    count = len(radii)
    distance = _typical_distance(contents) if count > 3 else 0.0
    if distance > SPARSE:
        return (
            "atoms are further apart than in matter, typically "
            f"{distance:.0f} times the sum of covalent radii from "
            "the next one: are positions in Å where nm are expected?"
        )
    if box is None:
        return None
    filled, widths = _filled(positions, box)
    empty = (1.0 - filled) * widths
    if filled.max() < FILLED_AXIS and filled.prod() < FILLED:
        if pressure or _count_molecules(contents) >= MANY:
            return (
                f"the atoms fill {100 * filled.prod():.2g} % of the box ("
                + " x ".join(f"{width:.1f}" for width in widths)
                + " Å wide, with "
                + ", ".join(f"{gap:.1f}" for gap in empty)
                + " Å of vacuum): is it in another unit, or too large? "
                + ("A barostat will close it" if pressure else "It is left as it is")
            )
    elif pressure and (empty > 10.0).any() and filled.min() < 0.7:
        axis = int(empty.argmax())
        return (
            f"the box has {empty[axis]:.1f} Å of vacuum along its vector {axis + 1}, "
            "which a barostat will close"
        )
    return None


def _check_packing(contents: Contents) -> None:
    radii = contents.radii.clip(max=LARGEST_RADIUS)
    volume = abs(np.linalg.det(contents.box))
    packing = 4.18879 * (radii**3).sum() / volume
    if packing > DENSEST:
        raise ValueError(
            f"box: expected one that holds its {len(radii)} atoms, found one of "
            f"{volume:.4g} Å³, {packing:.3g} times less than their covalent spheres "
            "take; is it in another unit, or a placeholder for none (--no-periodic)?"
        )


def _typical_distance(contents: Contents) -> float:
    """Median of distances of nearest neighbours over the sum of covalent radii."""
    positions, box, radii = contents.positions, contents.box, contents.radii
    if box is not None:
        fractions = positions @ np.linalg.inv(box)
        positions = (fractions - np.floor(fractions)) @ box
    if len(positions) > SAMPLE:
        far = np.square(positions - positions[0]).sum(axis=1)
        around = np.argpartition(far, SAMPLE)[:SAMPLE]
        positions, radii = positions[around], radii[around]
    reach = 2.0 * BONDED * float(radii.max())
    size = np.linalg.norm(np.ptp(positions, axis=0))
    while True:
        pairs = find_pairs(positions, None, reach)
        starts = np.flatnonzero(np.diff(pairs.centers, prepend=-1))
        if 2 * len(starts) > len(positions) or reach > size:
            break
        reach *= 2.0  # most have no neighbour yet, so few have many then
    nearest = np.full(len(positions), np.inf)
    relative = relative_distances(radii, *pairs)
    nearest[pairs.centers[starts]] = np.minimum.reduceat(relative, starts)
    return _median(nearest)


def _median(values: np.ndarray) -> float:
    """Lower median; np.median imports numpy's masked arrays."""
    return float(np.quantile(values, 0.5, method="lower"))


def _filled(positions: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part of each box vector that the atoms take [3], and widths of the box, Å."""
    inverse = np.linalg.inv(box)
    widths = 1.0 / np.linalg.norm(inverse, axis=0)
    fractions = np.sort((positions @ inverse) % 1.0, axis=0)
    gaps = np.diff(fractions, axis=0, append=fractions[:1] + 1.0).max(axis=0)
    return np.minimum(1.0 - gaps + 3.0 / widths, 1.0), widths  # an atom takes some 3 Å


def _count_molecules(contents: Contents) -> int:
    """Number of sets of atoms that distances of bonds connect."""
    radii = contents.radii
    reach = 2.0 * BONDED * float(radii.max())
    pairs = find_pairs(contents.positions, contents.box, reach)
    bonded = relative_distances(radii, *pairs) < BONDED
    rows, columns = pairs.centers[bonded], pairs.neighbors[bonded]
    first = np.arange(len(radii))  # of the atoms that each is known to belong to
    while True:
        smaller = first.copy()
        np.minimum.at(smaller, rows, first[columns])
        smaller = smaller[smaller]
        if (smaller == first).all():
            return len(np.unique(first))
        first = smaller
