# SPDX-License-Identifier: MIT
"""Hydrogens that cap the bonds which the border of an ML region cuts.

They are the scaled-position link atoms of ONIOM: S. Dapprich et al.,
doi:10.1016/S0166-1280(98)00475-8. A cap is no particle of the System. It is at

    r = (1 - g) r_inner + g r_outer,    g = d(inner-H) / d(inner-outer),

with constant g, from distances that are sums of covalent radii (B. Cordero et al.,
doi:10.1039/b801115j). So a force F on it is (1 - g) F on the inner and g F on the outer
atom of the bond. It replaces a single bond, best one between carbon atoms.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from openmm import app
from openmm.app.element import hydrogen

from ..topology.elements import COVALENT_RADII
from ..topology.names import name_atom

LINKS = ("error", "cap")


class Cap(NamedTuple):
    """A hydrogen on the bond from an atom of the region to one outside."""

    inner: int
    outer: int
    ratio: float  # of the distances inner-H and inner-outer


def find_caps(topology: app.Topology, atoms: Sequence[int], link: str) -> list[Cap]:
    """Find the bonds that the border of a region cuts, as caps.

    Parameters
    ----------
    topology : openmm.app.Topology
    atoms : sequence of int
        The region.
    link : str
        "error" refuses a cut bond; "cap" puts a cap on it.

    Raises
    ------
    ValueError
        If a bond is cut and ``link`` is "error", if a bond of hydrogen is cut, if an
        atom outside would hold two caps, or if ``link`` is unknown.
    """
    if link not in LINKS:
        raise ValueError(f"expected link of {LINKS}, found {link!r}")
    region = set(atoms)
    cut = [
        bond if bond[0].index in region else bond[::-1]
        for bond in topology.bonds()
        if (bond[0].index in region) != (bond[1].index in region)
    ]
    if cut and link == "error":
        raise ValueError(
            "atoms: expected a region of whole molecules (link='cap' puts hydrogens "
            f"on cut bonds), found cut bonds {_names(cut)}"
        )
    light = [b for b in cut if any(a.element in (None, hydrogen) for a in b)]
    if light:
        raise ValueError(
            "atoms: expected cut bonds between heavy atoms, found bonds of hydrogen or "
            f"a virtual site {_names(light)}; take whole water molecules and groups"
        )
    shared = [i for i, n in Counter(outer.index for _, outer in cut).items() if n > 1]
    if shared:
        raise ValueError(
            "atoms: expected at most one cut bond of each atom outside, found "
            f"{_names([bond for bond in cut if bond[1].index in shared])}"
        )
    return [Cap(inner.index, outer.index, _ratio(inner, outer)) for inner, outer in cut]


def _ratio(inner: app.topology.Atom, outer: app.topology.Atom) -> float:
    h, a, b = (
        COVALENT_RADII[element.atomic_number]
        for element in (hydrogen, inner.element, outer.element)
    )
    return (a + h) / (a + b)


def _names(bonds: Sequence[tuple[app.topology.Atom, app.topology.Atom]]) -> str:
    shown = [
        "-".join(
            f"{name_atom(a.residue.name, a.residue.id, a.name)}({a.index})"
            for a in bond
        )
        for bond in bonds[:10]
    ]
    more = f" and {len(bonds) - 10} more" if len(bonds) > 10 else ""
    return ", ".join(shown) + more
