# SPDX-License-Identifier: MIT
"""The part of a system that a model computes, by the names of its atoms."""

from collections.abc import Mapping
from typing import Any

from ..runs.names import LAMMPS
from ..topology.names import name_atom, name_groups
from ..utils.ranges import indices_of
from ..utils.words import listed
from .production import Production

ALL = "all atoms"
_RESIDUES = 6  # that are named one by one


def region_words(record: Mapping[str, Any], production: Production) -> str:
    """Write a region: ``22 atoms: alanine dipeptide (ACE 1, ALA 2, NME 3)``.

    Parameters
    ----------
    record : mapping
        Of the run. A region of more ranges than it lists is written as it stands.
    production : Production
        Without a topology, atoms have no names.
    """
    region = record.get("ml_region") or ""
    topology = known_topology(production)
    if not region or region == ALL or topology is None:
        return region
    indices = indices_of(region)
    if not indices or max(indices) >= topology.n_atoms:
        return region
    atoms = set(indices)
    residues = list(dict.fromkeys(topology.atom(i).residue for i in indices))
    if len(residues) > _RESIDUES:
        names = f"{len(residues):,} residues"
    else:
        names = ", ".join(f"{r.name} {r.resSeq}" for r in residues)
    parts = [
        (sum(set(m.tolist()) <= atoms for m in kind.molecules), kind)
        for kind in production.kinds
    ]
    whole = [(count, kind) for count, kind in parts if count]
    held = sum(count * len(kind.molecules[0]) for count, kind in whole)
    if held == len(atoms):
        molecules = ", ".join(
            kind.name if count == 1 else f"{count:,} {kind.name}"
            for count, kind in whole
        )
        names = f"{molecules} ({names})" if len(residues) <= _RESIDUES else molecules
    return f"the {len(atoms):,} atoms of {names}"


def known_topology(production: Production) -> Any:
    """Read the topology of a run with or without frames; None where there is none."""
    run = production.run
    if run.topology is None and not run.has_frames:
        return None
    try:
        return production.source.topology
    except ValueError:  # the page says why where it needs it
        return None


def link_atom_words(record: Mapping[str, Any], production: Production) -> str:
    """Write the bonds that end in link atoms, the inner atom of each first."""
    caps = record.get("link_atoms") or []
    return ", ".join(
        f"{_atom_words(inner, production)}–{_atom_words(outer, production)}"
        for inner, outer in caps
    )


def variable_words(groups: Any, production: Production) -> str:
    """Write the atoms of a collective variable by their names; empty without names.

    Parameters
    ----------
    groups : list of list of int
        Of a variable in a record.
    production : Production
    """
    topology = known_topology(production)
    if topology is None or not isinstance(groups, list):
        return ""
    residues = ((atom.residue, atom.name) for atom in topology.atoms)
    names = [name_atom(one.name, one.resSeq, atom) for one, atom in residues]
    return name_groups(groups, names)


def _atom_words(index: int, production: Production) -> str:
    topology = known_topology(production)
    if topology is not None and index < topology.n_atoms:
        atom = topology.atom(index)
        return f"{atom.name} of {atom.residue.name} {atom.residue.resSeq}"
    return f"atom {index}"


def charge_words(paper: Any, record: Mapping[str, Any], periodic: bool) -> str:
    """Write how charges of a model interacted; empty where it has none."""
    kinds = record.get("charges")
    if not kinds:
        return ""
    kinds = dict.fromkeys(kinds if isinstance(kinds, list) else [kinds])
    text = f"The model's {listed(kinds)} charges interacted beyond the cutoff"
    if periodic:
        on_mesh = record.get("engine") != LAMMPS  # whose user says how it sums
        works = ("ewald", "mesh") if on_mesh else ("ewald",)
        text += f" by an Ewald sum{' on a mesh' if on_mesh else ''}{paper.cite(*works)}"
    return f"{text}."


def border_words(paper: Any, record: Mapping[str, Any], production: Production) -> str:
    """Write how bonds that a region's border cuts ended; empty where there are none."""
    bonds = link_atom_words(record, production)
    if not bonds:
        return ""
    text = "Bonds that the region's border cuts ended in hydrogen link atoms"
    text += f"{paper.cite('link-atoms')}: {bonds}"
    if record.get("embedding") == "electrostatic":
        cited = paper.cite("charge-shift")
        text += f"; charges of their outer atoms were shifted{cited}"
    return f"{text}."
