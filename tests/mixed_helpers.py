# SPDX-License-Identifier: MIT
"""N-methylacetamide in water with Amber14, and a model: to make mixed Systems of."""

import copy
import functools
from typing import NamedTuple

import numpy as np
import openmm
from helpers import HAS_TORCH, STORED, tiny_config
from openmm import app, unit

from openmm_allegro import Model, load_model
from openmm_allegro.model import Statistics

# C (1) of the acetyl group is bonded to N (6), which is outside
ACETYL = [5, 0, 2, 4, 3, 1]
SOLUTE = 12  # its atoms come first, then those of a water at its oxygen
# Name, element and position (Å) of the heavy atoms and of H on N, all in one plane.
PLANE = {
    "ACE": (("CH3", "C", -1.296, -0.794), ("C", "C", 0.0, 0.0), ("O", "O", 0.0, 1.23)),
    "NME": (("N", "N", 1.126, -0.717), ("H", "H", 1.1, -1.727), ("C", "C", 2.36, 0.05)),
}
BONDS = ((0, 1), (1, 2), (1, 6), (6, 7), (6, 8))
# methyl carbon, what it is bonded to, first of its three hydrogens
METHYLS = ((0, 1, 3), (8, 6, 9))
WATER = (("O", "O", 0.0, 4.03), ("H1", "H", 0.0, 3.07), ("H2", "H", 0.93, 4.28))


class Classical(NamedTuple):
    """A topology, positions [N, 3] (nm) and the force field's System."""

    topology: app.Topology
    positions: np.ndarray
    system: openmm.System


def organic_model() -> Model:
    """Random weights for H, C, N, O; no shifts, beside which errors would be lost."""
    if not HAS_TORCH:
        return load_model(STORED / "organic.safetensors")
    from openmm_allegro.model import AllegroEnergy

    config = tiny_config(elements=("H", "C", "N", "O"), cutoff=4.0, num_layers=1)
    statistics = Statistics([8.0] * 4, [1.5, 2.4, 2.1, 2.7], [0.0] * 4)
    energy = AllegroEnergy(config, statistics, seed=3)
    return Model(config, statistics, energy, "total", "float64")


def solute() -> tuple[app.Topology, np.ndarray]:
    """Topology and rough positions (Å) of ACE-NME with a water at its oxygen.

    It is near, so that the ML region of both is smaller than half the box.
    """
    topology = app.Topology()
    chain = topology.addChain()
    positions = []
    for name, heavy in PLANE.items():
        residue = topology.addResidue(name, chain)
        for atom, symbol, x, y in heavy:
            topology.addAtom(atom, app.Element.getBySymbol(symbol), residue)
            positions.append([x, y, 0.0])
        for i in range(3):
            topology.addAtom(f"HM{i}", app.element.hydrogen, residue)
            positions.append([0.0, 0.0, 0.0])
    atoms, positions = list(topology.atoms()), np.array(positions)
    for first, second in BONDS:
        topology.addBond(atoms[first], atoms[second])
    for carbon, parent, hydrogen in METHYLS:
        axis = positions[carbon] - positions[parent]
        axis /= np.linalg.norm(axis)
        side = np.cross(axis, [0.0, 0.0, 1.0])
        for i in range(3):
            turn = 2 * np.pi * i / 3
            around = np.cos(turn) * side + np.sin(turn) * np.array([0.0, 0.0, 1.0])
            offset = 1.09 * (0.334 * axis + 0.943 * around)
            positions[hydrogen + i] = positions[carbon] + offset
            topology.addBond(atoms[carbon], atoms[hydrogen + i])
    residue = topology.addResidue("HOH", topology.addChain())
    for name, symbol, x, y in WATER:
        topology.addAtom(name, app.Element.getBySymbol(symbol), residue)
        positions = np.vstack((positions, [x, y, 0.0]))
    oxygen, *hydrogens = residue.atoms()
    for hydrogen in hydrogens:
        topology.addBond(oxygen, hydrogen)
    return topology, positions


def solvated(side: float = 1.6) -> Classical:
    """In a box (nm) of water with a Na⁺ Cl⁻ pair; PME, X-H bonds of fixed length."""
    box = _solvated(side)
    return Classical(box.topology, box.positions.copy(), copy.deepcopy(box.system))


@functools.cache
def _solvated(side: float) -> Classical:
    field = force_field()
    topology, positions = solute()
    modeller = app.Modeller(topology, (positions / 10 + side / 2) * unit.nanometer)
    modeller.addSolvent(field, boxSize=openmm.Vec3(side, side, side) * unit.nanometer)
    residues = list(modeller.topology.residues())
    at = np.array(modeller.positions.value_in_unit(unit.nanometer))
    waters = [next(r.atoms()).index for r in residues if r.name == "HOH"]
    modeller.delete([residues[-1], residues[-2]])
    ions = app.Topology()
    for symbol, name in (("Na", "NA"), ("Cl", "CL")):
        residue = ions.addResidue(name, ions.addChain())
        ions.addAtom(name, app.Element.getBySymbol(symbol), residue)
    modeller.add(ions, at[waters[-2:]] * unit.nanometer)
    topology = modeller.topology
    system = field.createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.75 * unit.nanometer,
        constraints=app.HBonds,
    )
    positions = relaxed(system, modeller.positions)
    return Classical(topology, positions, system)


def cluster(box: Classical, waters: int = 6) -> Classical:
    """The solute, the first few waters and the Na⁺, without box and cutoff."""
    modeller = app.Modeller(box.topology, box.positions * unit.nanometer)
    others = [r for r in box.topology.residues() if r.name in ("HOH", "CL")]
    modeller.delete(others[waters:])
    modeller.topology.setPeriodicBoxVectors(None)
    return isolated(modeller)


def isolated(modeller: app.Modeller) -> Classical:
    """Describe a Modeller's atoms by Amber14, in vacuum and without cutoff."""
    system = force_field().createSystem(modeller.topology, constraints=app.HBonds)
    positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
    return Classical(modeller.topology, positions, system)


def part(whole: Classical, atoms: list[int]) -> Classical:
    """Whole molecules of a System, in vacuum; atoms in the order of the topology."""
    modeller = app.Modeller(whole.topology, whole.positions * unit.nanometer)
    modeller.delete([a for a in whole.topology.atoms() if a.index not in set(atoms)])
    modeller.topology.setPeriodicBoxVectors(None)
    return isolated(modeller)


@functools.cache
def force_field() -> app.ForceField:
    """Amber14 with TIP3P-FB."""
    return app.ForceField("amber14-all.xml", "amber14/tip3pfb.xml")


def relaxed(system: openmm.System, positions: unit.Quantity) -> np.ndarray:
    """Positions (nm) after some steps downhill."""
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1", "DeterministicForces": "true"},
    )
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=100)
    state = context.getState(positions=True)
    return state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
