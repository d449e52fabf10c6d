# SPDX-License-Identifier: MIT
"""Molecular dynamics with the trained model of systems/nacl_aq; minutes, so slow."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import skip_without

from openmm_allegro import AllegroPotential

skip_without("torchforce")
pytestmark = pytest.mark.slow

SYSTEM = Path(__file__).parents[2] / "systems" / "nacl_aq"
KJ_PER_MEV = 0.09648533212331


@pytest.fixture(scope="module")
def box():
    with open(SYSTEM / "nacl_aq.pdb") as file:
        return app.PDBFile(file)


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(SYSTEM / "nacl_aq.safetensors")


def start(potential, box, integrator, precision="single"):
    system = potential.create_system(box.topology, precision=precision)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(box.positions)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 4)
    return context


def total_energies(context, pieces, steps):
    energies = []
    for _ in range(pieces):
        context.getIntegrator().step(steps)
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    return np.array(energies)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_nve_conserves_energy(potential, box, precision):
    """0.5 ps at 0.5 fs: the drift is far below kT (26 meV) per atom."""
    context = start(
        potential, box, openmm.VerletIntegrator(0.5 * unit.femtosecond), precision
    )
    atoms = box.topology.getNumAtoms()
    energies = total_energies(context, 100, 10) / atoms / KJ_PER_MEV
    slope = np.polyfit(np.arange(100) * 0.005, energies, 1)[0]
    assert abs(slope) < 1.0  # meV/atom/ps
    assert energies.std() < 0.5


def test_verlet_error_is_of_second_order(potential, box):
    """Energy fluctuation goes as the square of the step: forces are the gradient."""
    fluctuation = {}
    for femtoseconds, pieces in ((0.25, 200), (0.5, 100)):
        context = start(
            potential,
            box,
            openmm.VerletIntegrator(femtoseconds * unit.femtosecond),
            "double",
        )
        energies = total_energies(context, pieces, 1)
        fluctuation[femtoseconds] = np.std(energies - energies.mean())
    ratio = fluctuation[0.5] / fluctuation[0.25]
    assert 3.0 < ratio < 5.0


def test_momentum_is_conserved(potential, box):
    context = start(potential, box, openmm.VerletIntegrator(0.5 * unit.femtosecond))
    forces = context.getState(forces=True).getForces(asNumpy=True)._value
    assert abs(forces.sum(axis=0)).max() < 1e-3 * abs(forces).max()


def test_pressing_two_molecules_together_costs_energy(potential, box):
    """No hole in the potential where the training data has no pairs: O-O at 2.2 Å."""
    context = start(potential, box, openmm.VerletIntegrator(0.001))
    positions = np.array(box.positions.value_in_unit(unit.nanometer))
    oxygens = [a.index for a in box.topology.atoms() if a.element.symbol == "O"]
    box_length = 1.242
    vectors = positions[oxygens[1:]] - positions[oxygens[0]]
    vectors -= box_length * np.round(vectors / box_length)
    nearest = int(np.argmin(np.linalg.norm(vectors, axis=1)))
    vector = vectors[nearest]
    distance = np.linalg.norm(vector)
    energies = []
    for target in (0.25, 0.235, 0.22):
        moved = positions.copy()
        first = oxygens[nearest + 1]
        moved[first : first + 3] += vector * (target / distance - 1)
        context.setPositions(moved)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    assert energies[0] < energies[1] < energies[2]
