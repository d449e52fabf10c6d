# SPDX-License-Identifier: MIT
"""Read a protocol from a TOML file: its System, stages and watchdogs."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app

from ..classical.serialized import read_system
from ..model.file import Model
from ..potential.potential import AllegroPotential
from ..utils.config import from_mapping, read_tables
from .coordinates import read_coordinates
from .settings import Stage
from .system_config import SystemConfig
from .watchdogs.watchdog import Watchdogs


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
    """

    topology: app.Topology
    positions: Any
    system: openmm.System
    models: tuple[Model, ...]
    notes: dict[str, Any]


class Protocol(NamedTuple):
    """Arguments of ``run_protocol``.

    Attributes
    ----------
    prepared : Prepared
    stages : list of Stage
    watchdogs : Watchdogs or None
    """

    prepared: Prepared
    stages: list[Stage]
    watchdogs: Watchdogs | None


def read_protocol(path: str | Path, *, trust: bool = False) -> Protocol:
    """Read a protocol and build its System.

    The file has the tables ``[system]`` (SystemConfig), ``[[stages]]`` (Stage, in
    order), and, if wanted, ``[run]`` (values of Stage that all stages have if they do
    not say otherwise) and ``[watchdogs]`` (Watchdogs). With ``trust``, the Systems that
    it names may run code, see ``read_system``; a table of the file cannot say so.

    Raises
    ------
    FileNotFoundError
        If the file or one that it names is missing.
    ValueError
        If a table, key or value is unknown, of a wrong type or out of range.
    """
    path = Path(path)
    content = read_tables(path, ("system", "run", "watchdogs", "stages"))
    stages = _read_stages(content, path)
    watchdogs = None
    if "watchdogs" in content:
        watchdogs = from_mapping(Watchdogs, content["watchdogs"], f"{path} [watchdogs]")
    config = _read_system(content, path)
    try:
        prepared = prepare(config, path.parent, trust=trust)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path} [system]: {error}") from error
    if watchdogs is not None:
        watchdogs = watchdogs.for_models(prepared.models)
    return Protocol(prepared, stages, watchdogs)


def prepare(config: SystemConfig, folder: Path, *, trust: bool = False) -> Prepared:
    """Build the System of a config, whose paths are relative to the folder.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        As ``AllegroPotential`` and ``read_system``.
    """
    pdb = read_coordinates(folder / config.topology, config.elements)
    if config.system:
        system = read_system(folder / config.system, trust=trust)
        notes = _file_notes("system_xml", [folder / config.system])
        return Prepared(pdb.topology, pdb.positions, system, (), notes)
    models = [folder / name for name in config.model]
    options = config.force_options
    arguments = options | {"periodic": False if config.no_periodic else None}
    potential = AllegroPotential(models)
    if config.baseline:
        mm_system = read_system(folder / config.baseline, trust=trust)
        system = potential.add_to_system(pdb.topology, mm_system, **arguments)
    else:
        arguments["rigid_molecules"] = not config.flexible_molecules
        system = potential.create_system(pdb.topology, **arguments)
    notes = _file_notes("model", models) | options | config.system_options
    if config.baseline:
        notes |= _file_notes("baseline", [folder / config.baseline])
    return Prepared(pdb.topology, pdb.positions, system, potential.models, notes)


def _file_notes(name: str, paths: list[Path]) -> dict[str, Any]:
    """Names and hashes of files for a record; of one file without a list."""
    names = [str(path) for path in paths]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(paths) == 1:
        return {name: names[0], f"{name}_sha256": hashes[0]}
    return {name: names, f"{name}_sha256": hashes}


def _read_system(content: dict[str, Any], path: Path) -> SystemConfig:
    table = content.get("system", {})
    if isinstance(table, dict):
        table = dict(table)
        if isinstance(table.get("model"), str):
            table["model"] = [table["model"]]
        # older files say -1.0 for the default
        skin = table.get("skin")
        if isinstance(skin, int | float) and skin < 0:
            del table["skin"]
    return from_mapping(SystemConfig, table, f"{path} [system]")


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
