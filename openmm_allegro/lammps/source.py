# SPDX-License-Identifier: MIT
"""What is simulated: models, atoms, their box, and where they are."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..model.elements import element_types
from ..model.model import Model
from ..potential.checks import check_total, is_periodic, member_name
from ..potential.options import common_skin
from ..potential.potential import AllegroPotential
from ..simulate.checks import check_freedom, check_positions
from ..simulate.coordinates import read_coordinates
from ..simulate.protocol_file import file_notes
from ..simulate.system import whole_molecules
from ..simulate.system_config import SystemConfig
from ..structure import topology_symbols
from .atoms import skeleton


class Source(NamedTuple):
    """Models, and the atoms of one box.

    Attributes
    ----------
    models : tuple of Model
    topology : openmm.app.Topology
        Its box is that of the atoms; it has none if images do not interact.
    symbols : tuple of str, N
    system : openmm.System
        Masses, bonds and box alone.
    positions : ndarray [N, 3], nm
        Of whole molecules.
    velocities : ndarray [N, 3] or None, nm/ps
    box : ndarray [3, 3] or None, nm
    skin : float
        Å.
    notes : dict
        Models, their hashes and options, for records.
    """

    models: tuple[Model, ...]
    topology: app.Topology
    symbols: tuple[str, ...]
    system: openmm.System
    positions: np.ndarray
    velocities: np.ndarray | None
    box: np.ndarray | None
    skin: float
    notes: dict[str, Any]


def read_source(config: SystemConfig, folder: Path) -> Source:
    """Read models and atoms of a config, whose paths are relative to the folder.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If LAMMPS cannot simulate it, or a file does not fit.
    """
    _check_config(config)
    pdb = read_coordinates(folder / config.topology, config.elements)
    paths = [folder / name for name in config.model]
    models = AllegroPotential(paths).models
    check_total(models[0], "lammps")
    symbols = topology_symbols(pdb.topology)
    for number, model in enumerate(models):
        where = member_name(number, len(models))
        element_types(symbols, model.config.elements, where)
    given = False if config.no_periodic else None
    periodic = is_periodic(models, pdb.topology, given)
    topology = pdb.topology
    if not periodic:
        topology.setPeriodicBoxVectors(None)
    system = skeleton(topology, periodic)
    check_freedom(system)
    positions = check_positions(pdb.positions, topology, system)
    if periodic:
        positions = whole_molecules(positions, topology, system)
    return Source(
        models,
        topology,
        symbols,
        system,
        positions,
        None,
        _box(topology),
        common_skin(config, [model.config.cutoff for model in models]),
        file_notes("model", paths)
        | {"precision": config.precision, "two_body": config.two_body}
        | config.system_options,
    )


def _check_config(config: SystemConfig) -> None:
    """Refuse a system that LAMMPS would need forces of OpenMM for."""
    if config.system:
        raise ValueError(
            "expected a model in LAMMPS, found system, whose forces OpenMM alone has; "
            "openmm-allegro simulate runs it"
        )
    if config.baseline:
        raise ValueError(
            "expected a model of kind total in LAMMPS, found baseline, a force field "
            "of OpenMM; openmm-allegro simulate runs it"
        )


def _box(topology: app.Topology) -> np.ndarray | None:
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        return None
    return np.array(vectors.value_in_unit(unit.nanometer))
