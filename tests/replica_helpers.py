# SPDX-License-Identifier: MIT
"""Parallel tempering of harmonic oscillators, and the ladder that it climbs."""

import numpy as np
import openmm
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro.replica_exchange import parallel_tempering, temperature_ladder

ATOMS, SPRING = 5, 1000.0  # kJ/(mol nm²)
LADDER = temperature_ladder(300 * unit.kelvin, 450 * unit.kelvin, 3)


def oscillators(expression="0.5*spring*(x^2+y^2+z^2)"):
    """Topology, positions and System of independent oscillators."""
    system = openmm.System()
    force = openmm.CustomExternalForce(expression)
    force.addGlobalParameter("spring", SPRING)
    for atom in range(ATOMS):
        system.addParticle(10.0)
        force.addParticle(atom, [])
    system.addForce(force)
    return make_topology(["Ar"] * ATOMS), np.full((ATOMS, 3), 0.03), system


def temper(output, system=None, **options):
    """Parallel tempering of oscillators with a period of 0.63 ps."""
    options = {
        "temperatures": LADDER,
        "iterations": 12,
        "steps_per_iteration": 25,
        "timestep": 10 * unit.femtosecond,
        "platform": "Reference",
        "minimize": False,
        "checkpoint_interval": 1,
        "seed": 7,
        "progress": False,
    } | options
    return parallel_tempering(*(system or oscillators()), output, **options)
