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
from ..topology.names import name_atom, name_groups
from .checks import check_positions, check_sampling
from .settings import RunSettings
from .system import whole_molecules

# Hills below which a bias hardly grows, and a free energy from them has no error.
FEW_HILLS = 10


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


def describe_sampling(
    acting: ActingBias, topology: app.Topology, steps: int
) -> list[str]:
    """Say which atoms variables are of, and how many hills a run adds.

    Parameters
    ----------
    acting : ActingBias
    topology : openmm.app.Topology
    steps : int
        Of the run.

    Returns
    -------
    list of str
        As ``"phi: dihedral of ACE1:C–ALA2:N–ALA2:CA–ALA2:C"``.
    """
    names = [
        name_atom(atom.residue.name, atom.residue.id, atom.name)
        for atom in topology.atoms()
    ]
    lines = [
        f"{one.variable.name}: {one.variable.kind} of {name_groups(one.groups, names)}"
        for one in acting.resolved
    ]
    number = hills_of(acting, steps)
    if number is not None:
        pace = acting.sampling.bias.pace
        kind = acting.writes[-1][: -1 if number == 1 else None]
        lines.append(f"{number:,} {kind} in {steps:,} steps, one every {pace:,}")
    return lines


def hills_of(acting: ActingBias, steps: int) -> int | None:
    """Count the hills that a run adds; None where its bias has none."""
    pace = getattr(acting.sampling.bias, "pace", None)
    return None if pace is None else steps // pace


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
