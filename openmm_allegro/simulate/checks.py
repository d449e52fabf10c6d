# SPDX-License-Identifier: MIT
"""What a simulation is asked for, checked before any long work.

Each function raises a ValueError that says what was expected and what was found.
"""

import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

ENSEMBLES = ("nvt", "nve", "npt", "npt-anisotropic", "npt-flexible")


def check_integers(lowest: dict[str, int], **values: Any) -> dict[str, int]:
    """Values as integers, none below what ``lowest`` has for its name."""
    checked = {}
    for name, value in values.items():
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ValueError(f"expected an integer for {name}, found {value!r}")
        checked[name] = operator.index(value)
        if not lowest[name] <= checked[name] < 2**31:
            raise ValueError(
                f"expected {name} of at least {lowest[name]} and below 2^31, found "
                f"{value}"
            )
    return checked


def check_values(
    ensemble: str, temperature: Any, timestep: Any, friction: Any, pressure: Any
) -> dict[str, Any]:
    """What the ensemble is simulated at, in the units of the names.

    The temperature may be several, of a ramp; then it is a list.
    """
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
        found = np.asarray(value.value_in_unit(in_unit), dtype=float)
        if found.ndim > (name == "temperature_k") or found.size == 0:
            raise ValueError(
                f"expected one number for {name}, or several temperatures of a ramp, "
                f"found {value!r}"
            )
        # a pressure may be none, or a tension
        lowest = -math.inf if name == "pressure_bar" else 0.0
        if not (np.isfinite(found) & (found > lowest)).all():
            raise ValueError(
                f"expected {name} above {lowest:g}, found {found.tolist()}"
            )
        values[name] = found.tolist()
    if ensemble == "nve" and np.ndim(values["temperature_k"]):
        raise ValueError(
            "expected one temperature (of the first velocities) in ensemble 'nve', "
            f"found {values['temperature_k']} K"
        )
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


def check_resumed(
    before: dict[str, Any], settings: dict[str, Any], steps: int, path: Path
) -> None:
    """Refuse to go on with a run that is another than the one asked for.

    Parameters
    ----------
    before : dict
        Record of the run that was interrupted.
    settings : dict
        Values of the same names that must be the same, but for "steps" and
        "checkpoint_interval". Where a file's ``_sha256`` is the same, its name may be
        another.
    steps : int
        Asked for.
    path : Path
        Of the record, for messages.
    """
    names = [*settings, *{"hydrogen_mass_da"}.difference(settings)]
    differences = [
        f"{name} {before.get(name)!r} rather than {settings.get(name)!r}"
        for name in names
        if before.get(name) != settings.get(name)
        and name not in ("steps", "checkpoint_interval")
        and not _same_file(name, before, settings)
    ]
    if differences:
        raise ValueError(
            f"expected to go on with the run of {path}, found another: "
            f"{', '.join(differences)}; ask for the same, or start anew "
            "(overwrite=True, --force)"
        )
    if steps < before["completed_steps"]:
        raise ValueError(
            f"expected at least the {before['completed_steps']} steps that {path} has "
            f"already, found {steps}"
        )
    ramp = isinstance(before["temperature_k"], list)
    if ramp and steps != before["steps"]:
        raise ValueError(
            f"expected the {before['steps']} steps of {path}, because its temperature "
            f"is a ramp over all of them, found {steps}"
        )


def _same_file(name: str, before: dict[str, Any], settings: dict[str, Any]) -> bool:
    digest = settings.get(f"{name}_sha256")
    return digest is not None and before.get(f"{name}_sha256") == digest
