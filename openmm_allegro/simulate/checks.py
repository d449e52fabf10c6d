# SPDX-License-Identifier: MIT
"""Checks of a System, positions, notes and an earlier run, before any long work.

Each function raises an error that says what was expected and what was found, a
ValueError if nothing else is said.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..bias.sampling import RECORDED, Sampling
from ..forces import degrees_of_freedom
from ..nuclei.choices import QTB, RPMD
from ..potential.description import ABOUT_NOTES, FORCE_NOTES, REASON
from ..potential.options import DEFAULT_OPTIONS, ForceOptions
from ..reporters.charges import check_charges
from ..reporters.trajectory import check_hdf5_writer
from ..runs.names import MINIMIZATION, VELOCITIES_DRAWN, WARNINGS
from ..utils.reasons import reason_of
from ..utils.settings import settings_of
from .first_part import WATCHED
from .force_field import FORCE_FIELD_NOTES
from .integrators import check_package, choose_integrator
from .settings import Execution, RunSettings
from .system_config import SYSTEM_OPTIONS

_SETTINGS = settings_of(RunSettings)
# Names that a record has of the run itself; notes have others.
RECORD_KEYS = frozenset(
    (
        *(name for name, meaning in _SETTINGS.items() if meaning.recorded),
        *("atoms", "seed", "minimized", "package_version", "openmm_version"),
        *("platform", "platform_properties", "hardware", "forces"),
        *("completed_steps", "checkpoint_step", "resumed_at", "finished", "stopped"),
        *("ns_per_day", "stochastic_thermostat", "identity", "files_sha256"),
        *("degrees_of_freedom", VELOCITIES_DRAWN, MINIMIZATION, WARNINGS, WATCHED),
        *(*ABOUT_NOTES, *RECORDED, *FORCE_FIELD_NOTES),
    )
)
# Settings that a run may be resumed with another value of, those of forces apart.
OF_FORCES = frozenset(
    (REASON, *(n for n, m in settings_of(ForceOptions).items() if m.may_change))
)
CHANGEABLE = OF_FORCES | {name for name, m in _SETTINGS.items() if m.may_change}
# Of the System; older records lack them, in part or all.
_OF_SYSTEMS = (*SYSTEM_OPTIONS, *FORCE_NOTES)
# Settings that a record lacks where they are None.
_OPTIONAL = {
    field.name: None
    for field in dataclasses.fields(RunSettings)
    if field.default is None
}


@contextlib.contextmanager
def name_stage(name: str) -> Iterator[None]:
    """Begin the message of an error with the name of the stage that it is about."""
    try:
        yield
    except (ValueError, FileExistsError, ImportError) as error:
        raise type(error)(f"stage {name}: {error}") from error


def check_packages(settings: RunSettings) -> None:
    """Refuse settings that need a package which is missing.

    Raises
    ------
    ImportError
    """
    if settings.velocity_interval:
        check_hdf5_writer()
    check_package(choose_integrator(settings.integrator, settings.ensemble))


def check_charge_settings(settings: RunSettings, system: openmm.System) -> None:
    """Refuse to write charges or dipoles of a System whose charges no model has.

    Raises
    ------
    ValueError
    """
    for name in ("dipole_interval", "charge_interval"):
        if getattr(settings, name):
            try:
                check_charges(system)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


def check_sampling(settings: RunSettings, sampling: Sampling) -> None:
    """Refuse a bias without one temperature, and an interval without variables.

    Variables of quantum nuclei are refused, too.

    Raises
    ------
    ValueError
    """
    if settings.variable_interval and not sampling.variables:
        raise ValueError("variable_interval: expected variables to write, found none")
    if sampling and settings.integrator in (RPMD, QTB):
        raise ValueError(
            f"integrator {settings.integrator!r}: expected no variables, restraints or "
            "bias, found some: what they are of quantum nuclei is not defined here"
        )
    if sampling.bias is None:
        return
    pace = getattr(sampling.bias, "pace", 0)  # PLUMED has its own
    if 0 < settings.steps < pace:
        raise ValueError(
            f"bias: expected a pace of at most steps = {settings.steps}, found {pace}: "
            "nothing would be added, and the run would be one without a bias"
        )
    if settings.ensemble == "nve":
        raise ValueError(
            "bias: expected an ensemble at constant temperature, found 'nve': energy "
            "is not conserved while a bias changes"
        )
    if len(settings.temperature_k) > 1:
        raise ValueError(
            "bias: expected one temperature, of which the bias is made, found a ramp "
            f"{list(settings.temperature_k)} K"
        )


def check_notes(notes: dict[str, Any] | None) -> dict[str, Any]:
    """Convert notes for a record to what JSON will give back.

    Raises
    ------
    ValueError
        If they are no JSON object, or have names that the record has for the run.
    """
    try:
        converted = json.loads(json.dumps(notes or {}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected notes of JSON values, found {error}") from error
    if not isinstance(converted, dict):
        raise ValueError(f"expected notes in a dict, found {notes!r}")
    taken = sorted(RECORD_KEYS & set(converted))
    if taken:
        raise ValueError(
            "expected notes of other names than the record has for the run itself, "
            f"found {', '.join(taken)}"
        )
    return converted


def check_seeds(seed: int, count: int) -> None:
    """Refuse a seed from which the stages' seeds would exceed the largest one."""
    Execution(seed=seed)
    if seed > 2**31 - count:
        raise ValueError(
            f"expected a seed of at most {2**31 - count}, because {count} stages take "
            f"one after the other from it on, found {seed}"
        )


def check_freedom(system: openmm.System) -> None:
    """Refuse a System in which nothing can move; its temperature has no meaning."""
    freedom = degrees_of_freedom(system)
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
            f"expected a finite energy at the start, found {reason_of(error)}"
        ) from error
    if not math.isfinite(energy) or not math.isfinite(largest):
        raise ValueError(
            f"expected finite energy and forces at the start, found {energy} kJ/mol "
            f"and {largest} kJ/(mol nm); are two atoms at the same position?"
        )


def check_positions(
    positions: Any, topology: app.Topology, system: openmm.System
) -> np.ndarray:
    """Convert positions to an array [N, 3] in nm."""
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
    before: dict[str, Any],
    asked: dict[str, Any],
    path: Path,
    may_change: Collection[str] = CHANGEABLE,
    others: Sequence[str] = (),
) -> None:
    """Refuse to resume a run that is another than the one asked for.

    Parameters
    ----------
    before : dict
        Record of the run that was interrupted.
    asked : dict
        Values of the same names. Where a file's ``_sha256`` is the same, its name may
        be another.
    path : Path
        Path of the record, for messages.
    may_change : collection of str
        Names of values that may differ; "steps" must be among them.
    others : sequence of str
        Further differences, in words.
    """
    differences = []
    # Older records lack settings and options of the force that came later.
    defaults = dataclasses.asdict(DEFAULT_OPTIONS) | _OPTIONAL
    defaults |= RunSettings(ensemble=before.get("ensemble", "nvt")).record()
    # older records do not say which options their System was made with
    of_system = SYSTEM_OPTIONS if "identity" in before else _OF_SYSTEMS
    unknown = {name for name in of_system if name not in before}
    for name in dict.fromkeys([*asked, *_OPTIONAL]):
        old, new = (values.get(name, defaults.get(name)) for values in (before, asked))
        if (
            old != new
            and name not in may_change
            and name not in unknown
            and not _same_file(name, before, asked)
        ):
            differences.append(f"{name} {old!r} rather than {new!r}")
    if differences or others:
        raise ValueError(
            f"expected to resume the run of {path}, found another: "
            f"{', '.join([*differences, *others])}; ask for the same, or start anew "
            "(overwrite=True, --force)"
        )
    steps = asked["steps"]
    if steps < before["completed_steps"]:
        raise ValueError(
            f"expected at least the {before['completed_steps']} steps that {path} has "
            f"already, found {steps}"
        )
    ramp = isinstance(before.get("temperature_k"), list)
    if ramp and steps != before["steps"]:
        raise ValueError(
            f"expected the {before['steps']} steps of {path}, because its temperature "
            f"is a ramp over all of them, found {steps}"
        )


def _same_file(name: str, before: dict[str, Any], asked: dict[str, Any]) -> bool:
    digest = asked.get(f"{name}_sha256")
    return digest is not None and before.get(f"{name}_sha256") == digest
