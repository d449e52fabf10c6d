# SPDX-License-Identifier: MIT
"""Kinetic temperatures of the atoms that a quantity of velocities is measured of."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..runs.names import QTB
from ..runs.run import Run
from .measurement import Measurement, Part, Row, amount

NAME = "kinetic temperature"
# Errors from the temperature of all atoms, of which several elements are compared, and
# the part of it by which velocities of half steps may be warmer.
_APART, _SAME = 3.0, 0.01
# Why atoms of one run have several temperatures.
UNEVEN = (
    "the run is not equilibrated, its thermostat acts unevenly, or its time step is "
    "long"
)
UNITS = {"temperature": "K", "temperature_of_all": "K"}


class Kinetic(NamedTuple):
    """Kinetic temperatures of some atoms over time.

    Attributes
    ----------
    run : str
        Its name.
    atoms : array of int
    series : (n_frames,) array, K
    """

    run: str
    atoms: Any
    series: Any


def with_temperature(
    part: Part,
    label: str,
    velocities: Any,
    run: Run,
    drift: bool,
    known: dict[str, Kinetic],
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
    known : dict of str to Kinetic
        To which those of this part are added, by its label.
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
    known[label] = Kinetic(run.name, velocities.atoms, some)
    mean, of_all = slow_mean(some), slow_mean(whole)
    rows = [*part.rows, Row(label, NAME, *mean, "K")]
    # Of all atoms there is nothing to compare.
    fewer = len(velocities.atoms) < len(velocities.all_masses)
    apart = slow_mean(some - whole) if fewer else (0.0, 0.0)
    warnings = judge_equipartition(label, mean, of_all, apart)
    more = part.more | {"temperature": mean, "temperature_of_all": of_all}
    return replace(part, rows=rows, more=more, warnings=[*part.warnings, *warnings])


def compare_temperatures(
    measured: Measurement, known: Mapping[str, Kinetic]
) -> Measurement:
    """Warn of atoms of one run whose temperatures differ, as no other warning says.

    Parameters
    ----------
    measured : Measurement
    known : dict of str to Kinetic
        By item.
    """
    from ..analysis.statistics import ENOUGH, independent_values, slow_mean

    pairs = [
        (first, second)
        for first, second in combinations(known, 2)
        if known[first].run == known[second].run
        and not np.intersect1d(known[first].atoms, known[second].atoms).size
    ]
    warned = [text.split(":")[0] for text in measured.warnings if NAME in text]
    warnings = list(measured.warnings)
    for first, second in pairs:
        if first in warned or second in warned:
            continue
        apart = known[first].series - known[second].series
        difference, error = slow_mean(apart)
        if independent_values(apart) < ENOUGH:  # of which half were counted
            error /= np.sqrt(2)
        # as unlikely for all pairs together as two errors for one
        limit = np.sqrt(4 + 2 * np.log(len(pairs)))
        if abs(difference) <= limit * error:
            continue
        higher, lower = (first, second) if difference > 0 else (second, first)
        means = [slow_mean(known[name].series) for name in (higher, lower)]
        warnings.append(
            f"{higher}: the {NAME}, {amount(*means[0])} K, is "
            f"{amount(abs(difference), float(error))} K above that of {lower}, "
            f"{amount(*means[1])} K, where all should have one: {UNEVEN}."
        )
    return replace(measured, warnings=warnings)


def judge_equipartition(
    label: str,
    mean: tuple[float, float],
    of_all: tuple[float, float],
    apart: tuple[float, float],
) -> list[str]:
    """Judge whether atoms have the temperature of all atoms of the run.

    Parameters
    ----------
    label : str
    mean, of_all, apart : (float, float)
        Kinetic temperature of the atoms in K, that of all, and the mean of their
        difference, with errors.
    """
    difference, error = apart
    far = max(_APART * error, _SAME * of_all[0])
    if abs(difference) <= far:
        return []
    side = "above" if difference > 0 else "below"
    return [
        f"{label}: the kinetic temperature, {amount(*mean)} K, is "
        f"{amount(abs(difference), error)} K {side} that of all atoms, "
        f"{amount(*of_all)} K: {UNEVEN}. What is measured of {label} is of its own "
        "temperature."
    ]


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
