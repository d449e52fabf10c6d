# SPDX-License-Identifier: MIT
"""Integrators and thermostats by name, and changes of their temperature.

A new one is an entry of ``_KINDS``. OpenMM is imported when an integrator is made; the
names are known without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..nuclei.choices import QTB, RPMD
from ..utils.quiet import quiet

if TYPE_CHECKING:
    import openmm

_OPENMM = "openmm"
_OPENMMTOOLS = "openmmtools.integrators"  # of the extra multistate
_BATH = ("temperature", "friction", "timestep")


class _Kind(NamedTuple):
    """Class of an integrator, and the arguments that it takes, in order."""

    module: str
    name: str
    # whether random numbers change velocities, which slows collective motion
    stochastic: bool
    arguments: tuple[str, ...] = _BATH
    # class of OpenMM that is the thermostat of an integrator without one
    thermostat: str = ""
    # whether its own thermostat can be switched off
    any_ensemble: bool = False

    @property
    def keeps_energy(self) -> bool:
        return "temperature" not in self.arguments and not self.thermostat

    def fits(self, ensemble: str) -> bool:
        return self.any_ensemble or self.keeps_energy == (ensemble == "nve")


_KINDS = {
    "verlet": _Kind(_OPENMM, "VerletIntegrator", False, ("timestep",)),
    # Zhang et al., doi:10.1021/acs.jpca.9b02771
    "langevin-middle": _Kind(_OPENMM, "LangevinMiddleIntegrator", True),
    # chains, Martyna et al., doi:10.1063/1.463940
    "nose-hoover": _Kind(_OPENMM, "NoseHooverIntegrator", False),
    # doi:10.1063/1.439486
    "andersen": _Kind(
        _OPENMM, "VerletIntegrator", True, ("timestep",), "AndersenThermostat"
    ),
    "baoab": _Kind(_OPENMMTOOLS, "BAOABIntegrator", True),
    "geodesic-baoab": _Kind(_OPENMMTOOLS, "GeodesicBAOABIntegrator", True),
    "vvvr": _Kind(_OPENMMTOOLS, "VVVRIntegrator", True),
    "ghmc": _Kind(_OPENMMTOOLS, "GHMCIntegrator", True),
    "nose-hoover-chain": _Kind(
        _OPENMMTOOLS,
        "NoseHooverChainVelocityVerletIntegrator",
        False,
        ("system", *_BATH),
    ),
    "andersen-velocity-verlet": _Kind(
        _OPENMMTOOLS, "AndersenVelocityVerletIntegrator", True
    ),
    "velocity-verlet": _Kind(
        _OPENMMTOOLS, "VelocityVerletIntegrator", False, ("timestep",)
    ),
    RPMD: _Kind(_OPENMM, "RPMDIntegrator", True, any_ensemble=True),
    QTB: _Kind(_OPENMM, "QTBIntegrator", True),
}
INTEGRATORS = ("auto", *_KINDS)


def choose_integrator(name: str, ensemble: str) -> str:
    """Replace "auto" by the integrator of an ensemble.

    Raises
    ------
    ValueError
        If the integrator keeps a temperature in "nve", or none elsewhere.
    """
    if name == "auto":
        return "verlet" if ensemble == "nve" else "langevin-middle"
    if not _KINDS[name].fits(ensemble):
        fitting = [other for other, kind in _KINDS.items() if kind.fits(ensemble)]
        raise ValueError(
            f"expected for ensemble {ensemble!r} an integrator of {fitting}, found "
            f"{name!r}"
        )
    return name


def is_stochastic(name: str, ensemble: str) -> bool:
    """Tell whether an integrator or its thermostat draws random velocities."""
    return _KINDS[name].stochastic and ensemble != "nve"


def check_package(name: str) -> None:
    """Refuse an integrator, by its name, of a package that cannot be imported.

    Raises
    ------
    ImportError
    """
    _import(_KINDS[name].module)


def make_integrator(
    name: str, system: openmm.System, values: dict[str, Any], seed: int
) -> openmm.Integrator:
    """Make an integrator by its name.

    Parameters
    ----------
    name : str
        One of ``INTEGRATORS`` but "auto".
    system : openmm.System
        With the thermostat that ``add_thermostat`` adds.
    values : dict
        "temperature_k", "friction_per_ps" (of Langevin dynamics; the collision
        frequency of Nosé-Hoover and Andersen thermostats), "timestep_fs" and, for
        quantum nuclei, what a record has of them.
    seed : int

    Raises
    ------
    ImportError
        If openmmtools is needed and missing.
    """
    from openmm import unit

    kind, kelvin = _KINDS[name], start_temperature(values["temperature_k"])
    if name in (RPMD, QTB):
        from ..nuclei import prepare

        make = prepare.make_ring_polymer if name == RPMD else prepare.make_thermal_bath
        return make(system, values, kelvin, seed)
    module = _import(kind.module)
    arguments = {
        "system": system,
        "temperature": kelvin * unit.kelvin,
        "friction": values["friction_per_ps"] / unit.picosecond,
        "timestep": values["timestep_fs"] * 1e-3 * unit.picosecond,
    }
    make = getattr(module, kind.name)
    integrator = make(*(arguments[argument] for argument in kind.arguments))
    if hasattr(integrator, "setRandomNumberSeed"):
        integrator.setRandomNumberSeed(seed)
    return integrator


def add_thermostat(system: openmm.System, values: dict[str, Any], seed: int) -> None:
    """Add the force that is the thermostat of an integrator, if it needs one.

    Parameters
    ----------
    system : openmm.System
        Modified.
    values : dict
        As ``make_integrator``, and "integrator".
    seed : int
    """
    import openmm

    name = _KINDS[values["integrator"]].thermostat
    if name:
        kelvin = start_temperature(values["temperature_k"])
        thermostat = getattr(openmm, name)(kelvin, values["friction_per_ps"])
        thermostat.setRandomNumberSeed(seed)
        system.addForce(thermostat)


def start_temperature(temperature: float | Sequence[float]) -> float:
    """Choose the first of a ramp's temperatures, or the only one."""
    return float(temperature[0] if isinstance(temperature, Sequence) else temperature)


def temperature_at(temperature: float | Sequence[float], fraction: float) -> float:
    """Interpolate a ramp, which is linear between its temperatures.

    Parameters
    ----------
    temperature : float or sequence of float
        K.
    fraction : float
        Part of the ramp that is over, 0 to 1.
    """
    import numpy as np

    values = np.atleast_1d(temperature)
    return float(np.interp(fraction, np.linspace(0, 1, len(values)), values))


def set_temperature(context: openmm.Context, kelvin: float) -> None:
    """Change the temperature of the thermostat and the barostat of a Context."""
    import openmm
    from openmm import unit

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


def _import(module: str) -> Any:
    """Import a module of integrators without the messages of pymbar."""
    try:
        with quiet("pymbar"):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"expected {module.partition('.')[0]}, found that it cannot be imported "
            f"({error}); pip install 'openmm-allegro[multistate]'"
        ) from error
