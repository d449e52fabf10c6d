# SPDX-License-Identifier: MIT
"""Make the System of a run of what its settings name: files, a model, a force field."""

import dataclasses
import hashlib
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app

from ..classical.serialized import read_system
from ..forces import UNKNOWN, PlannedRun
from ..inputs.atoms import Atoms, check_bonds, read_atoms
from ..inputs.forcefield import force_field_system
from ..inputs.regions import select_atoms
from ..inputs.settings import InputsConfig
from ..model.model import Model
from ..modelfile.named import model_path
from ..potential.force import resolve
from ..potential.options import ForceOptions
from ..potential.potential import AllegroPotential
from ..runs.names import ENSEMBLES
from ..utils.progress import log_if_long
from .system_config import SystemConfig

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """A System with its positions, ready to be simulated.

    Attributes
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity
    system : openmm.System
    models : tuple of Model
        Empty where the System came from a file.
    notes : dict
        Models and options, for the records of runs.
    state : openmm.State or None
        End of another run that the positions are of, with its velocities and box.
    """

    topology: app.Topology
    positions: Any
    system: openmm.System
    models: tuple[Model, ...]
    notes: dict[str, Any]
    state: openmm.State | None = None


def prepare(
    config: SystemConfig,
    folder: Path,
    *,
    trust: bool = False,
    ensembles: Collection[str] = (),
    run: PlannedRun = UNKNOWN,
) -> Prepared:
    """Build the System of a config, whose paths are relative to the folder.

    Parameters
    ----------
    config : SystemConfig
    folder : Path
    trust : bool
        As ``read_protocol``.
    ensembles : collection of str
        Those of the stages; formats without bonds are refused where the volume changes.
    run : PlannedRun
        What is known of the run; see ``forces.choose_backend``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        As ``AllegroPotential``, ``read_system`` and ``read_atoms``.
    """
    with log_if_long(log, f"reading the atoms of {config.topology}"):
        atoms = read_atoms(config, config.topology, folder, config.gromacs_include)
    if not (config.system or config.flexible_molecules):
        moving = [name for name in dict.fromkeys(ensembles) if ENSEMBLES[name]]
        check_bonds(atoms, config, config.topology, moving)
    notes = _notes_of_inputs(config, folder)
    if config.system:
        with log_if_long(log, f"reading the System of {config.system}"):
            system = read_system(folder / config.system, trust=trust)
        notes |= file_notes("system_xml", [folder / config.system])
        return Prepared(atoms.topology, atoms.positions, system, (), notes, atoms.state)
    models = [model_path(name, folder) for name in config.model]
    with log_if_long(log, "reading the model and building the System"):
        potential = AllegroPotential(models)
        options, reason = _choose_backend(config, potential.models, run)
        given = options | {"backend_reason": reason}
        system = _make_system(config, potential, atoms, folder, trust, given)
    # The force says which backend was chosen, and why, and what charges there are.
    for name in ("backend", "total_charge"):
        options.pop(name)
    notes = file_notes("model", models) | options | config.system_options | notes
    if config.baseline:
        notes |= file_notes("baseline", [folder / config.baseline])
    begin, models = (atoms.topology, atoms.positions), potential.models
    return Prepared(*begin, system, models, notes, atoms.state)


def file_notes(name: str, paths: list[Path]) -> dict[str, Any]:
    """Names and hashes of files for a record; of one file without a list."""
    names = [str(path) for path in paths]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(paths) == 1:
        return {name: names[0], f"{name}_sha256": hashes[0]}
    return {name: names, f"{name}_sha256": hashes}


def _choose_backend(
    config: SystemConfig, models: Sequence[Model], run: PlannedRun
) -> tuple[dict[str, Any], str]:
    """Options of the force with the backend that they leave open, and why it is so."""
    mixing = config.mixing
    embedded = mixing is not None and mixing.embedding == "electrostatic"
    given = ForceOptions(**config.force_options)
    chosen, reason = resolve(models, given, embedded=embedded, run=run)
    return dataclasses.asdict(chosen), reason


def _make_system(
    config: SystemConfig,
    potential: AllegroPotential,
    atoms: Atoms,
    folder: Path,
    trust: bool,
    options: dict[str, Any],
) -> openmm.System:
    """Make the System of a model alone, beside a force field, or in a region of one."""
    periodic = False if config.no_periodic else None
    is_delta = potential.models[0].kind == "delta"
    if config.mixing is not None:
        return _make_mixed(config, potential, atoms, folder, trust, options)
    if not is_delta and config.given_names:
        raise ValueError(
            "expected a region of the model ([mixing] region, --region), or a model of "
            f"kind delta, beside a force field ({', '.join(config.given_names)}), "
            "found a model of kind total, which is the whole energy"
        )
    if config.baseline:
        mm_system = read_system(folder / config.baseline, trust=trust)
    elif is_delta and (config.forcefield or atoms.file is not None):
        mm_system = force_field_system(
            config, atoms, folder, periodic=not config.no_periodic, trust=trust
        )
    elif is_delta:
        raise ValueError(
            "expected a force field for a model of kind delta, which corrects one, "
            "found none: baseline (--baseline SYSTEM.xml), forcefield (--forcefield "
            "amber14-all.xml,...), or a topology that holds one (prmtop, top, psf)"
        )
    else:
        return potential.create_system(
            atoms.topology,
            **options,
            periodic=periodic,
            rigid_molecules=not config.flexible_molecules,
        )
    return potential.add_to_system(
        atoms.topology, mm_system, **options, periodic=periodic
    )


def _make_mixed(
    config: SystemConfig,
    potential: AllegroPotential,
    atoms: Atoms,
    folder: Path,
    trust: bool,
    options: dict[str, Any],
) -> openmm.System:
    """Make the System of a model in a region of a force field."""
    mixing = config.mixing
    try:
        (region,) = select_atoms(atoms.topology, [mixing.region])
    except ValueError as error:
        raise ValueError(f"region (--region): {error}") from error
    mm_system = force_field_system(
        config, atoms, folder, periodic=not config.no_periodic, trust=trust
    )
    options = options | {"total_charge": mixing.region_charge}
    system = potential.create_mixed_system(
        atoms.topology,
        mm_system,
        region,
        **options,
        embedding=mixing.embedding,
        interpolate=mixing.interpolate or mixing.lambda_interpolate is not None,
        remove_constraints=mixing.remove_constraints,
        link=mixing.link,
        screened_charges=mixing.screened_charges,
        force_group=mixing.force_group,
    )
    if mixing.lambda_interpolate is not None:
        _set_lambda(system, mixing.lambda_interpolate)
    return system


def _set_lambda(system: openmm.System, value: float) -> None:
    """Set the default of the parameter that leads from force field to model."""
    for force in system.getForces():
        for index in range(getattr(force, "getNumGlobalParameters", int)()):
            if force.getGlobalParameterName(index) == "lambda_interpolate":
                force.setGlobalParameterDefaultValue(index, value)


def _notes_of_inputs(config: SystemConfig, folder: Path) -> dict[str, Any]:
    """Settings of inputs, force field and region that are not the defaults."""
    fields = InputsConfig.__dataclass_fields__
    notes: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("frame", "atom_style", "bonds", "box_nm")
        if getattr(config, name) != fields[name].default
    }
    if config.positions:
        notes |= file_notes("positions", [folder / config.positions])
    if config.mixing is not None or config.forcefield:
        notes |= {name: getattr(config, name) for name in config.given_names}
    for name, value in config.mixing.record.items() if config.mixing else ():
        notes[f"mixing_{name}"] = value
    return notes
