# SPDX-License-Identifier: MIT
"""After each volume move, accepted or not, the force is what a fresh one gives."""

import numpy as np
import openmm
import pytest
import torch
from helpers import ELEMENTS, random_atoms, tiny_config, tiny_energy, tiny_statistics
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.potential.module import force_module

# Å; so tilted that small changes of it have another reduced form
TILTED = [[5.2, 0.0, 0.0], [2.599, 4.9, 0.0], [-2.599, 2.449, 5.1]]


@pytest.fixture(scope="module")
def model():
    """With a core, lest atoms fall into each other."""
    config = tiny_config(num_layers=1, zbl=True)
    statistics = tiny_statistics(config)
    return Model(config, statistics, tiny_energy(config), "total", "float64")


@pytest.mark.parametrize(
    ("backend", "kernel", "cell"),  # above two cutoffs, below two, below one
    [
        ("native", "fused", "large"),
        ("torchforce", "fused", "tiny triclinic"),
        ("torchforce", "plain", "triclinic"),
        ("pythonforce", "fused", "triclinic"),
        ("native", "fused", "tiny triclinic"),
    ],
)
def test_energy_and_forces_after_each_move(model, backend, kernel, cell):
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    atoms = random_atoms(cell)
    symbols = [ELEMENTS[t] for t in atoms.types.tolist()]
    box = np.array(TILTED) if cell == "triclinic" else atoms.cell.numpy()
    topology = make_topology(symbols, box / 10)
    placed = list(topology.atoms())
    for first in range(0, len(symbols) - 1, 2):  # molecules of two atoms
        topology.addBond(placed[first], placed[first + 1])
    system = AllegroPotential(model).create_system(
        topology, backend=backend, kernel=kernel, precision="double"
    )
    barostats = (
        openmm.MonteCarloBarostat(1.0, 300.0),
        openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300.0),
        openmm.MonteCarloMembraneBarostat(1.0, 0.0, 300.0, 1, 0),
        openmm.MonteCarloFlexibleBarostat(1.0, 300.0),
    )
    for barostat in barostats:
        barostat.setRandomNumberSeed(5)
        barostat.setFrequency(0)
        system.addForce(barostat)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(1e-4), platform)
    context.setPositions(atoms.positions.numpy() / 10)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 3)
    fresh = force_module(model, symbols, periodic=True, precision="double", skin=0.0)

    for barostat in barostats:  # each in its turn
        barostat.setFrequency(1)
        changes = []
        for _ in range(12):
            before = box_of(context)
            context.getIntegrator().step(1)
            changes.append(abs(box_of(context) - before).max() / before.max())
            check(context, fresh)
        barostat.setFrequency(0)
        assert 0 < np.count_nonzero(changes) < 12  # some accepted, some not
    if cell == "triclinic":
        assert max(changes) > 0.4  # another reduced form


def box_of(context):
    return context.getState().getPeriodicBoxVectors(asNumpy=True)._value


def check(context, fresh):
    state = context.getState(energy=True, forces=True, positions=True)
    energy, forces = fresh(
        torch.tensor(state.getPositions(asNumpy=True)._value),
        torch.tensor(state.getPeriodicBoxVectors(asNumpy=True)._value),
    )
    assert state.getPotentialEnergy()._value == pytest.approx(energy.item(), abs=1e-6)
    found = state.getForces(asNumpy=True)._value
    np.testing.assert_allclose(found, forces, atol=1e-9 * float(forces.abs().max()))
