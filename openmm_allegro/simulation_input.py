# SPDX-License-Identifier: MIT
"""What a simulation is asked for, checked before any long work.

Each function raises a ValueError that says what was expected and what was found.
"""

import math
import operator
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

ENSEMBLES = ("nvt", "nve", "npt", "npt-anisotropic", "npt-flexible")


def check_integers(*values: Any) -> list[int]:
    """steps, report_interval, seed and barostat_interval as integers."""
    names = ("steps", "report_interval", "seed", "barostat_interval")
    checked = []
    for name, value in zip(names, values, strict=True):
        lowest = 0 if name == "seed" else 1
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ValueError(f"expected an integer for {name}, found {value!r}")
        checked.append(operator.index(value))
        if not lowest <= checked[-1] < 2**31:
            raise ValueError(
                f"expected {name} of at least {lowest} and below 2^31, found {value}"
            )
    if checked[1] > checked[0]:
        raise ValueError(
            f"expected report_interval of at most steps = {checked[0]}, found "
            f"{checked[1]}: nothing would be written"
        )
    return checked


def check_values(
    ensemble: str, temperature: Any, timestep: Any, friction: Any, pressure: Any
) -> dict[str, float]:
    """What the ensemble is simulated at, in the units of the names."""
    if ensemble not in ENSEMBLES:
        raise ValueError(f"expected ensemble of {ENSEMBLES}, found {ensemble!r}")
    wanted = {
        "temperature_k": (temperature, unit.kelvin),
        "timestep_fs": (timestep, unit.femtosecond),
        "friction_per_ps": (friction, unit.picosecond**-1),
    }
    if ensemble.startswith("npt"):
        wanted["pressure_bar"] = (pressure, unit.bar)
    values = {}
    for name, (value, in_unit) in wanted.items():
        if not unit.is_quantity(value) or not value.unit.is_compatible(in_unit):
            raise ValueError(
                f"expected a quantity in {in_unit} for {name.rsplit('_', 1)[0]}, such "
                f"as 300*kelvin, found {value!r}"
            )
        values[name] = value.value_in_unit(in_unit)
        # a pressure may be none, or a tension
        lowest = -math.inf if name == "pressure_bar" else 0.0
        if not lowest < values[name] < math.inf:
            raise ValueError(f"expected {name} above {lowest:g}, found {values[name]}")
    return values


def check_freedom(system: openmm.System) -> None:
    """Refuse a System in which nothing can move; its temperature has no meaning."""
    masses = [system.getParticleMass(i)._value for i in range(system.getNumParticles())]
    freedom = 3 * sum(mass > 0 for mass in masses) - system.getNumConstraints()
    if any(isinstance(f, openmm.CMMotionRemover) for f in system.getForces()):
        freedom -= 3
    if freedom < 1:
        raise ValueError(
            f"expected at least one degree of freedom, found {freedom} for "
            f"{system.getNumParticles()} particles; a CMMotionRemover takes three "
            "(remove_cm_motion=False leaves it out)"
        )


def check_start(simulation: app.Simulation) -> None:
    """Evaluate once, before anything is written or replaced."""
    try:
        state = simulation.context.getState(energy=True, forces=True)
        energy = state.getPotentialEnergy()._value
        largest = float(np.abs(state.getForces(asNumpy=True)._value).max())
    except openmm.OpenMMException as error:
        raise ValueError(
            f"expected a finite energy at the start, found {error}"
        ) from error
    if not math.isfinite(energy) or not math.isfinite(largest):
        raise ValueError(
            f"expected finite energy and forces at the start, found {energy} kJ/mol "
            f"and {largest} kJ/(mol nm); are two atoms at the same position?"
        )


def check_positions(
    positions: Any, topology: app.Topology, system: openmm.System
) -> np.ndarray:
    if unit.is_quantity(positions):
        positions = positions.value_in_unit(unit.nanometer)
    coordinates = np.array(positions, dtype=float)
    count = system.getNumParticles()
    if topology.getNumAtoms() != count:
        raise ValueError(
            f"expected a topology of the System's {count} particles, found "
            f"{topology.getNumAtoms()} atoms"
        )
    if coordinates.shape != (count, 3):
        raise ValueError(
            f"expected positions of shape ({count}, 3), found {coordinates.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
    if bad.size:
        raise ValueError(
            f"expected finite positions, found NaN or infinity at {bad.size} atoms, "
            f"the first with index {bad[0]}"
        )
    return coordinates
