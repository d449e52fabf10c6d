# SPDX-License-Identifier: MIT
"""Oscillators between two force constants, whose free energy is known."""

import numpy as np
import openmm
from openmm import unit
from openmm_helpers import make_topology

R = 8.31446261815324e-3  # kJ/(mol K)
KELVIN = 300.0
FIRST, LAST = 1000.0, 4000.0  # kJ/(mol nm²)
SHIFT, OFFSET = 0.02, 25.0  # nm; kJ/mol
_ENERGY = (
    "(1-lambda_interpolate)*0.5*first*(x^2+y^2+z^2)"
    "+lambda_interpolate*(0.5*last*((x-shift)^2+y^2+z^2)+offset)"
)


def two_oscillators(atoms=2, last=LAST, offset=OFFSET):
    """Topology, positions, System, and ΔF = (3 N / 2) RT ln(k₁ / k₀) + offset."""
    system = openmm.System()
    force = openmm.CustomExternalForce(_ENERGY)
    values = {"lambda_interpolate": 1.0, "first": FIRST, "last": last, "shift": SHIFT}
    for name, value in (values | {"offset": offset / atoms}).items():
        force.addGlobalParameter(name, value)
    for atom in range(atoms):
        system.addParticle(10.0)
        force.addParticle(atom, [])
    system.addForce(force)
    exact = 1.5 * atoms * R * KELVIN * np.log(last / FIRST) + offset
    return make_topology(["Ar"] * atoms), np.full((atoms, 3), 0.01), system, exact


# With a period of 0.31 to 0.63 ps; damped, lest an iteration is a whole period.
COMMON = {
    "temperature": KELVIN * unit.kelvin,
    "timestep": 10 * unit.femtosecond,
    "friction": 10 / unit.picosecond,
    "platform": "Reference",
    "minimize": False,
    "progress": False,
}
EXCHANGE = {
    "lambdas": (0.0, 0.3, 1.0),
    "iterations": 100,
    "steps_per_iteration": 30,
    "checkpoint_interval": 50,
    "seed": 3,
}
SWITCHING = {
    "switches": 20,
    "switch_steps": 60,
    "change_interval": 2,
    "interval": 40,
    "equilibration": 60,
    "seed": 5,
}


def switched(output, made=None, **options):
    """Switch λ of oscillators; return the files."""
    from openmm_allegro.alchemical import switch_states

    topology, positions, system, _ = made or two_oscillators()
    options = COMMON | SWITCHING | options
    return switch_states(topology, positions, system, output, **options)
