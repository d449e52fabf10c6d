# SPDX-License-Identifier: MIT
"""Particles whose paths are known, and what watchdogs wrote about them."""

import csv

import numpy as np
import openmm
from openmm import app
from openmm_helpers import make_topology


def simulate(topology, system, positions, velocities=None, timestep=0.001):
    """A Simulation on the Reference platform; nm, nm/ps and ps."""
    simulation = app.Simulation(
        topology,
        system,
        openmm.VerletIntegrator(timestep),
        openmm.Platform.getPlatformByName("Reference"),
    )
    simulation.context.setPositions(positions)
    if velocities is not None:
        simulation.context.setVelocities(velocities)
    return simulation


def particles(symbols, box=None, mass=2.0):
    """A topology and a System of particles without interaction."""
    topology, system = make_topology(symbols, box), openmm.System()
    for _ in symbols:
        system.addParticle(mass)
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*np.asarray(box))
        force = openmm.CustomExternalForce("0*periodicdistance(x,y,z,0,0,0)")
        system.addForce(force)
    return topology, system


def approaching(symbols=("H", "O"), box=None):
    """Two particles, 0.3 nm apart, that come closer by 0.001 nm a step."""
    positions = np.array([[0.05, 0.2, 0.1], [0.35, 0.2, 0.1]])
    velocities = np.array([[0.5, 0, 0], [-0.5, 0, 0]])
    return simulate(*particles(symbols, box), positions, velocities)


def state_of(simulation):
    """The State that a watchdog checks."""
    return simulation.context.getState(positions=True, velocities=True, energy=True)


def events(watchdog):
    """Rows of the events' file; none where there is no file."""
    if not watchdog.path.exists():
        return []
    with open(watchdog.path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
