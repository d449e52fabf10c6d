# SPDX-License-Identifier: MIT
"""Ring polymers: oscillators and gases in closed form, and what a State of them is."""

import numpy as np
import openmm
import pytest
from openmm import app
from openmm_helpers import make_topology

from openmm_allegro.nuclei import estimators
from openmm_allegro.nuclei.prepare import make_ring_polymer, make_thermal_bath
from openmm_allegro.nuclei.ring_polymer import adopt
from openmm_allegro.reporters.nuclei import ring_energy
from openmm_allegro.units import GAS_CONSTANT

KELVIN = 300.0
FREQUENCY = 640.0  # rad/ps, 3400 1/cm: a stretch of O-H
VALUES = {
    "integrator": "rpmd",
    "ensemble": "nvt",
    "friction_per_ps": 10.0,
    "timestep_fs": 0.5,
    "qtb_segment_ps": 0.1,
    "qtb_cutoff_per_ps": 1000.0,
    "qtb_adaptation": 0.01,
}


def oscillators(count=100, frequency=FREQUENCY, mass=1.008):
    """Independent oscillators in three dimensions, at rest."""
    system, force = openmm.System(), openmm.CustomExternalForce("k/2*(x^2+y^2+z^2)")
    force.addGlobalParameter("k", mass * frequency**2)
    for index in range(count):
        system.addParticle(mass)
        force.addParticle(index)
    system.addForce(force)
    return system


def ring_of(system, beads, seed=1, **changes):
    """A simulation of a ring polymer that has begun, all beads at the origin."""
    values = VALUES | {"beads": beads} | changes
    integrator = make_ring_polymer(system, values, KELVIN, seed)
    return begun(system, integrator)


def begun(system, integrator):
    count = system.getNumParticles()
    simulation = app.Simulation(
        make_topology(["H"] * count),
        system,
        integrator,
        openmm.Platform.getPlatformByName("Reference"),
    )
    simulation.context.setPositions(np.zeros((count, 3)))
    simulation.context.setVelocitiesToTemperature(KELVIN, 1)
    adopt(simulation)
    if hasattr(simulation.context, "begin"):
        simulation.context.begin(KELVIN, 1)
    return simulation


def mean_and_error(values, blocks=10):
    parts = np.array_split(np.asarray(values), blocks)
    means = [np.mean(part) for part in parts]
    return np.mean(values), np.std(means, ddof=1) / np.sqrt(blocks)


def test_oscillator_has_the_energy_of_so_many_beads(beads=4, count=6):
    """Both kinetic energies and the potential one are those of the closed form."""
    simulation = ring_of(oscillators(count), beads, timestep_fs=0.25)
    context, masses = simulation.context, np.full(count, 1.008)
    simulation.step(100)
    virial, primitive, potential, warm = [], [], [], []
    for _ in range(100):
        simulation.step(8)
        positions = context.beads().positions
        forces = context.compute().forces
        args = positions, forces, KELVIN
        virial.append(estimators.virial_kinetic_energy(*args).mean() / 3)
        args = positions, masses, KELVIN
        primitive.append(estimators.primitive_kinetic_energy(*args).mean() / 3)
        state = context.getState(energy=True)
        potential.append(state.getPotentialEnergy()._value / 3 / count)
        warm.append(state.getKineticEnergy()._value / 3 / count)
    exact = estimators.oscillator_energy(FREQUENCY, KELVIN, beads)
    for values in (virial, primitive, potential):
        mean, error = mean_and_error(values)
        assert abs(mean - exact) < 4 * error + 0.005 * exact
        assert error < 0.1 * exact
    mean, error = mean_and_error(warm)  # of the centroid, classical
    assert abs(mean - GAS_CONSTANT * KELVIN / 2) < 4 * error


def test_many_beads_are_quantum_and_one_is_classical():
    thermal = GAS_CONSTANT * KELVIN
    energies = [
        estimators.oscillator_energy(FREQUENCY, KELVIN, beads)
        for beads in (1, 8, 32, 256, 4096)
    ]
    exact = estimators.oscillator_energy(FREQUENCY, KELVIN)
    assert energies[0] == pytest.approx(thermal / 2)
    assert np.all(np.diff(energies) > 0)
    errors = 1 - np.array(energies) / exact
    assert errors[-1] < 1e-5
    # the error of P beads falls as 1/P²
    assert errors[-3] / errors[-2] == pytest.approx(64, rel=0.1)
    assert errors[2] == pytest.approx(0.031, abs=0.0005)


def test_thermal_bath_gives_a_quantum_oscillator():
    system = oscillators(20)
    values = VALUES | {"integrator": "qtb", "friction_per_ps": 1.0}
    simulation = begun(system, make_thermal_bath(system, values, KELVIN, 1))
    simulation.step(2000)
    energies = []
    for _ in range(200):
        simulation.step(25)
        state = simulation.context.getState(energy=True)
        energies.append(state.getPotentialEnergy()._value / 60)
    exact = estimators.oscillator_energy(FREQUENCY, KELVIN)
    assert np.mean(energies) == pytest.approx(exact, rel=0.12)
    assert exact > 8 * estimators.oscillator_energy(FREQUENCY, KELVIN, 1)


def test_ring_energy_is_that_of_openmm_and_conserved_without_thermostat():
    system = oscillators(4, frequency=300.0)
    simulation = ring_of(system, 6, ensemble="nve", timestep_fs=0.1)
    context, masses = simulation.context, np.full(4, 1.008)
    energies = []
    for _ in range(20):
        simulation.step(20)
        energies.append(ring_energy(context, masses, KELVIN))
    own = context.ring.getTotalEnergy()._value / 6
    assert energies[-1] == pytest.approx(own, rel=1e-6)
    assert np.std(energies) < 2e-4 * np.mean(energies)


def test_state_is_that_of_the_centroid():
    system = oscillators(5)
    system.addForce(openmm.CMMotionRemover())
    simulation = ring_of(system, 4)
    context = simulation.context
    simulation.step(7)
    assert simulation.currentStep == 7
    state = context.getState(
        positions=True, velocities=True, energy=True, parameters=True
    )
    assert state.getStepCount() == 7
    assert state.getTime()._value == pytest.approx(0.0035)
    beads = context.beads()
    for values, read in zip(
        (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)),
        beads,
        strict=True,
    ):
        np.testing.assert_allclose(values._value, read.mean(axis=0), atol=1e-12)
    energies = 0.5 * 1.008 * FREQUENCY**2 * np.square(beads.positions).sum(axis=(1, 2))
    np.testing.assert_allclose(context.compute().energies, energies)
    every = context.getIntegrator().getIntegrationForceGroups()
    assert context.compute(every) is context.compute()
    assert state.getPotentialEnergy()._value == pytest.approx(energies.mean())
    assert state.getParameters()["k"] == pytest.approx(1.008 * FREQUENCY**2)
    simulation.step(3)  # the tenth
    drift = context.beads().velocities.mean(axis=(0, 1))
    np.testing.assert_allclose(drift, 0, atol=1e-12)
    with pytest.raises(ValueError, match="no forces"):
        context.getState(forces=True)


def test_reading_changes_nothing():
    """A ring that is looked at after each step goes where another one goes."""
    seen, unseen = (ring_of(oscillators(3), 4) for _ in range(2))
    start = unseen.context.createCheckpoint()  # of random numbers that all share
    for simulation, looks in ((seen, True), (unseen, False)):
        simulation.context.loadCheckpoint(start)
        for _ in range(20):
            simulation.step(1)
            if looks:
                simulation.context.compute()
                simulation.context.getState(positions=True, energy=True)
    for one, two in zip(seen.context.beads(), unseen.context.beads(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_resampled_beads_have_the_same_modes():
    random = np.random.default_rng(0)
    positions = random.normal(size=(8, 5, 3))
    np.testing.assert_array_equal(estimators.resample(positions, 8), positions)
    fewer = estimators.resample(positions, 3)
    np.testing.assert_allclose(fewer.mean(axis=0), positions.mean(axis=0), atol=1e-12)
    again = estimators.resample(estimators.resample(fewer, 9), 3)
    np.testing.assert_allclose(again, fewer, atol=1e-12)


def test_beads_of_an_earlier_run_are_kept():
    simulation = ring_of(oscillators(5), 4)
    simulation.step(20)
    before = simulation.context.beads()
    later = ring_of(oscillators(5), 4)
    openmm.Context.setPositions(later.context, before.positions.mean(axis=0))
    openmm.Context.setVelocities(later.context, before.velocities.mean(axis=0))
    later.context.begin(KELVIN, 5, before)
    for one, other in zip(later.context.beads(), before, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
