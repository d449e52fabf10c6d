# SPDX-License-Identifier: MIT
"""Read what is simulated: models, atoms, their box, and velocities at the start."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..classical.serialized import read_state
from ..inputs.atoms import read_atoms
from ..model.elements import element_types
from ..model.model import Model
from ..modelfile.named import model_path
from ..potential.checks import check_charges, is_periodic, member_name
from ..potential.description import about_model, describe_charges
from ..potential.options import common_skin
from ..potential.potential import AllegroPotential
from ..runs.names import state_path
from ..simulate.checks import check_freedom, check_positions
from ..simulate.contents import check_contents
from ..simulate.prepare import file_notes
from ..simulate.start import has_velocities
from ..simulate.system import whole_molecules
from ..simulate.system_config import SystemConfig
from ..structure import topology_symbols
from .atoms import element_masses, skeleton


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
    charge : float
        Total of the atoms of one box, e; 0 for models without charges.
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
    charge: float
    notes: dict[str, Any]


def read_source(
    config: SystemConfig, folder: Path, state: Path | None, *, pressure: bool
) -> Source:
    """Read models and atoms of a config, whose paths are relative to the folder.

    Parameters
    ----------
    config : SystemConfig
    folder : Path
    state : Path or None
        End of another run, as ``state_file`` names it: positions, velocities and box.
    pressure : bool
        Whether the volume will change.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If LAMMPS cannot simulate it, or the files do not fit.
    """
    _check_config(config)
    pdb = read_atoms(config, config.topology, folder, config.gromacs_include)
    paths = [model_path(name, folder) for name in config.model]
    models = AllegroPotential(paths).models
    _check_kind(models[0], config.model[0])
    topology, symbols = pdb.topology, topology_symbols(pdb.topology)
    for number, model in enumerate(models):
        where = member_name(number, len(models))
        element_types(symbols, model.config.elements, where)
    given = False if config.no_periodic else None
    periodic = is_periodic(models, topology, given)
    check_charges(models, config.total_charge, periodic)
    end = None if state is None else read_state(state.read_text(), str(state))
    box = _set_box(topology, end, periodic)
    system = skeleton(element_masses(topology), topology, box)
    check_freedom(system)
    positions = pdb.positions
    if end is not None:
        positions = _positions_of(end, len(symbols), state)
    positions = check_positions(positions, topology, system)
    everywhere = range(len(symbols))
    notes = _notes(config, paths, state)
    notes |= describe_charges(models, config.total_charge)
    pairs = zip(models, map(str, paths), strict=True)
    notes["model_about"] = [about_model(model, path) for model, path in pairs]
    contents = topology, system, positions, end
    check_contents(*contents, pressure=pressure, model=everywhere)
    if periodic:
        positions = whole_molecules(positions, topology, system)
    return Source(
        models,
        topology,
        symbols,
        system,
        positions,
        _velocities_of(end),
        box,
        common_skin(config, [model.config.cutoff for model in models]),
        config.total_charge,
        notes,
    )


def state_file(name: Path | None) -> Path | None:
    """Find the file of a run's end: it, or that of the prefix of a run.

    Raises
    ------
    FileNotFoundError
    """
    if name is None or name.is_file():
        return name
    path = state_path(name)
    if not path.is_file():
        raise FileNotFoundError(
            "expected the end of a run of openmm-allegro simulate, a state such as "
            f"{path} or the prefix of its name, found nothing at {name}"
        )
    return path


def _check_config(config: SystemConfig) -> None:
    """Refuse what OpenMM alone computes."""
    remedy = "openmm-allegro simulate runs it"
    if config.system:
        raise ValueError(
            "expected a model for LAMMPS, found a System of OpenMM, whose forces it "
            f"lacks ({config.system}); {remedy}"
        )
    if config.baseline:
        raise ValueError(
            "expected a model for LAMMPS that is the whole energy, found one with a "
            f"force field of OpenMM as baseline ({config.baseline}); {remedy}"
        )
    if config.mixing is not None or config.forcefield:
        raise ValueError(
            "expected a model for LAMMPS that is the whole energy, found a region of a "
            f"force field of OpenMM ([mixing], forcefield); {remedy}"
        )


def _check_kind(model: Model, name: str) -> None:
    """Refuse a model that is a correction to a force field."""
    if model.kind != "total":
        raise ValueError(
            f"expected a model for LAMMPS that is the whole energy, found {name} of "
            f"kind {model.kind}, which corrects a force field; openmm-allegro simulate "
            "runs both (baseline), and pair_style hybrid/overlay of LAMMPS adds the "
            "model to styles of your own"
        )


def _set_box(
    topology: app.Topology, end: openmm.State | None, periodic: bool
) -> np.ndarray | None:
    """Give the topology the box that is simulated, and return its vectors in nm."""
    vectors = topology.getPeriodicBoxVectors() if periodic else None
    if periodic and end is not None:
        vectors = end.getPeriodicBoxVectors()
    if vectors is None:
        topology.setPeriodicBoxVectors(None)
        return None
    box = np.array([v.value_in_unit(unit.nanometer) for v in vectors])
    topology.setPeriodicBoxVectors(box * unit.nanometer)
    return box


def _positions_of(end: openmm.State, count: int, path: Path | None) -> Any:
    try:
        positions = end.getPositions(asNumpy=True)
    except openmm.OpenMMException as error:
        raise ValueError(
            f"expected a state with positions in {path}, found {error}"
        ) from error
    if len(positions) != count:
        raise ValueError(
            f"expected a state of the {count} atoms of the topology in {path}, found "
            f"one of {len(positions)}"
        )
    return positions


def _velocities_of(end: openmm.State | None) -> np.ndarray | None:
    if end is None or not has_velocities(end):
        return None
    per_ps = unit.nanometer / unit.picosecond
    velocities = end.getVelocities(asNumpy=True).value_in_unit(per_ps)
    return np.array(velocities) if np.any(velocities) else None


def _notes(
    config: SystemConfig, models: Sequence[Path], state: Path | None
) -> dict[str, Any]:
    notes = file_notes("model", list(models))
    notes |= {"precision": config.precision, "two_body": config.two_body}
    notes |= {"skin": config.skin} | config.system_options
    return notes | (file_notes("state", [state]) if state else {})
