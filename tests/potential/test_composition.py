# SPDX-License-Identifier: MIT
"""Other forces beside ours: energies and forces add, groups and integrators work."""

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import energy_and_forces, make_topology, skip_without

from openmm_allegro import AllegroPotential, forces

pytestmark = pytest.mark.small


def restraint(atoms):
    """Springs to fixed points."""
    force = openmm.CustomExternalForce("500*periodicdistance(x,y,z,x0,y0,z0)^2")
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for atom in range(0, atoms, 3):
        force.addParticle(atom, [0.01 * atom, 0.2, 0.3])
    return force


def field(atoms):
    """A uniform electric field on fixed charges."""
    force = openmm.CustomExternalForce("-30*q*x")
    force.addPerParticleParameter("q")
    for atom in range(atoms):
        force.addParticle(atom, [-0.8 if atom % 3 == 0 else 0.4])
    return force


def collective(atoms):
    """A function of a distance and an angle."""
    distance, angle = openmm.CustomBondForce("r"), openmm.CustomAngleForce("theta")
    distance.addBond(0, atoms - 3, [])
    angle.addAngle(1, 0, 2, [])
    force = openmm.CustomCVForce("300*(d-0.4)^2 + 20*cos(a)")
    force.addCollectiveVariable("d", distance)
    force.addCollectiveVariable("a", angle)
    return force


def classical(atoms):
    """Coulomb by PME and Lennard-Jones."""
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(force.PME)
    force.setCutoffDistance(0.4)
    for atom in range(atoms):
        oxygen = atom % 3 == 0
        force.addParticle(-0.8 if oxygen else 0.4, 0.31 if oxygen else 0.1, 0.5)
    force.createExceptionsFromBonds(
        [(i, i + j) for i in range(0, atoms, 3) for j in (1, 2)], 0.0, 0.0
    )
    return force


OTHERS = (restraint, field, collective, classical)


@pytest.fixture(scope="module", params=["torchforce", "pythonforce", "native"])
def ours(model, water_box, request):
    """Topology, positions (nm) and the System of the model alone, one per backend."""
    skip_without(request.param)
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend=request.param)
    return topology, positions, system


def copy_of(system, *forces):
    copied = openmm.XmlSerializer.clone(system)
    for force in forces:
        copied.addForce(force)
    return copied


def simulation_of(ours, system, integrator=None):
    topology, positions, _ = ours
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    return simulation


def particles_of(system):
    bare = openmm.System()
    for index in range(system.getNumParticles()):
        bare.addParticle(system.getParticleMass(index))
    bare.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
    return bare


def test_energies_and_forces_add(ours):
    """All the others at once, each in a group of its own."""
    _, positions, system = ours
    atoms = len(positions)
    alone = energy_and_forces(system, positions)
    together = copy_of(system)
    expected = {0: alone}
    for group, make in enumerate(OTHERS, start=1):
        other = particles_of(system)
        other.addForce(make(atoms))
        expected[group] = energy_and_forces(other, positions)
        force = make(atoms)
        force.setForceGroup(group)
        together.addForce(force)
    context = simulation_of(ours, together).context
    total_energy, total_forces = 0.0, np.zeros_like(positions)
    for group, (energy, expected_forces) in expected.items():
        state = context.getState(energy=True, forces=True, groups={group})
        assert state.getPotentialEnergy()._value == pytest.approx(energy, rel=1e-9)
        assert_forces(state.getForces(asNumpy=True)._value, expected_forces)
        total_energy += energy
        total_forces += expected_forces
    energy, found = energy_and_forces(together, positions)
    assert energy == pytest.approx(total_energy, rel=1e-9)
    assert_forces(found, total_forces)


def assert_forces(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-9 * abs(expected).max())


def test_metadynamics(ours):
    """Hills on a distance; the potential energy is ours and the hills'."""
    _, _, system = ours
    distance = openmm.CustomBondForce("r")
    distance.addBond(0, 1, [])
    variable = app.BiasVariable(distance, 0.05, 0.2, 0.005)
    biased = copy_of(system)
    metadynamics = app.Metadynamics(biased, [variable], 300 * unit.kelvin, 5, 2, 2)
    simulation = simulation_of(ours, biased)
    metadynamics.step(simulation, 10)
    state = simulation.context.getState(positions=True, energy=True)
    positions = state.getPositions(asNumpy=True)._value
    (found,) = metadynamics.getCollectiveVariables(simulation)
    assert found == pytest.approx(np.linalg.norm(positions[0] - positions[1]))
    hills = -metadynamics.getFreeEnergy()._value * (5 - 1) / 5  # kJ/mol, at the grid
    bias = np.interp(found, np.linspace(0.05, 0.2, len(hills)), hills)
    assert bias > 2
    alone, _ = energy_and_forces(system, positions)
    energy = state.getPotentialEnergy()._value
    assert energy - alone == pytest.approx(bias, abs=0.05)  # between grid points


@pytest.mark.parametrize("ours", ["pythonforce"], indirect=True)
def test_multiple_time_steps(ours, monkeypatch):
    """RESPA asks for our force once a step, and one to one it is velocity Verlet."""
    _, positions, system = ours
    calls, compute = [], forces._Computation.__call__

    def counted(self, state):
        calls.append(state)
        return compute(self, state)

    monkeypatch.setattr(forces._Computation, "__call__", counted)
    ends = []
    for groups in ([(0, 1)], [(0, 1), (1, 1)], [(0, 1), (1, 5)]):
        rest = restraint(len(positions))
        rest.setForceGroup(len(groups) - 1)
        integrator = openmm.MTSIntegrator(0.0005, groups)
        simulation = simulation_of(ours, copy_of(system, rest), integrator)
        calls.clear()
        simulation.step(10)
        assert len(calls) <= 11
        state = simulation.context.getState(positions=True)
        ends.append(state.getPositions(asNumpy=True)._value)
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)
    # the rest is soft: to integrate it in finer steps changes little
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-4)
    assert abs(ends[2] - ends[0]).max() > 1e-8
