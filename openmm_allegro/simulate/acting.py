# SPDX-License-Identifier: MIT
"""Variables, restraints and bias of a run, with the positions that they refer to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app

from ..bias.acting import ActingBias
from ..bias.sampling import Sampling
from ..bias.settings import Variable
from ..inputs.coordinates import read_coordinates
from ..runs.names import paths_of
from .checks import check_positions, check_sampling
from .settings import RunSettings
from .system import whole_molecules


def make_acting(
    sampling: Sampling | None,
    settings: RunSettings,
    topology: app.Topology,
    system: openmm.System,
    positions: Any,
    output: str | Path,
) -> ActingBias | None:
    """Check variables, restraints and bias of a run, if there are any.

    Raises
    ------
    ValueError
        As ``checks.check_sampling`` and ``ActingBias``.
    ImportError
        If the package of the bias is missing.
    """
    check_sampling(settings, sampling or Sampling())
    if not sampling:
        return None
    start = check_positions(positions, topology, system)
    return ActingBias(
        sampling,
        topology,
        system,
        references_of(sampling.variables, start, topology, system),
        paths_of(output),
        settings.temperature_k[0],
    )


def references_of(
    variables: Sequence[Variable],
    start: np.ndarray,
    topology: app.Topology,
    system: openmm.System,
) -> dict[str, np.ndarray]:
    """Find the positions that each rmsd is taken from, with whole molecules.

    Parameters
    ----------
    variables : sequence of Variable
    start : ndarray [N, 3], nm
        Of an rmsd without a file.
    topology : openmm.app.Topology
    system : openmm.System

    Returns
    -------
    dict of str to ndarray [N, 3]
        By the name of the variable, in nm.
    """
    references = {}
    for variable in variables:
        if variable.kind != "rmsd":
            continue
        positions, own = start, None
        if variable.reference:
            read, own = read_coordinates(variable.reference)[::-1]
            positions = np.array(read._value, dtype=float)
        if positions.shape == start.shape and system.usesPeriodicBoundaryConditions():
            box = own.getPeriodicBoxVectors() if own else None
            positions = whole_molecules(positions, topology, system, box)
        references[variable.name] = positions
    return references
