# SPDX-License-Identifier: MIT
"""Topologies and Systems to test on, and their energies and forces."""

from importlib.util import find_spec

import numpy as np
import openmm
import pytest
from openmm import app, unit

from openmm_allegro.classical.nonbonded import nonbonded_system

# Backend of tests that do not look at it.
BACKEND = "pythonforce" if find_spec("torch") else "native"
CHARGES = {"O": -0.834, "H": 0.417}
CORES = {"O": (0.315, 0.636)}


def skip_without(backend):
    """Skip a test where a backend's packages are not installed."""
    if backend != "native":
        pytest.importorskip("torch")
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")


def make_topology(symbols, box=None, waters=False):
    """A topology; with ``waters`` each O H H is a residue with its two bonds."""
    topology = app.Topology()
    chain = topology.addChain()
    atoms = []
    for index, symbol in enumerate(symbols):
        if not waters or index % 3 == 0:
            residue = topology.addResidue("HOH" if waters else "X", chain)
        element = app.Element.getBySymbol(symbol)
        atoms.append(topology.addAtom(symbol, element, residue))
        if waters and index % 3:
            topology.addBond(atoms[index - index % 3], atoms[index])
    if box is not None:
        topology.setPeriodicBoxVectors(np.asarray(box) * unit.nanometer)
    return topology


def harmonic_system(count=40, k=2000.0):
    """Independent oscillators in a box, for which everything is known."""
    system = openmm.System()
    force = openmm.CustomExternalForce(f"{k / 2}*(x^2+y^2+z^2)")
    for index in range(count):
        system.addParticle(16.0)
        force.addParticle(index, [])
    system.addForce(force)
    return make_topology(["O"] * count), np.zeros((count, 3)), system


def lattice_waters():
    """27 water molecules on a lattice with noise: symbols, positions (nm), box (nm)."""
    random = np.random.default_rng(0)
    side, count = 0.93, 3
    symbols, positions = [], []
    for site in np.ndindex(count, count, count):
        oxygen = (np.array(site) + 0.5) * side / count + random.normal(0, 0.01, 3)
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
        positions.append(oxygen)
        for sign in (1, -1):
            direction = np.cos(0.91) * axes[0] + sign * np.sin(0.91) * axes[1]
            positions.append(oxygen + 0.097 * direction)
        symbols += ["O", "H", "H"]
    return symbols, np.array(positions), np.eye(3) * side


def energy_and_forces(system, positions, platform="Reference", box=None, **parameters):
    """Energy (kJ/mol) and forces (kJ/mol/nm) of a System in a new Context.

    Others are global parameters by name.
    """
    context = context_of(system, positions, platform, box=box)
    for name, value in parameters.items():
        context.setParameter(name, value)
    return evaluate(context)


def context_of(system, positions, platform="Reference", *, box=None, timestep=0.0005):
    """A Context with positions (nm) and a Verlet integrator (ps)."""
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(timestep),
        openmm.Platform.getPlatformByName(platform),
    )
    if box is not None:
        context.setPeriodicBoxVectors(*np.asarray(box))
    context.setPositions(positions)
    return context


def evaluate(context, groups=-1):
    """Energy (kJ/mol) and forces (kJ/mol/nm)."""
    state = context.getState(energy=True, forces=True, groups=groups)
    return (
        state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole),
        state.getForces(asNumpy=True).value_in_unit(
            unit.kilojoule_per_mole / unit.nanometer
        ),
    )


def check_damage_is_refused(force, before, after, message):
    """Change a force's XML at one place, which makes reading it an error."""
    text = openmm.XmlSerializer.serialize(force)
    assert before in text
    with pytest.raises(openmm.OpenMMException, match=message):
        openmm.XmlSerializer.deserialize(text.replace(before, after, 1))


def molecules(context):
    """Atoms of each of OpenMM's molecules, in order."""
    return [sorted(molecule) for molecule in context.getMolecules()]


def water_system(symbols, box, charges=CHARGES, cores=CORES, cutoff=0.4):
    """Topology and System of flexible waters."""
    topology = make_topology(symbols, box, waters=True)
    system = nonbonded_system(topology, charges, cores, cutoff=cutoff)
    bonds = openmm.HarmonicBondForce()
    for bond in topology.bonds():
        bonds.addBond(bond.atom1.index, bond.atom2.index, 0.0957, 4.5e5)
    system.addForce(bonds)
    return topology, system
