# SPDX-License-Identifier: MIT
"""Integrators and thermostats by name, and their temperature while a run goes on."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openmm
from openmm import unit

from ..utils.quiet import quiet

# Each takes temperature (K), friction (1/ps) and timestep (ps); values without units
# are in those for OpenMM.
_OPENMM: dict[str, Callable[[float, float, float], openmm.Integrator]] = {
    "verlet": lambda kelvin, friction, step: openmm.VerletIntegrator(step),
    "langevin-middle": openmm.LangevinMiddleIntegrator,
    "nose-hoover": openmm.NoseHooverIntegrator,
    "andersen": lambda kelvin, friction, step: openmm.VerletIntegrator(step),
}
_OPENMMTOOLS = {
    "baoab": "BAOABIntegrator",
    "geodesic-baoab": "GeodesicBAOABIntegrator",
    "vvvr": "VVVRIntegrator",
    "ghmc": "GHMCIntegrator",
    "nose-hoover-chain": "NoseHooverChainVelocityVerletIntegrator",
    "andersen-velocity-verlet": "AndersenVelocityVerletIntegrator",
    "velocity-verlet": "VelocityVerletIntegrator",
}
# Those that keep the energy rather than a temperature.
_WITHOUT_THERMOSTAT = ("verlet", "velocity-verlet")
INTEGRATORS = ("auto", *_OPENMM, *_OPENMMTOOLS)


def choose_integrator(name: str, ensemble: str) -> str:
    """The integrator's name, for "auto" too.

    Raises
    ------
    ValueError
        If it is unknown, or keeps a temperature in "nve", or none elsewhere.
    """
    if name == "auto":
        return "verlet" if ensemble == "nve" else "langevin-middle"
    if name not in INTEGRATORS:
        raise ValueError(f"expected integrator of {INTEGRATORS}, found {name!r}")
    if (name in _WITHOUT_THERMOSTAT) != (ensemble == "nve"):
        fitting = [
            other
            for other in INTEGRATORS[1:]
            if (other in _WITHOUT_THERMOSTAT) == (ensemble == "nve")
        ]
        raise ValueError(
            f"expected for ensemble {ensemble!r} an integrator of {fitting}, found "
            f"{name!r}"
        )
    return name


def make_integrator(
    name: str, system: openmm.System, values: dict[str, Any], seed: int
) -> openmm.Integrator:
    """An integrator by its name.

    Parameters
    ----------
    name : str
        One of ``INTEGRATORS`` but "auto". "langevin-middle" (Zhang et al.,
        doi:10.1021/acs.jpca.9b02771), "nose-hoover" (chains, Martyna et al.,
        doi:10.1063/1.463940) and "verlet" are OpenMM's; "andersen" is OpenMM's Verlet,
        for a System to which ``add_andersen`` added the thermostat; others are
        openmmtools' classes.
    system : openmm.System
    values : dict
        "temperature_k", "friction_per_ps" (of Langevin dynamics; the collision
        frequency of Nosé-Hoover and Andersen thermostats) and "timestep_fs".
    seed : int

    Raises
    ------
    ImportError
        If openmmtools is needed and missing.
    """
    kelvin = start_temperature(values["temperature_k"])
    friction, step = values["friction_per_ps"], values["timestep_fs"] * 1e-3
    if name in _OPENMM:
        integrator = _OPENMM[name](kelvin, friction, step)
    else:
        make = getattr(_openmmtools(), _OPENMMTOOLS[name])
        timestep = step * unit.picosecond
        thermostat = kelvin * unit.kelvin, friction / unit.picosecond
        if name == "velocity-verlet":
            integrator = make(timestep)
        elif name == "nose-hoover-chain":
            integrator = make(system, *thermostat, timestep)
        else:
            integrator = make(*thermostat, timestep)
    if hasattr(integrator, "setRandomNumberSeed"):
        integrator.setRandomNumberSeed(seed)
    return integrator


def add_andersen(system: openmm.System, values: dict[str, Any], seed: int) -> None:
    """Add OpenMM's Andersen thermostat (doi:10.1063/1.439486) to a System."""
    thermostat = openmm.AndersenThermostat(
        start_temperature(values["temperature_k"]), values["friction_per_ps"]
    )
    thermostat.setRandomNumberSeed(seed)
    system.addForce(thermostat)


def start_temperature(temperature: float | Sequence[float]) -> float:
    """The first of a ramp's temperatures, or the temperature."""
    return float(np.atleast_1d(temperature)[0])


def temperature_at(temperature: float | Sequence[float], fraction: float) -> float:
    """Temperature after a fraction of a ramp, which is linear between its values."""
    values = np.atleast_1d(temperature)
    return float(np.interp(fraction, np.linspace(0, 1, len(values)), values))


def set_temperature(context: openmm.Context, kelvin: float) -> None:
    """Change the temperature of the thermostat and the barostat of a Context."""
    integrator = context.getIntegrator()
    if hasattr(integrator, "setTemperature"):
        integrator.setTemperature(kelvin * unit.kelvin)
    parameters = context.getParameters()
    for name in (
        openmm.AndersenThermostat.Temperature(),
        openmm.MonteCarloBarostat.Temperature(),
        openmm.MonteCarloAnisotropicBarostat.Temperature(),
    ):
        if name in parameters:
            context.setParameter(name, kelvin)


def _openmmtools() -> Any:
    """openmmtools' module of integrators."""
    try:
        with quiet("pymbar"):
            return importlib.import_module("openmmtools.integrators")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"expected openmmtools, found that it cannot be imported ({error}); "
            "pip install 'openmm-allegro[multistate]'"
        ) from error
