# SPDX-License-Identifier: MIT
"""Identity of a classical force field, whatever the number of molecules.

A correction learned around one force field is wrong beside another, so the labels, the
model and the System must agree on it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import openmm

from ..structure import Structure
from .parameters import Term, digest, read_parameters


def fingerprint(system: openmm.System, symbols: Sequence[str]) -> dict[str, Any]:
    """Identify a classical System by the parameters that its energy depends on.

    Covered are the elements; the parameters of each particle, bonded term, exception
    and exclusion; and of each nonbonded force the method, cutoff, switching, Ewald
    tolerance, dispersion correction, energy function and tables. Atoms that such terms
    connect are a molecule. Neither the order of its atoms nor the number of molecules
    counts.

    Not covered are masses, constraints, the box, force groups, the order of forces and
    terms, terms of zero strength, whether bonded terms are periodic, barostats and
    thermostats. Mirror images, which have the same terms, are not told apart, and
    values of global parameters that were set in a Context are not seen.

    Parameters
    ----------
    system : openmm.System
    symbols : sequence of str
        Chemical symbols of its particles.

    Returns
    -------
    dict
        ``settings``: for each class of nonbonded force, those of each such force;
        ``molecules``: hash and formula of each kind of molecule; ``hash``: of both.

    Raises
    ------
    ValueError
        If the numbers of symbols and particles differ, or the System has virtual sites
        or a force of unknown kind.
    """
    if len(symbols) != system.getNumParticles():
        raise ValueError(
            f"expected a System of {len(symbols)} particles, one for each atom, found "
            f"{system.getNumParticles()}"
        )
    for index in range(len(symbols)):
        if system.isVirtualSite(index):
            raise ValueError(
                "expected a classical System without virtual sites, found one at "
                f"particle {index}"
            )
    settings: dict[str, list[Any]] = defaultdict(list)
    labels: list[list[Hashable]] = [[] for _ in symbols]
    terms: list[Term] = []
    for force in system.getForces():
        parameters = read_parameters(force)
        name = type(force).__name__
        if parameters.settings is not None:
            settings[name].append(parameters.settings)
            name += json.dumps(parameters.settings)  # there may be several of a class
        for label, values in zip(labels, parameters.particles, strict=False):
            label.append((name, values))
        terms += [t._replace(kind=f"{t.kind} of {name}") for t in parameters.terms]
    nodes = [(s, *sorted(v, key=repr)) for s, v in zip(symbols, labels, strict=True)]
    ordered = {
        name: sorted(settings[name], key=json.dumps) for name in sorted(settings)
    }
    return _record(ordered, _molecules(nodes, terms, symbols))


def common_baseline(structures: Iterable[Structure]) -> dict[str, Any] | None:
    """Find the one baseline that was subtracted from all structures, or None.

    Its molecules are those of all structures together.

    Raises
    ------
    ValueError
        If a baseline was subtracted from some structures only, or the settings differ.
    """
    first: Structure | None = None
    molecules: dict[str, str] = {}
    for structure in structures:
        first = first or structure
        if (structure.baseline is None) != (first.baseline is None):
            raise ValueError(
                "expected structures that all have, or all lack, a baseline subtracted "
                f"from their labels, found both: {first.source or 'the first'} and "
                f"{structure.source or 'another'}"
            )
        if structure.baseline is not None:
            where = structure.source or "structures"
            _check_settings(first.baseline, structure.baseline, where)
            molecules |= structure.baseline["molecules"]
    if first is None or first.baseline is None:
        return None
    return _record(first.baseline["settings"], molecules)


def check_baseline(
    trained: dict[str, Any] | None, present: dict[str, Any], where: str
) -> None:
    """Refuse a force field other than the one that a model was trained around.

    Parameters
    ----------
    trained : dict or None
        The ``fingerprint`` in a model's provenance.
    present : dict
        That of the force field at hand, which may lack some of the molecules.
    where : str
        Name for the error message.

    Raises
    ------
    ValueError
        If they differ; it names the setting or the molecules.
    """
    if trained is None:
        raise ValueError(
            f"{where}: expected a model that says what it was trained around, found no "
            "baseline in its provenance"
        )
    _check_settings(trained, present, where)
    known = trained["molecules"]
    unknown = sorted(f for h, f in present["molecules"].items() if h not in known)
    if unknown:
        changed = sorted(set(unknown) & set(known.values()))
        raise ValueError(
            f"{where}: expected the molecules of the baseline that the model was "
            f"trained around, {', '.join(sorted(known.values()))}; found others, "
            + ", ".join(f + " with other parameters" * (f in changed) for f in unknown)
        )


def extended_baseline(
    trained: dict[str, Any] | None, present: dict[str, Any], where: str
) -> dict[str, Any]:
    """Join the baseline of further training to that of an earlier one.

    Parameters
    ----------
    trained, present : dict or None
        As ``check_baseline``. Molecules may be new.
    where : str
        Name for the error message.

    Raises
    ------
    ValueError
        If the settings differ, or molecules of one formula have other parameters.
    """
    known = (trained or {}).get("molecules", {})
    formulas = set(known.values())
    new = {h: f for h, f in present["molecules"].items() if f not in formulas}
    check_baseline(
        trained,
        present
        | {
            "molecules": {h: f for h, f in present["molecules"].items() if h not in new}
        },
        where,
    )
    return _record(present["settings"], {**known, **new})


def _record(settings: dict[str, Any], molecules: dict[str, str]) -> dict[str, Any]:
    molecules = dict(sorted(molecules.items()))
    both = digest((json.dumps(settings), tuple(molecules)))
    return {"hash": both, "settings": settings, "molecules": molecules}


def _check_settings(
    expected: dict[str, Any], present: dict[str, Any], where: str
) -> None:
    if expected["settings"] != present["settings"]:
        values = _first_difference(expected["settings"], present["settings"])
        raise ValueError(
            f"{where}: expected the settings of the same baseline, {values[0]}; found "
            f"{values[1]}"
        )


def _first_difference(a: Any, b: Any, path: str = "") -> tuple[str, str]:
    """Describe the first place where two settings differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        key = next(k for k in sorted({*a, *b}) if a.get(k) != b.get(k))
        return _first_difference(a.get(key), b.get(key), f"{path} {key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        index = next(i for i in range(len(a)) if a[i] != b[i])
        return _first_difference(a[index], b[index], path)
    return tuple(f"{path.strip()} {'absent' if v is None else v}" for v in (a, b))


def _molecules(
    nodes: Sequence[Hashable], terms: Sequence[Term], symbols: Sequence[str]
) -> dict[str, str]:
    """Find the hash and formula of each kind of molecule."""
    parent = list(range(len(nodes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for term in terms:
        for atom in term.atoms[1:]:
            parent[root(atom)] = root(term.atoms[0])
    atoms_of, terms_of = defaultdict(list), defaultdict(list)
    for index in range(len(nodes)):
        atoms_of[root(index)].append(index)
    for term in terms:
        terms_of[root(term.atoms[0])].append(term)
    hashes: dict[Hashable, str] = {}  # cache, by a graph in one order of its atoms
    formulas: dict[str, str] = {}
    for key, atoms in atoms_of.items():
        local = {atom: i for i, atom in enumerate(atoms)}
        graph = (
            tuple(nodes[i] for i in atoms),
            tuple(
                t._replace(atoms=tuple(map(local.get, t.atoms))) for t in terms_of[key]
            ),
        )
        if graph not in hashes:
            hashes[graph] = _refine(*graph)
            counts = sorted(Counter(symbols[i] for i in atoms).items())
            formula = "".join(e + str(n) * (n > 1) for e, n in counts)
            formulas[hashes[graph]] = formula
    return formulas


def _refine(nodes: Sequence[Hashable], terms: Sequence[Term]) -> str:
    """Hash a graph, whatever the order of its nodes and terms.

    Colour refinement (Weisfeiler and Lehman, 1968): each atom's colour takes up the
    colours of the atoms it shares terms with, until no more atoms are told apart.
    """
    colors, kinds = [digest(node) for node in nodes], 0
    while len(set(colors)) > kinds:
        kinds = len(set(colors))
        around: list[list[str]] = [[] for _ in colors]
        for kind, atoms, values in terms:
            seen = [colors[i] for i in atoms]
            for position, atom in enumerate(atoms):
                ways = [(position, seen)]
                if len(atoms) <= 4:  # a bond, angle or dihedral is the same backwards
                    ways.append((len(atoms) - 1 - position, seen[::-1]))
                around[atom].append(repr((kind, values, min(ways))))
        colors = [
            digest((color, sorted(others)))
            for color, others in zip(colors, around, strict=True)
        ]
    return digest(sorted(colors))
