# SPDX-License-Identifier: MIT
"""What parallel tempering is asked for, checked before any long work."""

from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..forces import check_copy
from ..simulate.checks import check_freedom, check_values
from ..simulate.system import BAROSTAT_CLASSES, check_ensemble

# Ours, and openmmtools' name.
EXCHANGES = {"all": "swap-all", "neighbors": "swap-neighbors"}


def temperature_ladder(
    lowest: unit.Quantity, highest: unit.Quantity, count: int
) -> unit.Quantity:
    """Temperatures in a geometric series.

    Where the heat capacity does not depend on temperature, all neighbours exchange
    equally often (Kofke, doi:10.1063/1.1507776).

    Parameters
    ----------
    lowest, highest : Quantity
    count : int
        At least 2.
    """
    kelvin = [_kelvin(value) for value in (lowest, highest)]
    if count < 2 or not 0 < kelvin[0] < kelvin[1]:
        raise ValueError(
            "expected at least 2 temperatures from a lower to a higher one, found "
            f"{count} from {kelvin[0]} K to {kelvin[1]} K"
        )
    return np.geomspace(*kelvin, count) * unit.kelvin


def check_settings(
    temperatures: Any, timestep: Any, friction: Any, pressure: Any, exchange: str
) -> dict[str, Any]:
    """Values of the record, in the units of the names."""
    kelvin = np.atleast_1d(_kelvin(temperatures)).astype(float)
    if kelvin.ndim != 1 or len(kelvin) < 2 or not (np.diff(kelvin) > 0).all():
        raise ValueError(
            f"expected at least 2 ascending temperatures, found {kelvin.tolist()} K"
        )
    if exchange not in EXCHANGES:
        raise ValueError(f"expected exchange of {list(EXCHANGES)}, found {exchange!r}")
    ensemble = "nvt" if pressure is None else "npt"
    values = check_values(
        ensemble, kelvin[0] * unit.kelvin, timestep, friction, pressure
    )
    del values["temperature_k"]
    return {
        "ensemble": ensemble,
        "temperatures_k": kelvin.tolist(),
        **values,
        "exchange": exchange,
    }


def _kelvin(value: Any) -> Any:
    if not unit.is_quantity(value) or not value.unit.is_compatible(unit.kelvin):
        # a list of quantities is one as well
        if isinstance(value, list | tuple) and all(map(unit.is_quantity, value)):
            return [_kelvin(each) for each in value]
        raise ValueError(
            "expected temperatures as a quantity in kelvin, such as "
            f"[300, 330]*kelvin, found {value!r}"
        )
    return value.value_in_unit(unit.kelvin)


def check_system(ensemble: str, topology: app.Topology, system: openmm.System) -> None:
    for force in system.getForces():
        if isinstance(force, (*BAROSTAT_CLASSES, openmm.AndersenThermostat)):
            raise ValueError(
                "expected a System without a barostat and a thermostat, found "
                f"{force.getName()}; pressure=... gives NPT"
            )
    check_copy(system)
    check_freedom(system)
    check_ensemble(ensemble, topology, system)
