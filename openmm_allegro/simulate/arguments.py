# SPDX-License-Identifier: MIT
"""Convert arguments with units to fields of settings, whose names have the units."""

import types
from typing import Any, get_origin

import numpy as np
from openmm import unit

from ..utils.settings import argument_names, check_value, settings_of
from .settings import Execution, RunSettings

# By the units that settings are declared with.
UNITS = {
    "K": unit.kelvin,
    "fs": unit.femtosecond,
    "ps": unit.picosecond,
    "1/ps": unit.picosecond**-1,
    "bar": unit.bar,
    "Da": unit.dalton,
    "kJ/mol/nm": unit.kilojoule_per_mole / unit.nanometer,
}


def without_units(cls: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert arguments of a function to fields of a settings dataclass.

    Parameters
    ----------
    cls : dataclass type
        With fields made by ``setting``.
    arguments : dict
        By the arguments' names: "temperature" for the field ``temperature_k``. Fields
        that are absent are left out.

    Returns
    -------
    dict
        Values by the fields' names, in the units of the fields.

    Raises
    ------
    ValueError
        If a quantity is expected and another thing found.
    """
    meanings = settings_of(cls)
    kinds = {name: cls.__dataclass_fields__[name].type for name in meanings}
    fields = {}
    for argument, name in argument_names(cls).items():
        if argument in arguments:
            value = arguments[argument]
            optional = isinstance(kinds[name], types.UnionType)
            if meanings[name].unit and not (value is None and optional):
                several = get_origin(kinds[name]) is tuple
                value = _number(argument, value, UNITS[meanings[name].unit], several)
            if argument != name:
                check_value(cls, name, value, argument)
            fields[name] = value
    return fields


def run_settings(arguments: dict[str, Any]) -> tuple[RunSettings, Execution]:
    """Check the arguments of ``run`` as settings.

    Raises
    ------
    ValueError
        As ``without_units``, ``RunSettings`` and ``Execution``.
    """
    arguments = dict(arguments)
    if arguments["ensemble"] in ("nvt", "nve"):
        del arguments["pressure"]  # nothing has it, so it may be anything
    return (
        RunSettings(**without_units(RunSettings, arguments)),
        Execution(**without_units(Execution, arguments)),
    )


def _number(argument: str, value: Any, in_unit: unit.Unit, several: bool) -> Any:
    """Number, or tuple of numbers, in a unit."""
    if not unit.is_quantity(value) or not value.unit.is_compatible(in_unit):
        raise ValueError(
            f"expected a quantity in {in_unit} for {argument}, such as "
            f"{unit.Quantity(1, in_unit)!s}, found {value!r}"
        )
    numbers = np.asarray(value.value_in_unit(in_unit), dtype=float)
    if numbers.ndim > int(several) or numbers.size == 0:
        or_several = ", or several of a ramp" if several else ""
        raise ValueError(
            f"expected one number for {argument}{or_several}, found {value!r}"
        )
    return tuple(numbers.ravel().tolist()) if several else float(numbers)
