# SPDX-License-Identifier: MIT
"""Thermodynamic states that replicas exchange: temperatures, or values of λ."""

import copy
from typing import Any

import openmm
from openmm import unit

# Global parameter of a System that leads from a force field (0) to a model (1).
LAMBDA = "lambda_interpolate"


def values_of_states(record: dict[str, Any]) -> list[float]:
    """List what the states of a run differ in: temperatures (K), or values of λ."""
    return record["lambdas"] if "lambdas" in record else record["temperatures_k"]


def make_states(system: openmm.System, record: dict[str, Any]) -> list[Any]:
    """Make openmmtools' states of a run, which share the System. Imports openmmtools.

    Parameters
    ----------
    system : openmm.System
    record : dict
        Of the run: ``temperatures_k``, or ``lambdas`` and ``temperature_k``, and
        ``pressure_bar`` if the volume changes.
    """
    from openmmtools.states import (
        CompoundThermodynamicState,
        GlobalParameterState,
        ThermodynamicState,
    )

    class Interpolation(GlobalParameterState):
        lambda_interpolate = GlobalParameterState.GlobalParameter(
            LAMBDA, standard_value=1.0
        )

    is_lambda, values = "lambdas" in record, values_of_states(record)
    pressure = record.get("pressure_bar")
    first = ThermodynamicState(
        system,
        (record["temperature_k"] if is_lambda else values[0]) * unit.kelvin,
        None if pressure is None else pressure * unit.bar,
    )
    if is_lambda:
        path = Interpolation.from_system(system)
        first = CompoundThermodynamicState(first, composable_states=[path])
    states = []
    for value in values:
        states.append(copy.deepcopy(first))  # which shares the System and the Context
        if is_lambda:
            states[-1].lambda_interpolate = value
        else:
            states[-1].temperature = value * unit.kelvin
    return states
