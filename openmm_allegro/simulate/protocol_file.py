# SPDX-License-Identifier: MIT
"""A protocol as a TOML file: the System, its stages, and what is watched."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app

from ..classical.baseline import read_system
from ..model.file import Model
from ..potential.potential import AllegroPotential
from ..utils.config import from_mapping
from .protocol import Stage
from .watchdogs.watchdog import Watchdogs

_OPTIONS = ("backend", "precision", "kernel", "two_body", "skin")


@dataclass(frozen=True)
class SystemConfig:
    """The ``[system]`` table: what is simulated. Paths are relative to the file.

    Parameters
    ----------
    topology : str
        PDB with positions and box.
    model : tuple of str
        Model file, or several of a committee.
    baseline : str
        XML of the force field's System, for models of kind delta.
    system : str
        XML of a System, in the place of ``model``: a mixed one, for instance.
    no_periodic : bool
        Whether a box does not repeat.
    flexible_molecules : bool
        Whether volume moves shift atoms, not molecules.
    backend, precision, kernel, two_body : str
    skin : float
        As ``AllegroPotential.create_system``; below 0 the default.
    """

    topology: str
    model: tuple[str, ...] = ()
    baseline: str = ""
    system: str = ""
    no_periodic: bool = False
    flexible_molecules: bool = False
    backend: str = "torchforce"
    precision: str = "mixed"
    kernel: str = "auto"
    two_body: str = "exact"
    skin: float = -1.0


class Prepared(NamedTuple):
    """A System to be simulated.

    Attributes
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity
    system : openmm.System
    models : tuple of Model
        None where the System came from a file.
    notes : dict
        Models and options, for the records of runs.
    """

    topology: app.Topology
    positions: Any
    system: openmm.System
    models: tuple[Model, ...]
    notes: dict[str, Any]


class Protocol(NamedTuple):
    """What ``run_protocol`` takes.

    Attributes
    ----------
    prepared : Prepared
    stages : list of Stage
    watchdogs : Watchdogs or None
    """

    prepared: Prepared
    stages: list[Stage]
    watchdogs: Watchdogs | None


def read_protocol(path: str | Path) -> Protocol:
    """Read a protocol and build its System.

    The file has the tables ``[system]`` (SystemConfig), ``[[stages]]`` (Stage, in
    order), and, if wanted, ``[run]`` (values of Stage that all stages have if they do
    not say otherwise) and ``[watchdogs]`` (Watchdogs).

    Raises
    ------
    FileNotFoundError
        If the file or one that it names is missing.
    ValueError
        If a table, key or value is not what it has to be.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a TOML file, found nothing at {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected TOML, found {error}") from error
    known = ("system", "run", "watchdogs", "stages")
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ValueError(
            f"{path}: expected tables among {', '.join(known)}; found "
            f"{', '.join(unknown)}"
        )
    stages = _read_stages(content, path)
    watchdogs = None
    if "watchdogs" in content:
        watchdogs = from_mapping(Watchdogs, content["watchdogs"], f"{path} [watchdogs]")
    table = dict(content.get("system", {}))
    if isinstance(table.get("model"), str):
        table["model"] = [table["model"]]
    config = from_mapping(SystemConfig, table, f"{path} [system]")
    try:
        prepared = prepare(config, path.parent)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path} [system]: {error}") from error
    if watchdogs is not None:
        watchdogs = watchdogs.for_models(prepared.models)
    return Protocol(prepared, stages, watchdogs)


def prepare(config: SystemConfig, folder: Path) -> Prepared:
    """Build the System of a config, whose paths are relative to the folder.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If there are both a model and a System or neither, or from
        ``AllegroPotential``.
    """
    if bool(config.model) == bool(config.system):
        raise ValueError(
            f"expected model or system, found {'both' if config.model else 'neither'}"
        )
    pdb = _read_pdb(folder / config.topology)
    if config.system:
        system = read_system(folder / config.system)
        notes = _file_notes("system_xml", [folder / config.system])
        return Prepared(pdb.topology, pdb.positions, system, (), notes)
    models = [folder / name for name in config.model]
    choices: dict[str, Any] = {name: getattr(config, name) for name in _OPTIONS}
    if config.skin < 0:
        choices["skin"] = None
    arguments = choices | {"periodic": False if config.no_periodic else None}
    potential = AllegroPotential(models)
    if config.baseline:
        mm_system = read_system(folder / config.baseline)
        system = potential.add_to_system(pdb.topology, mm_system, **arguments)
    else:
        arguments["rigid_molecules"] = not config.flexible_molecules
        system = potential.create_system(pdb.topology, **arguments)
    notes = _file_notes("model", models) | choices
    if config.baseline:
        notes |= _file_notes("baseline", [folder / config.baseline])
    return Prepared(pdb.topology, pdb.positions, system, potential.models, notes)


def _read_pdb(path: Path) -> app.PDBFile:
    """A PDB file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or OpenMM cannot read it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a PDB file, found nothing at {path}")
    try:
        with open(path) as file:
            return app.PDBFile(file)
    except Exception as error:  # OpenMM's parser raises many kinds
        raise ValueError(
            f"expected a PDB file at {path}, found one that OpenMM cannot read "
            f"({type(error).__name__}: {error})"
        ) from error


def _file_notes(name: str, paths: list[Path]) -> dict[str, Any]:
    """What a record says of files: of one, not of a list of one."""
    found = [str(path) for path in paths]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(paths) == 1:
        return {name: found[0], f"{name}_sha256": hashes[0]}
    return {name: found, f"{name}_sha256": hashes}


def _read_stages(content: dict[str, Any], path: Path) -> list[Stage]:
    tables, common = content.get("stages", []), content.get("run", {})
    if not isinstance(tables, list) or not tables:
        raise ValueError(f"{path}: expected tables [[stages]], found none")
    stages = []
    for number, table in enumerate(tables, start=1):
        where = f"{path} [[stages]] number {number}"
        if not isinstance(table, dict) or not isinstance(common, dict):
            raise ValueError(f"{where}: expected tables, found {table!r}, {common!r}")
        merged = common | table
        kelvin = merged.get("temperature_k", 300.0)
        if not isinstance(kelvin, list):
            merged["temperature_k"] = [kelvin]
        stages.append(from_mapping(Stage, merged, where))
    return stages
