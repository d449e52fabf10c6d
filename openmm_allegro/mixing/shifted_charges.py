# SPDX-License-Identifier: MIT
"""Charges of a force field next to a cut bond, moved away from the model's hydrogen.

The outer atom of a cut bond (the host) is a third of a bond from the hydrogen that caps
it. So its charge is shifted: each of its n neighbours outside gains an n-th of it, and
two more points there, a tenth of the bond before and behind the neighbour, have the
dipole moment that the shift took away. Charge and dipole moment are the force field's:
P. Sherwood et al., doi:10.1016/S0166-1280(03)00285-9; A. H. de Vries et al.,
doi:10.1021/jp9913012. The places of points are linear in the positions of particles, so
forces on points go to these exactly.

A region that cuts a molecule has a force field's charge of no whole e, and the model's
is one. The hosts take the rest before they are shifted, in equal parts, so that the
charge of all stays, as B. Wang and D. G. Truhlar balance charges, J. Chem. Theory
Comput. 6, 359 (2010).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from openmm import app

from .link_atoms import Cap

# Distance of the points of a dipole from a neighbour of the host, in bonds.
OFFSET = 0.1
# Bonds across which force fields have no, or scaled, pairs.
_BONDS_OF_EXCEPTIONS = 3


class Point(NamedTuple):
    """A point charge at (1 - ratio) r_first + ratio r_second."""

    first: int
    second: int  # the first one again where the ratio is 0
    ratio: float
    charge: float  # e


def plain_points(charges: Mapping[int, float]) -> tuple[Point, ...]:
    """Charges (e) at particles; none where there is none."""
    return tuple(Point(i, i, 0.0, charge) for i, charge in charges.items() if charge)


def shifted_points(
    topology: app.Topology,
    caps: Sequence[Cap],
    charges: Mapping[int, float],
    remainder: float,
) -> tuple[Point, ...]:
    """Shift the charges of hosts to their neighbours.

    Parameters
    ----------
    topology : openmm.app.Topology
    caps : sequence of Cap
        One or more; their outer atoms are the hosts.
    charges : mapping of int to float
        The force field's charges of all particles outside of the region, e.
    remainder : float, e
        Charge that the region has by the force field and not by the model.

    Raises
    ------
    ValueError
        If a host has no neighbour outside, or one that is a host, too.
    """
    bonded = bonded_atoms(topology)
    shifted = dict(charges)
    dipoles = []
    hosts = {cap.outer for cap in caps}
    for cap in caps:
        neighbors = sorted(bonded[cap.outer] - {cap.inner})
        if not neighbors or not hosts.isdisjoint(neighbors):
            found = "a neighbour that is one, too" if neighbors else "none"
            raise ValueError(
                "embedding='electrostatic': expected neighbours outside of the region "
                f"for atom {cap.outer} of a cut bond, to which its charge is shifted, "
                f"found {found}; choose another border"
            )
        whole = shifted.pop(cap.outer) + remainder / len(caps)
        for neighbor in neighbors:
            charge = whole / len(neighbors)
            shifted[neighbor] += charge
            for side in (-1, 1):
                end = -side * charge / (2.0 * OFFSET)
                place = 1.0 + side * OFFSET
                dipoles.append(Point(cap.outer, neighbor, place, end))
    return (*plain_points(shifted), *(point for point in dipoles if point.charge))


def near_border(topology: app.Topology, atoms: Sequence[int]) -> set[tuple[int, int]]:
    """Pairs of an atom of the region and one outside that few bonds connect.

    Parameters
    ----------
    topology : openmm.app.Topology
    atoms : sequence of int
        The region.

    Returns
    -------
    set of (int, int)
        The first one is the atom of the region.
    """
    bonded = bonded_atoms(topology)
    region = set(atoms)
    pairs = set()
    for atom in atoms:
        reached, last = {atom}, {atom}
        for _ in range(_BONDS_OF_EXCEPTIONS):
            last = {j for i in last for j in bonded[i]} - reached
            reached |= last
        pairs |= {(atom, other) for other in reached - region}
    return pairs


def bonded_atoms(topology: app.Topology) -> dict[int, set[int]]:
    """Atoms to which the topology has bonds of each atom."""
    bonded = defaultdict(set)
    for bond in topology.bonds():
        first, second = bond.atom1.index, bond.atom2.index
        bonded[first].add(second)
        bonded[second].add(first)
    return bonded
