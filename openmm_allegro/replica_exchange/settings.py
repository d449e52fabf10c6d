# SPDX-License-Identifier: MIT
"""Settings of parallel tempering, and checks of its System before any long work."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import openmm
from openmm import app, unit

from ..forces import check_copy
from ..simulate.checks import check_freedom
from ..simulate.settings import RunSettings
from ..simulate.system import BAROSTAT_CLASSES, check_ensemble
from ..utils.settings import (
    check_settings,
    documented,
    setting,
    setting_of,
    settings_of,
)

# Schemes of exchanges, and openmmtools' names of them.
EXCHANGES = {"all": "swap-all", "neighbors": "swap-neighbors"}


@dataclass(frozen=True)
class ExchangeSettings:
    """Settings that exchanges of temperatures and of other states have in common."""

    iterations: int = setting(
        1000,
        about="Exchanges in all, those before a resumption included",
        minimum=1,
        may_change=True,
    )
    steps_per_iteration: int = setting(200, about="Steps between exchanges", minimum=1)
    timestep_fs: float = setting_of(RunSettings, "timestep_fs")
    friction_per_ps: float = setting_of(RunSettings, "friction_per_ps")
    pressure_bar: float | None = setting_of(
        RunSettings,
        "pressure_bar",
        default=None,
        about="Pressure of an isotropic Monte Carlo barostat with a move every 25 "
        "steps; the volume is constant if not given",
    )
    exchange: str = setting(
        "all",
        about="Exchanges at each iteration: K³ attempts between any two of K replicas "
        "(all), or one between every other pair of neighbours (neighbors)",
        choices=tuple(EXCHANGES),
    )
    minimize: bool = setting_of(RunSettings, "minimize")
    checkpoint_interval: int = setting(
        10,
        about="Iterations between checkpoints, the only ones with positions",
        minimum=1,
    )

    method: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self, bits=31)

    @property
    def ensemble(self) -> str:
        """Name of the ensemble, as ``RunSettings`` has it."""
        return "nvt" if self.pressure_bar is None else "npt"

    def record(self) -> dict[str, Any]:
        """Collect the values as a run's record has them."""
        values = {
            name: getattr(self, name)
            for name, meaning in settings_of(type(self)).items()
            if meaning.recorded and getattr(self, name) is not None
        }
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return values | {
            "ensemble": self.ensemble,
            "steps": self.iterations * self.steps_per_iteration,
            "report_interval": self.steps_per_iteration,
        }


@dataclass(frozen=True)
class _Temperatures:
    """First field of parallel tempering."""

    temperatures_k: tuple[float, ...] = setting(
        about="Temperatures, ascending", unit="K", above=0.0, option="temperatures"
    )


@documented
@dataclass(frozen=True)
class TemperingSettings(ExchangeSettings, _Temperatures):
    """Settings of parallel tempering, which has them as arguments, with units.

    Raises
    ------
    ValueError
        If a value is of another type or out of range, or temperatures do not ascend.
    """

    method: ClassVar[str] = "parallel-tempering"

    def __post_init__(self) -> None:
        super().__post_init__()
        kelvin = self.temperatures_k
        if len(kelvin) < 2 or not (np.diff(kelvin) > 0).all():
            raise ValueError(
                f"expected at least 2 ascending temperatures, found {list(kelvin)} K"
            )


def temperature_ladder(
    lowest: unit.Quantity, highest: unit.Quantity, count: int
) -> unit.Quantity:
    """Make a geometric series of temperatures.

    Where the heat capacity does not depend on temperature, all neighbours exchange
    equally often (Kofke, doi:10.1063/1.1507776).

    Parameters
    ----------
    lowest, highest : Quantity
    count : int
        At least 2.
    """
    kelvin = [in_kelvin(value) for value in (lowest, highest)]
    if count < 2 or not 0 < kelvin[0] < kelvin[1]:
        raise ValueError(
            "expected at least 2 temperatures from a lower to a higher one, found "
            f"{count} from {kelvin[0]} K to {kelvin[1]} K"
        )
    return np.geomspace(*kelvin, count) * unit.kelvin


def in_kelvin(value: Any) -> Any:
    """Convert temperatures to numbers; a list of quantities will do.

    Raises
    ------
    ValueError
        If they are no temperatures.
    """
    if not unit.is_quantity(value) or not value.unit.is_compatible(unit.kelvin):
        if isinstance(value, list | tuple) and all(map(unit.is_quantity, value)):
            return [in_kelvin(each) for each in value]
        raise ValueError(
            "expected temperatures as a quantity in kelvin, such as "
            f"[300, 330]*kelvin, found {value!r}"
        )
    return value.value_in_unit(unit.kelvin)


def check_system(ensemble: str, topology: app.Topology, system: openmm.System) -> None:
    """Refuse a System that does not fit the ensemble, or cannot be copied.

    Raises
    ------
    ValueError, ImportError
    """
    for force in system.getForces():
        if isinstance(force, (*BAROSTAT_CLASSES, openmm.AndersenThermostat)):
            raise ValueError(
                "expected a System without a barostat and a thermostat, found "
                f"{force.getName()}; pressure=... gives NPT"
            )
    check_copy(system)
    check_freedom(system)
    check_ensemble(ensemble, topology, system)
