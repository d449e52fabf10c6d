# SPDX-License-Identifier: MIT
"""Types of LAMMPS: atoms of one element and one mass."""

from collections.abc import Sequence

import numpy as np
import openmm
from openmm import app, unit

from ..classical.bonds import bond_markers
from ..simulate.settings import Stage
from ..simulate.system import repartition_hydrogen_mass
from ..topology.elements import ATOMIC_NUMBERS
from .plan import AtomType


def skeleton(topology: app.Topology, periodic: bool) -> openmm.System:
    """Make a System of masses, box and bonds alone, in which nothing acts.

    Analyses read masses, bonds, and whether it is periodic, from its XML.

    Parameters
    ----------
    topology : openmm.app.Topology
        With a box if it is periodic.
    periodic : bool
    """
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    if periodic:
        system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    bonds = bond_markers(topology, periodic)
    bonds.setName("Bonds of the topology")
    system.addForce(bonds)
    return system


def masses_of(
    topology: app.Topology, system: openmm.System, stages: Sequence[Stage]
) -> np.ndarray:
    """Masses [S, N] in Da of all atoms in each stage, with its masses of hydrogens.

    Raises
    ------
    ValueError
        As ``repartition_hydrogen_mass``, by the name of the stage.
    """
    own = _masses(system)
    rows: dict[float | None, np.ndarray] = {None: own}
    for stage in stages:
        mass = stage.hydrogen_mass_da
        if mass not in rows:
            for index, value in enumerate(own):
                system.setParticleMass(index, value)
            try:
                repartition_hydrogen_mass(system, topology, mass)
            except ValueError as error:
                raise ValueError(f"stage {stage.name}: {error}") from None
            rows[mass] = _masses(system)
    for index, value in enumerate(own):
        system.setParticleMass(index, value)
    return np.array([rows[stage.hydrogen_mass_da] for stage in stages])


def atom_types(
    symbols: Sequence[str], masses: np.ndarray
) -> tuple[tuple[AtomType, ...], np.ndarray]:
    """Number the atoms of each element and mass.

    Parameters
    ----------
    symbols : sequence of str, N
    masses : ndarray [S, N], Da
        In each stage.

    Returns
    -------
    types : tuple of AtomType
        In the order of atomic numbers, then of masses.
    numbers : ndarray [N] of int
        Type of each atom, from 0.
    """
    rounded = np.round(masses, 9)  # sums differ in their last digits
    charges = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    rows = np.column_stack([charges, rounded.T])
    unique, first, numbers = np.unique(
        rows, axis=0, return_index=True, return_inverse=True
    )
    types = tuple(
        AtomType(symbols[index], tuple(row[1:].tolist()))
        for index, row in zip(first, unique, strict=True)
    )
    return types, numbers.reshape(-1)


def _masses(system: openmm.System) -> np.ndarray:
    count = system.getNumParticles()
    values = (system.getParticleMass(i) for i in range(count))
    return np.array([value.value_in_unit(unit.dalton) for value in values])
