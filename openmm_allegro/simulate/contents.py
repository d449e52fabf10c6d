# SPDX-License-Identifier: MIT
"""Check the start of a simulation: its box, its atoms, and how they lie in it."""

import logging
from collections.abc import Collection

import numpy as np
import openmm
from openmm import app, unit

from ..potential.computation import may_have_model, model_particles
from ..potential.contents import (
    OVERLAP,
    Contents,
    Overlaps,
    describe_long_bonds,
    describe_overlaps,
    describe_room,
    find_overlaps,
)
from ..topology.elements import COVALENT_RADII
from ..units import NM_TO_ANGSTROM

log = logging.getLogger(__name__)


def check_contents(
    topology: app.Topology,
    system: openmm.System,
    coordinates: np.ndarray,
    state: openmm.State | None = None,
    *,
    pressure: bool = False,
    model: Collection[int] | None = None,
) -> None:
    """Refuse a start that no simulation can begin from, and log what looks wrong.

    Systems without a model pass: atoms of a force field may lie on one another where
    nothing acts between them.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
        Its box is used.
    coordinates : ndarray [N, 3], nm
    state : openmm.State, optional
        End of another run, whose box is used. Nothing is logged then.
    pressure : bool
        Whether the volume will change.
    model : collection of int, optional
        Particles that a model computes; those of the System's Allegro forces if not
        given.

    Raises
    ------
    ValueError
        If the box is a placeholder or too small for the atoms, a pair of atoms of which
        the model has one is nearer than 0.2 times the sum of covalent radii, or the
        bonds of the topology show positions in another unit.
    """
    if model is None and not may_have_model(system):
        return
    contents = _contents(topology, system, coordinates, state)

    def particles() -> Collection[int]:  # only where they matter, for it takes time
        return model_particles(system) if model is None else model

    try:
        overlaps = find_overlaps(contents)
        remarks = [describe_long_bonds(contents)]
    except ValueError:
        if particles():
            raise
        return
    if len(overlaps.pairs):
        remarks.append(_check_overlaps(contents, overlaps, particles()))
    remarks.append(describe_room(contents, pressure=pressure))
    for remark in filter(None, remarks):
        if state is None:
            log.warning("%s", remark)


def _contents(
    topology: app.Topology,
    system: openmm.System,
    coordinates: np.ndarray,
    state: openmm.State | None,
) -> Contents:
    """Collect the atoms that have an element and are no virtual sites."""
    atoms = [
        atom
        for atom in topology.atoms()
        if atom.element is not None and not system.isVirtualSite(atom.index)
    ]
    indices = np.array([atom.index for atom in atoms], dtype=int)
    places = np.full(topology.getNumAtoms(), -1)
    places[indices] = np.arange(len(indices))
    bonds = [(bond[0].index, bond[1].index) for bond in topology.bonds()]
    bonds = places[np.array(bonds, dtype=int).reshape(-1, 2)]
    box = None
    if system.usesPeriodicBoundaryConditions():
        vectors = (
            system.getDefaultPeriodicBoxVectors()
            if state is None
            else state.getPeriodicBoxVectors()
        )
        box = [v.value_in_unit(unit.nanometer) for v in vectors]
        box = np.array(box) * NM_TO_ANGSTROM
    return Contents(
        [atom.element.symbol for atom in atoms],
        np.array([COVALENT_RADII[atom.element.atomic_number] for atom in atoms]),
        coordinates[indices] * NM_TO_ANGSTROM,
        box,
        bonds[(bonds >= 0).all(axis=1)],
        indices,
    )


def _check_overlaps(
    contents: Contents, overlaps: Overlaps, model: Collection[int]
) -> str | None:
    """Refuse overlaps that the model would see; describe what is merely near."""
    of_model = np.isin(contents.indices[overlaps.pairs], list(model)).any(axis=1)
    overlaps = Overlaps(*(values[of_model] for values in overlaps))
    if not len(overlaps.pairs):
        return None
    text = describe_overlaps(contents, overlaps)
    if overlaps.relative[0] < OVERLAP:
        raise ValueError(
            f"positions: expected atoms at distances of some Å, found {text}; do the "
            "box and the positions belong together, are both in nm, and is each atom "
            "there once?"
        )
    return (
        f"atoms are nearer to one another than in matter: {text}; minimise first, and "
        "see that box and positions belong together"
    )
