# SPDX-License-Identifier: MIT
"""Ensembles and thermostats in the words of LAMMPS.

An integrator of a stage is one of ``_FIXES``, or LAMMPS has no counterpart of it.
"""

from typing import NamedTuple

from ..simulate.integrators import choose_integrator
from ..simulate.settings import RunSettings

# Period of a barostat in ps: the box swings around its size that fast.
_BAROSTAT_PERIOD = 1.0
# Friction times time step: from 1 on, mean energies were seen to be wrong.
_MOST_FRICTION = 0.5
# How the box changes, in words of fix nph.
_BOXES = {"npt": "iso", "npt-anisotropic": "aniso", "npt-flexible": "tri"}
_LANGEVIN, _NOSE_HOOVER, _VERLET = "langevin", "nose-hoover", "verlet"
# Chains of OpenMM and of openmmtools are as long as these.
_CHAINS = {"nose-hoover": 3, "nose-hoover-chain": 5}
_FIXES = {
    "verlet": _VERLET,
    "velocity-verlet": _VERLET,
    "langevin-middle": _LANGEVIN,
    "nose-hoover": _NOSE_HOOVER,
    "nose-hoover-chain": _NOSE_HOOVER,
}


class Segment(NamedTuple):
    """A part of a stage, from one temperature to the next.

    Attributes
    ----------
    number : int
        From 0.
    start, stop : int
        Steps of the stage.
    temperatures : tuple of float
        K, at its start and at its stop.
    """

    number: int
    start: int
    stop: int
    temperatures: tuple[float, float]


def check_integrator(settings: RunSettings) -> None:
    """Refuse an integrator that LAMMPS has no counterpart of, or not for its friction.

    Raises
    ------
    ValueError
    """
    name = choose_integrator(settings.integrator, settings.ensemble)
    if name not in _FIXES:
        is_nve = settings.ensemble == "nve"
        fitting = [n for n, kind in _FIXES.items() if (kind == _VERLET) == is_nve]
        raise ValueError(
            f"expected for LAMMPS an integrator of {fitting}, found {name!r}, of which "
            "it has no counterpart"
        )
    most = _MOST_FRICTION / (1e-3 * settings.timestep_fs)
    if _FIXES[name] != _VERLET and settings.friction_per_ps > most:
        raise ValueError(
            f"expected for LAMMPS a friction of at most {most:g}/ps with steps of "
            f"{settings.timestep_fs:g} fs, above which its thermostats are not exact, "
            f"found {settings.friction_per_ps:g}/ps"
        )


def check_written(settings: RunSettings) -> None:
    """Refuse what a run in LAMMPS cannot have: a bias, and some files.

    Raises
    ------
    ValueError
    """
    if getattr(settings, "bias", False):
        raise ValueError(
            "expected for LAMMPS a stage without a bias, which OpenMM alone computes, "
            "found bias = true"
        )
    for name in ("dipole_interval", "charge_interval", "variable_interval"):
        if getattr(settings, name):
            raise ValueError(
                f"expected for LAMMPS no {name}, which reporters of OpenMM obey, found "
                f"{getattr(settings, name)}"
            )


def segments(settings: RunSettings) -> list[Segment]:
    """Split the steps of a stage where the slope of its ramp changes."""
    levels, steps = settings.temperature_k, settings.steps
    if len(levels) == 1:
        levels = levels * 2
    count = len(levels) - 1
    ends = [round(steps * number / count) for number in range(count + 1)]
    parts = [
        Segment(i, ends[i], ends[i + 1], (levels[i], levels[i + 1]))
        for i in range(count)
    ]
    return [part for part in parts if part.stop > part.start]


def fixes(settings: RunSettings, part: Segment, seed: int) -> list[tuple[str, str]]:
    """Fixes of an ensemble, with the temperatures of a segment, as ID and the rest."""
    name = choose_integrator(settings.integrator, settings.ensemble)
    kind = _FIXES[name]
    start, stop = (f"{value:.10g}" for value in part.temperatures)
    period = f"{1.0 / settings.friction_per_ps:.10g}"
    box = _box(settings)
    if kind == _NOSE_HOOVER:
        bath = f"temp {start} {stop} {period} tchain {_CHAINS[name]}"
        style = "npt" if box else "nvt"
        return [("move", f"all {style} {bath}{box}")]
    # the barostat's own thermostat takes one temperature
    mean = sum(settings.temperature_k) / len(settings.temperature_k)
    move = f"all nph{box} ptemp {mean:.10g}" if box else "all nve"
    if kind == _VERLET:
        return [("move", move)]
    return [
        ("move", move),
        ("bath", f"all langevin {start} {stop} {period} {seed} zero yes"),
    ]


def remarks(settings: RunSettings) -> list[str]:
    """Say what differs from ``simulate``, a sentence each."""
    kind = _FIXES[choose_integrator(settings.integrator, settings.ensemble)]
    lines = []
    if kind == _LANGEVIN:
        lines.append(
            "langevin-middle: Langevin forces in velocity Verlet. Stiff vibrations of "
            "angular frequency w hold too much potential energy, by the fraction "
            "(w dt)^2 / 4 (3 % for O-H at 0.5 fs); in the middle scheme they do not."
        )
    if kind == _NOSE_HOOVER:
        lines.append(
            "nose-hoover: the thermostat's period is 1 / friction, as in OpenMM."
        )
    if settings.has_barostat:
        lines.append(
            "npt: the barostat moves the box by its own equation of motion (Martyna, "
            f"Tobias and Klein), period {_BAROSTAT_PERIOD:g} ps, where simulate has "
            "Monte Carlo moves. It scales positions of all atoms, not of molecules, "
            "and samples the same ensemble."
        )
    return lines


def _box(settings: RunSettings) -> str:
    """Words of fix nph for the barostat, with a blank before them; none without one."""
    if not settings.has_barostat:
        return ""
    pressure = f"{settings.pressure_bar:.10g}"
    words = f"{_BOXES[settings.ensemble]} {pressure} {pressure} {_BAROSTAT_PERIOD:g}"
    return f" {words} fixedpoint 0 0 0"
