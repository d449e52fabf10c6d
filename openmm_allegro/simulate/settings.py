# SPDX-License-Identifier: MIT
"""What a run is asked for, checked as a whole, and the System that it asks for."""

import json
from typing import Any

import openmm
from openmm import app, unit

from ..forces import copy_system
from .checks import check_freedom, check_integers, check_values
from .hydrogen_mass import repartition_hydrogen_mass
from .integrators import add_andersen, choose_integrator
from .system import BAROSTATS, add_barostat, check_ensemble

# Steps between checkpoints, in whole report intervals.
_CHECKPOINT_STEPS = 2000
_LOWEST = {
    "steps": 0,
    "report_interval": 1,
    "velocity_interval": 0,
    "checkpoint_interval": 1,
    "barostat_interval": 1,
    "seed": 0,
}
# What a record can have of a run itself; notes have other names.
RECORD_KEYS = frozenset(
    (
        *_LOWEST,
        *("atoms", "ensemble", "integrator", "temperature_k", "timestep_fs"),
        *("friction_per_ps", "pressure_bar", "hydrogen_mass_da", "minimized"),
        *("package_version", "openmm_version", "platform", "platform_properties"),
        *("hardware", "forces", "completed_steps", "checkpoint_step", "resumed_at"),
        *("finished", "stopped", "ns_per_day"),
    )
)


def check_settings(
    topology: app.Topology,
    system: openmm.System,
    *,
    steps: int,
    ensemble: str,
    integrator: str,
    temperature: unit.Quantity,
    timestep: unit.Quantity,
    friction: unit.Quantity,
    pressure: unit.Quantity,
    barostat_interval: int,
    hydrogen_mass: unit.Quantity | None,
    report_interval: int,
    velocity_interval: int,
    checkpoint_interval: int | None,
    minimize: bool,
    seed: int,
) -> dict[str, Any]:
    """Arguments of ``simulate.run`` as its record has them.

    Raises
    ------
    ValueError
        As ``run``, for all but positions and files.
    """
    whole = check_integers(
        _LOWEST,
        steps=steps,
        report_interval=report_interval,
        velocity_interval=velocity_interval,
        checkpoint_interval=checkpoint_interval or _checkpoint_steps(report_interval),
        barostat_interval=barostat_interval,
        seed=seed,
    )
    _check_intervals(whole, minimize)
    if ensemble not in BAROSTATS:
        del whole["barostat_interval"]
    values = check_values(ensemble, temperature, timestep, friction, pressure)
    if hydrogen_mass is not None:
        values["hydrogen_mass_da"] = _dalton(hydrogen_mass)
    settings = {
        "atoms": system.getNumParticles(),
        "ensemble": ensemble,
        "integrator": choose_integrator(integrator, ensemble),
        **values,
        **whole,
    }
    check_freedom(system)
    check_ensemble(ensemble, topology, system)
    return settings


def check_notes(notes: dict[str, Any] | None) -> dict[str, Any]:
    """Notes for a record, as JSON will give them back.

    Raises
    ------
    ValueError
        If they are no JSON object, or have names that the record has for the run.
    """
    try:
        found = json.loads(json.dumps(notes or {}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected notes of JSON values, found {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected notes in a dict, found {notes!r}")
    taken = sorted(RECORD_KEYS & set(found))
    if taken:
        raise ValueError(
            "expected notes of other names than the record has for the run itself, "
            f"found {', '.join(taken)}"
        )
    return found


def prepare_system(
    system: openmm.System,
    topology: app.Topology,
    settings: dict[str, Any],
    seed: int,
) -> openmm.System:
    """A copy of a System with all that ``check_settings`` says.

    Raises
    ------
    ValueError
        From ``repartition_hydrogen_mass``.
    """
    system = copy_system(system)
    if "hydrogen_mass_da" in settings:
        repartition_hydrogen_mass(system, topology, settings["hydrogen_mass_da"])
    if settings["ensemble"] in BAROSTATS:
        add_barostat(settings["ensemble"], system, settings, seed)
    if settings["integrator"] == "andersen":
        add_andersen(system, settings, seed)
    return system


def _checkpoint_steps(report_interval: Any) -> int:
    interval = report_interval if isinstance(report_interval, int) else 1
    return max(1, _CHECKPOINT_STEPS // max(interval, 1)) * max(interval, 1)


def _check_intervals(whole: dict[str, int], minimize: bool) -> None:
    steps = whole["steps"]
    if steps == 0 and not minimize:
        raise ValueError(
            "expected steps of at least 1, or minimize, found 0 steps and no "
            "minimisation: nothing to do"
        )
    for name in ("report_interval", "velocity_interval"):
        if whole[name] > steps > 0:
            raise ValueError(
                f"expected {name} of at most steps = {steps}, found {whole[name]}: "
                "nothing would be written"
            )


def _dalton(mass: Any) -> float:
    if not unit.is_quantity(mass) or not mass.unit.is_compatible(unit.dalton):
        raise ValueError(
            f"expected a quantity in dalton for hydrogen_mass, found {mass!r}"
        )
    if not 0 < mass.value_in_unit(unit.dalton) < 12:
        raise ValueError(f"expected hydrogen_mass between 0 and 12 Da, found {mass}")
    return float(mass.value_in_unit(unit.dalton))
