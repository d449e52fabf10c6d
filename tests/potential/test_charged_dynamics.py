# SPDX-License-Identifier: MIT
"""Energy is conserved where charges change with positions; volume moves are right."""

import dataclasses

import numpy as np
import openmm
import pytest
from charged_helpers import charged_water
from openmm import unit
from openmm_helpers import context_of, make_topology

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.model import AllegroEnergy

KJ_PER_MEV = 0.09648533212331


def drift(water_box, timestep, steps):
    """Slope of the total energy (meV/atom/ps) and standard deviation about it.

    The network has random weights, and the core repulsion keeps atoms apart.
    """
    symbols, positions, box = water_box
    random = charged_water()
    config = dataclasses.replace(random.config, zbl=True)
    energy = AllegroEnergy(config, random.statistics, seed=5)
    model = Model(config, random.statistics, energy, "total", "float64")
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend="native")
    context = context_of(system, positions, timestep=timestep)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=20)
    context.setVelocitiesToTemperature(100 * unit.kelvin, 1)
    integrator = context.getIntegrator()
    integrator.step(steps // 4)
    energies = []
    for _ in range(50):
        integrator.step(steps // 50)
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    energies = np.array(energies) / len(symbols) / KJ_PER_MEV
    times = np.arange(50) * timestep * (steps // 50)
    line = np.polyfit(times, energies, 1)
    return line[0], np.std(energies - np.polyval(line, times))


def test_short_trajectory_conserves_energy(water_box):
    slope, deviation = drift(water_box, 0.00025, 400)
    assert abs(slope) < 0.5
    assert deviation < 0.05


@pytest.mark.slow
def test_trajectory_conserves_energy(water_box):
    """10 ps."""
    slope, _ = drift(water_box, 0.0005, 20_000)
    assert abs(slope) < 0.02
