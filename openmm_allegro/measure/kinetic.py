# SPDX-License-Identifier: MIT
"""Kinetic temperatures of the atoms that a quantity of velocities is measured of."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..runs.names import QTB
from ..runs.run import Run
from .judgement import judge_equipartition
from .measurement import Part, Row

NAME = "kinetic temperature"
UNITS = {"temperature": "K", "temperature_of_all": "K"}


def with_temperature(
    part: Part, label: str, velocities: Any, run: Run, drift: bool
) -> Part:
    """Add the kinetic temperature to what was measured of some velocities.

    Results: ``temperature`` of these atoms and ``temperature_of_all`` atoms of the run,
    each with its error, in K; None where constraints, masses held in place or a quantum
    thermal bath leave no such temperature, or the frames are few.

    Parameters
    ----------
    part : Part
    label : str
        Of what was measured.
    velocities : analysis.Velocities
    run : Run
    drift : bool
        Whether the velocity of the centre of mass was kept.
    """
    from ..analysis.dynamics.velocities import kinetic_temperatures
    from ..analysis.statistics import FEW, slow_mean

    reason = _without_temperature(velocities, run)
    if not reason and len(velocities.values) < FEW:
        reason = f"it takes at least {FEW} frames with velocities"
    if reason:
        more = part.more | dict.fromkeys(UNITS)
        notes = [*part.notes, f"No {NAME} of {label}: {reason}."]
        return replace(part, more=more, notes=notes)
    n = 0 if run.system is None else len(run.system.constraints)
    some, whole = kinetic_temperatures(velocities, drift=drift, constraints=n)
    mean, of_all = slow_mean(some), slow_mean(whole)
    rows = [*part.rows, Row(label, NAME, *mean, "K")]
    # Of all atoms there is nothing to compare.
    fewer = len(velocities.atoms) < len(velocities.all_masses)
    apart = slow_mean(some - whole) if fewer else (0.0, 0.0)
    warnings = judge_equipartition(label, mean, of_all, apart)
    more = part.more | {"temperature": mean, "temperature_of_all": of_all}
    return replace(part, rows=rows, more=more, warnings=[*part.warnings, *warnings])


def _without_temperature(velocities: Any, run: Run) -> str:
    """Say why atoms have no temperature of 3 degrees of freedom each, if so."""
    if run.record.get("integrator") == QTB:
        return "velocities of a quantum thermal bath are not distributed as at one"
    system = run.system
    if system is None or system.n_atoms != len(velocities.all_masses):
        return ""
    if np.isin(velocities.atoms, system.constraints).any():
        return "constraints take some of the motion of its atoms"
    if np.any(system.masses == 0) and np.any(velocities.all_masses[system.masses == 0]):
        return "atoms of the run are held in place"
    return ""
