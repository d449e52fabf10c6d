# SPDX-License-Identifier: MIT
"""Charges that models give to atoms: of a topology, or of a Context's System."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..model.model import Model
from ..structure import topology_symbols
from ..utils.reasons import reason_of
from .checks import is_periodic
from .computation import Computation, computations, model_computation
from .options import ForceOptions


def topology_charges(
    models: Sequence[Model],
    topology: app.Topology,
    positions: Any,
    options: ForceOptions,
    *,
    periodic: bool | None = None,
) -> np.ndarray:
    """Compute charges [N] (e), means of models; see ``AllegroPotential.charges``."""
    symbols, positions, box = evaluation_inputs(
        models, topology, positions, periodic, "charges"
    )
    members = [
        model_computation(model, symbols, options, periodic=box is not None)
        for model in models
    ]
    try:
        return np.mean([member.charges(positions, box) for member in members], axis=0)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"charges: {reason_of(error)}") from error


def charged_computation(context: openmm.Context) -> Computation:
    """Make a computation of a Context's model with charges, where the Context computes.

    Its ``charges(positions, box)`` are those of its ``particles``.

    Raises
    ------
    ValueError
        If the System has no force of a model with charges, or several.
    """
    made = [c for c in computations(context.getSystem(), context) if c.is_charged]
    if len(made) != 1:
        raise ValueError(
            "expected a System with a force of a model with charges, found "
            f"{len(made)} such forces"
        )
    return made[0]


def evaluation_inputs(
    models: Sequence[Model],
    topology: app.Topology,
    positions: Any,
    periodic: bool | None,
    where: str,
) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Check what a computation without a System is given.

    Parameters
    ----------
    models : sequence of Model
    topology : openmm.app.Topology
    positions : [N, 3] Quantity, or array in nm
    periodic : bool, optional
        As ``checks.is_periodic``.
    where : str
        Beginning of error messages.

    Returns
    -------
    symbols : list of str
    positions : ndarray [N, 3], nm
    box : ndarray [3, 3], nm, or None where not periodic

    Raises
    ------
    ValueError
        If positions do not fit, or as ``checks.is_periodic``.
    """
    symbols = topology_symbols(topology)
    if unit.is_quantity(positions):
        positions = positions.value_in_unit(unit.nanometer)
    positions = np.array(positions, dtype=float)
    if positions.shape != (len(symbols), 3):
        raise ValueError(
            f"{where}: expected positions of shape ({len(symbols)}, 3), found "
            f"{positions.shape}"
        )
    if not is_periodic(models, topology, periodic):
        return symbols, positions, None
    box = topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    return symbols, positions, np.array(box)
