# SPDX-License-Identifier: MIT
"""Subtract a classical System from labels, so that a model learns the rest.

Delta learning: a model of kind delta is trained on E - E_MM and used beside the same
force field (``AllegroPotential.add_to_system``), which brings the long-range forces
that a local model lacks. R. Ramakrishnan et al., doi:10.1021/acs.jctc.5b00099.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..structure import Structure
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM
from .fingerprint import fingerprint
from .serialized import read_system  # noqa: F401  its former place

STRAIN = 1e-4  # step of the finite differences that give the stress
# Added to positions in a box (nm): OpenMM 8.5's Reference PME is wrong by some eV for
# an atom that lies on a face of the box to within rounding, as a crystal's atoms may.
OFFSET = np.array([0.0137, 0.0271, 0.0193])

Baseline = openmm.System | Callable[[Structure], openmm.System]


def subtract_baseline(
    structures: Sequence[Structure], mm_system: Baseline, *, platform: str = "Reference"
) -> list[Structure]:
    """Subtract a classical System's energy, forces and stress from the labels.

    Each structure also gets the ``fingerprint`` of that System, by which ``train``
    makes a model of kind delta. An isolated atom (``Structure.is_isolated``) stays as
    it is: it has neither bonds nor pairs. A stress that the System cannot have, outside
    of a periodic box, is left out.

    Parameters
    ----------
    structures : sequence of Structure
    mm_system : openmm.System, or function of a Structure that returns one
        Its particles are the atoms of the structure, in the same order, with the
        masses of their elements. A function serves structures of several compositions,
        see ``by_composition``.
    platform : str
        Name of an OpenMM platform. Reference is in double precision.

    Returns
    -------
    list of Structure

    Raises
    ------
    ValueError
        If a structure and its System differ in atoms or periodicity, the box is too
        small for the cutoff, a label is not finite, a baseline was subtracted already,
        or a force has parameters that cannot be compared.
    """
    for index, structure in enumerate(structures):
        if structure.baseline is not None:
            raise ValueError(
                f"{structure.source or f'structure {index}'}: expected labels of the "
                "whole energy, found labels from which a baseline was subtracted"
            )
    alone = [s.is_isolated and s.energy is not None for s in structures]
    others = [s for s, single in zip(structures, alone, strict=True) if not single]
    parts = iter(evaluate_baseline(others, mm_system, platform=platform))
    return [
        s if single else _difference(s, next(parts))
        for s, single in zip(structures, alone, strict=True)
    ]


def evaluate_baseline(
    structures: Sequence[Structure], mm_system: Baseline, *, platform: str = "Reference"
) -> list[Structure]:
    """Label structures with the energy, forces and stress of a classical System.

    Each structure is evaluated in its own box, to which PME's mesh is fitted. Atoms may
    lie in any image of the box, bonded atoms too. A structure that has a stress gets
    one, by finite differences. Parameters and errors are those of
    ``subtract_baseline``.
    """
    prepared: dict[tuple[int, tuple[str, ...]], tuple[Any, ...]] = {}
    result = []
    for index, structure in enumerate(structures):
        where = structure.source or f"structure {index}"
        original = mm_system(structure) if callable(mm_system) else mm_system
        key = (id(original), structure.symbols)
        if key not in prepared:
            _check_atoms(original, structure, where)
            record = fingerprint(original, structure.symbols)
            # The original is kept too, so that no other System can get its id.
            prepared[key] = (_with_periodic_bonds(original), record, original)
        system, record, _ = prepared[key]
        periodic = system.usesPeriodicBoundaryConditions()
        if not (structure.periodic == periodic).all():
            raise ValueError(
                f"{where}: expected a structure periodic in "
                f"{'all' if periodic else 'no'} directions, as the System is, found "
                f"periodicity {structure.periodic.tolist()}"
            )
        try:
            labels = _evaluate(system, structure, platform)
        except openmm.OpenMMException as error:
            raise ValueError(
                f"{where}: expected a structure that the System can be evaluated for, "
                f"found {error}"
            ) from error
        for name, value in labels.items():
            if value is not None and not np.isfinite(value).all():
                raise ValueError(
                    f"{where}: expected a finite {name} of the classical System, found "
                    "NaN or infinity; are two atoms at the same position?"
                )
        result.append(dataclasses.replace(structure, **labels, baseline=record))
    return result


def by_composition(systems: Sequence[openmm.System]) -> Callable[[Structure], Any]:
    """Make a function that picks the System with a structure's elements, by masses.

    Raises
    ------
    ValueError
        From the function, if no System has them.
    """
    elements = [_elements(system) for system in systems]

    def pick(structure: Structure) -> openmm.System:
        if structure.symbols not in elements:
            raise ValueError(
                f"{structure.source or 'structure'}: expected one of {len(systems)} "
                "Systems to have its atoms in their order, found none"
            )
        return systems[elements.index(structure.symbols)]

    return pick


def _difference(whole: Structure, part: Structure) -> Structure:
    """The labels of ``whole`` less those of ``part``, where both have them."""
    labels = {}
    for name in ("energy", "forces", "stress"):
        first, second = getattr(whole, name), getattr(part, name)
        both = first is not None and second is not None
        labels[name] = first - second if both else None
    return dataclasses.replace(whole, **labels, baseline=part.baseline)


def _check_atoms(system: openmm.System, structure: Structure, where: str) -> None:
    elements = _elements(system)
    if len(elements) != len(structure):
        raise ValueError(
            f"{where}: expected the {len(elements)} atoms of the System, found "
            f"{len(structure)}"
        )
    for index, (element, symbol) in enumerate(
        zip(elements, structure.symbols, strict=True)
    ):
        if element != symbol:
            mass = system.getParticleMass(index).value_in_unit(unit.dalton)
            raise ValueError(
                f"{where}: expected the System's atoms in its order, of which atom "
                f"{index} is {element or 'no element'} by its mass of {mass:g} Da, "
                f"found {symbol}"
            )


def _elements(system: openmm.System) -> tuple[str | None, ...]:
    """List the elements that have the particles' masses, within 0.05 Da."""
    masses = [
        system.getParticleMass(i).value_in_unit(unit.dalton)
        for i in range(system.getNumParticles())
    ]
    symbol_of: dict[float, str | None] = {}
    for mass in set(masses):
        element = app.Element.getByMass(mass) if mass > 0 else None
        near = element is not None and abs(element.mass._value - mass) < 0.05
        symbol_of[mass] = element.symbol if near else None
    return tuple(symbol_of[mass] for mass in masses)


def _with_periodic_bonds(system: openmm.System) -> openmm.System:
    """Copy a System so that bonded atoms may be given in any images."""
    system = copy.deepcopy(system)
    if system.usesPeriodicBoundaryConditions():
        for force in system.getForces():
            if hasattr(force, "setExceptionsUsePeriodicBoundaryConditions"):
                force.setExceptionsUsePeriodicBoundaryConditions(True)
            elif hasattr(force, "setUsesPeriodicBoundaryConditions"):
                force.setUsesPeriodicBoundaryConditions(True)
    return system


def _evaluate(
    system: openmm.System, structure: Structure, platform: str
) -> dict[str, Any]:
    """Compute energy (eV), forces (eV/Å) and, if labelled, the stress (eV/Å³)."""
    periodic = system.usesPeriodicBoundaryConditions()
    if periodic:
        system.setDefaultPeriodicBoxVectors(*_openmm_box(structure.cell).vectors)
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName(platform),
    )

    def place(deformation: np.ndarray) -> _Box | None:
        """Put the deformed structure into the Context."""
        positions = structure.positions @ deformation / NM_TO_ANGSTROM
        box = _openmm_box(structure.cell @ deformation) if periodic else None
        if box is not None:
            context.setPeriodicBoxVectors(*box.vectors)
            positions = positions @ box.rotation + OFFSET
        context.setPositions(positions)
        return box

    def energy() -> float:
        state = context.getState(energy=True)
        return state.getPotentialEnergy()._value / EV_TO_KJ_PER_MOL

    box = place(np.eye(3))
    state = context.getState(forces=True)
    forces = state.getForces(asNumpy=True)._value / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
    labels = {"energy": energy(), "forces": forces, "stress": None}
    if box is None:
        return labels
    labels["forces"] = forces @ box.rotation.T
    if structure.stress is not None:
        stress = np.zeros((3, 3))
        for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            strain = np.zeros((3, 3))
            strain[a, b] += 0.5
            strain[b, a] += 0.5
            slope = _slope(
                lambda h, strain=strain: (place(np.eye(3) + h * strain), energy())
            )
            stress[a, b] = stress[b, a] = slope / structure.volume
        labels["stress"] = stress
    return labels


def _slope(evaluate: Callable[[float], tuple["_Box", float]]) -> float:
    """Differentiate E by h at 0, to second order.

    A strained box may be reduced to other vectors of the same lattice. Then PME's mesh
    differs, and with it the energy, by the error of the mesh: such a side is left out.
    """
    base = evaluate(0.0)[0].multiples
    for weights in (
        {1: 0.5, -1: -0.5},
        {0: -1.5, 1: 2.0, 2: -0.5},
        {0: 1.5, -1: -2.0, -2: 0.5},
    ):
        results = {n: evaluate(n * STRAIN) for n in weights}
        if all(box.multiples == base for box, _ in results.values()):
            break
    return sum(weights[n] * energy for n, (_, energy) in results.items()) / STRAIN


class _Box(NamedTuple):
    """A box in the form that OpenMM requires: lower triangular and reduced."""

    vectors: np.ndarray  # [3, 3] nm
    rotation: np.ndarray  # [3, 3]: vectors = cell @ rotation, but for the reduction
    multiples: tuple[int, ...]  # of one vector, subtracted from another


def _openmm_box(cell: np.ndarray) -> _Box:
    """Rotate the lattice of a cell (Å) and reduce it."""
    right_handed = cell if np.linalg.det(cell) > 0 else -cell
    rotation, upper = np.linalg.qr(right_handed.T)
    signs = np.sign(np.diag(upper))
    rotation, vectors = rotation * signs, (upper.T * signs) / NM_TO_ANGSTROM
    multiples = []
    for row, axis in ((2, 1), (2, 0), (1, 0)):
        length = vectors[axis, axis]
        # The bias decides where a vector may lean to either side; noise must not.
        multiples.append(round(vectors[row, axis] / length - 1e-9))
        vectors[row] -= multiples[-1] * vectors[axis]
        vectors[row, axis] = np.clip(vectors[row, axis], -length / 2, length / 2)
    return _Box(vectors, rotation, tuple(multiples))
