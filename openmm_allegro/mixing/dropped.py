# SPDX-License-Identifier: MIT
"""Terms inside a region that are dropped although no force field has made them.

A force field makes terms along the bonds of a molecule, and for all bonds, angles or
torsions alike. Biases and restraints stand out: they are between atoms that no bonds
connect, or few where there could be many, or beside the force field's own term of the
same atoms.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import openmm

from .checks import BONDED, constraints
from .terms import terms_inside

log = logging.getLogger(__name__)

# Part of the terms of a kind that a force field's own custom force has at least.
COVERED = 0.6
_STANDARD = (
    "HarmonicBondForce",
    "HarmonicAngleForce",
    "PeriodicTorsionForce",
    "RBTorsionForce",
    "CMAPTorsionForce",
)
Term = tuple[int, ...]
Graph = dict[int, set[int]]


def warn_of_dropped_terms(
    system: openmm.System,
    atoms: Sequence[int],
    bonds: openmm.HarmonicBondForce,
    *,
    interpolate: bool,
    remove_constraints: bool,
) -> None:
    """Log the terms of a region that look like biases and restraints.

    Parameters
    ----------
    system : openmm.System
        Of the force field.
    atoms : sequence of int
        The region.
    bonds : openmm.HarmonicBondForce
        With the topology's bonds.
    interpolate, remove_constraints : bool
        As in ``AllegroPotential.create_mixed_system``.
    """
    region = set(atoms)
    graph = _graph(system, region, bonds)
    forces = [f for f in system.getForces() if type(f).__name__ in BONDED]
    inside = [terms_inside(force, region) for force in forces]
    for index, force in enumerate(forces):
        others = _others(forces, inside, index)
        is_main = _is_standard(force) and not any(
            type(other) is type(force) and len(terms) > len(inside[index])
            for other, terms in zip(forces, inside, strict=True)
        )
        foreign = _foreign(force, inside[index], others, graph, is_main)
        _warn(force, foreign, interpolate)
    for force in system.getForces():
        if isinstance(force, openmm.CustomNonbondedForce):
            _warn(force, _groups(force, region), interpolate)
    fixed = [pair for pair in constraints(system) if region.issuperset(pair)]
    loose = [pair for pair in fixed if _steps(graph, *pair) > 2]
    if remove_constraints and loose:
        log.warning(
            "mm_system: %d constraints inside the ML region are of atoms further apart "
            "than two bonds, as no force field makes them, and are removed with the "
            "others (atoms %s); add them to the mixed System, or pass "
            "remove_constraints=False",
            len(loose),
            _names(loose),
        )


def _warn(force: openmm.Force, terms: Sequence[Term], interpolate: bool) -> None:
    if terms:
        log.warning(
            "mm_system: %d terms of its %s (%r) inside the ML region look like a bias "
            "or a restraint, not like a force field's (atoms %s), and are %s; add "
            "biases and restraints to the mixed System instead (addForce after "
            "create_mixed_system)",
            len(terms),
            type(force).__name__,
            force.getName(),
            _names(terms),
            "scaled by 1 - lambda_interpolate" if interpolate else "dropped",
        )


def _foreign(
    force: openmm.Force,
    terms: Sequence[Term],
    others: set[Term],
    graph: Graph,
    is_main: bool,
) -> list[Term]:
    """Terms of a bonded force that no force field would make.

    The main force of a standard kind may have any part of the possible terms.
    """
    if getattr(force, "getNumGlobalParameters", int)():
        return list(terms)
    kinds: dict[str, set[Term]] = defaultdict(set)
    for term in terms:
        kinds[_kind(force, term, graph)].add(_canonical(term))
    strange = {"odd"}
    if not is_main:
        few = {k for k, t in kinds.items() if len(t) < COVERED * _possible(k, graph)}
        # Urey and Bradley's, in a force beside that of the bonds
        strange |= few - {"2 bonds"} if _is_standard(force) else few
    counts = Counter(map(_canonical, terms))
    once = _is_standard(force) and "Torsion" not in type(force).__name__
    return [
        term
        for term in terms
        if _kind(force, term, graph) in strange
        or _canonical(term) in others
        or (once and counts[_canonical(term)] > 1)
    ]


def _others(
    forces: Sequence[openmm.Force], inside: Sequence[Sequence[Term]], index: int
) -> set[Term]:
    """Bonds, angles and torsions that a standard force with more terms has as well.

    Impropers are left out: some force fields have them beside torsions.
    """
    if "Compound" in type(forces[index]).__name__:
        return set()
    result: set[Term] = set()
    for number, (force, terms) in enumerate(zip(forces, inside, strict=True)):
        more = not _is_standard(forces[index]) or len(terms) > len(inside[index])
        if number != index and _is_standard(force) and more:
            result.update(map(_canonical, terms))
    return result


def _kind(force: openmm.Force, term: Term, graph: Graph) -> str:
    """Name how bonds connect the atoms of a term."""
    along = all(b in graph[a] for a, b in pairwise(term))
    if len(term) == 2:
        steps = _steps(graph, *term)
        return "odd" if steps > (2 if _is_standard(force) else 3) else f"{steps} bonds"
    if "Compound" in type(force).__name__ or len(term) > 4:
        return "connected" if _is_connected(graph, term) else "odd"
    if len(term) == 3 or along:
        return ("angle" if len(term) == 3 else "torsion") if along else "odd"
    centers = [atom for atom in term if graph[atom].issuperset({*term} - {atom})]
    flat = [a for a in centers if _is_standard(force) or len(graph[a]) == 3]
    return "improper" if flat else "odd"


def _possible(kind: str, graph: Graph) -> int:
    """Number of terms of a kind that the bonds of the region allow."""
    if kind.endswith("bonds"):
        steps = int(kind[0])
        ends = {_canonical((path[0], path[-1])) for path in _paths(graph, steps + 1)}
        return sum(_steps(graph, *pair) == steps for pair in ends)
    if kind in ("angle", "torsion"):
        return sum(1 for _ in _paths(graph, 3 if kind == "angle" else 4)) // 2
    if kind == "connected":
        return len(graph) // 4
    return 0


def _paths(graph: Graph, length: int) -> Iterator[Term]:
    """Go along bonds through ``length`` different atoms, in both directions."""
    waiting: list[Term] = [(atom,) for atom in graph]
    while waiting:
        path = waiting.pop()
        if len(path) == length:
            yield path
        else:
            waiting += [(*path, atom) for atom in graph[path[-1]] if atom not in path]


def _steps(graph: Graph, first: int, second: int) -> int:
    """Number of bonds from one atom to another; 4 stands for more."""
    reached = {first}
    for steps in range(4):
        if second in reached:
            return steps
        reached = reached.union(*(graph[atom] for atom in reached))
    return 4


def _is_connected(graph: Graph, term: Term) -> bool:
    reached, waiting = {term[0]}, [term[0]]
    while waiting:
        fresh = (graph[waiting.pop()] & {*term}) - reached
        reached |= fresh
        waiting += fresh
    return reached == {*term}


def _graph(
    system: openmm.System, region: set[int], bonds: openmm.HarmonicBondForce
) -> Graph:
    """Bonds inside the region: the topology's, or the force field's if it has none."""
    pairs = terms_inside(bonds, region)
    if not pairs:
        pairs = [p for p in constraints(system) if region.issuperset(p)]
        harmonic = [
            f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce)
        ]
        for force in harmonic[:1]:
            pairs += terms_inside(force, region)
    graph: Graph = {atom: set() for atom in region}
    for first, second in pairs:
        graph[first].add(second)
        graph[second].add(first)
    return graph


def _groups(force: openmm.CustomNonbondedForce, region: set[int]) -> list[Term]:
    """Interaction groups of two sets of atoms that are both in the region."""
    found = []
    for index in range(force.getNumInteractionGroups()):
        first, second = force.getInteractionGroupParameters(index)
        if region.issuperset(first) and region.issuperset(second):
            found.append((*first, *second))
    return found


def _is_standard(force: openmm.Force) -> bool:
    return type(force).__name__ in _STANDARD


def _canonical(term: Term) -> Term:
    return min(term, term[::-1])


def _names(terms: Sequence[Term]) -> str:
    shown = ["-".join(map(str, term)) for term in terms[:5]]
    return ", ".join(shown) + (" and others" if len(terms) > 5 else "")
