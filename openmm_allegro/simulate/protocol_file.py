# SPDX-License-Identifier: MIT
"""Read a protocol from a TOML file: its System, stages and watchdogs."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bias.bias_file import TABLES as SAMPLING_TABLES
from ..bias.bias_file import sampling_of
from ..bias.sampling import Sampling
from ..forces import UNKNOWN, PlannedRun
from ..inputs.settings import MixingConfig
from ..utils.config import brief, brief_names, from_mapping, read_tables
from ..utils.settings import check_value, settings_of
from .checks import check_positions
from .prepare import Prepared, file_notes, prepare
from .settings import NONE_IF_ZERO, Stage
from .system_config import SystemConfig
from .umbrella import Umbrella, check_windows, nearest_frames, nested_centers
from .watchdogs.watchdog import Watchdogs

__all__ = ["Prepared", "Protocol", "file_notes", "prepare", "read_protocol"]

# Tables that the file of a protocol may have, and the one of several temperatures.
TABLES = (
    "system",
    "run",
    "watchdogs",
    "stages",
    *SAMPLING_TABLES,
    "mixing",
    "umbrella",
)
SERIES_TABLE = "series"


class Protocol(NamedTuple):
    """Arguments of ``run_protocol``.

    Attributes
    ----------
    prepared : Prepared
    stages : list of Stage
    watchdogs : Watchdogs or None
    sampling : Sampling
        Variables, restraints and bias.
    starts : dict of str to ndarray [N, 3]
        Positions of umbrella windows that begin with frames, by name, in nm.
    """

    prepared: Prepared
    stages: list[Stage]
    watchdogs: Watchdogs | None
    sampling: Sampling
    starts: dict[str, Any]


class Settings(NamedTuple):
    """Tables of a protocol."""

    system: SystemConfig
    stages: list[Stage]
    watchdogs: Watchdogs | None
    sampling: Sampling
    umbrella: Umbrella | None


def read_protocol(
    path: str | Path, *, trust: bool = False, run: PlannedRun = UNKNOWN
) -> Protocol:
    """Read a protocol and build its System.

    The file has the tables ``[system]`` (SystemConfig), ``[[stages]]`` (Stage, in
    order), and, if wanted, ``[mixing]`` (MixingConfig: the region of the model in a
    force field), ``[run]`` (values of Stage that all stages have if they do not say
    otherwise), ``[watchdogs]`` (Watchdogs), ``[[variables]]`` (Variable),
    ``[[restraints]]`` (Restraint), ``[bias]`` (Metadynamics, Opes or Plumed, by its
    ``kind``) and ``[umbrella]`` (Umbrella, whose windows follow the stages). With
    ``trust``, the Systems that it names may run code, see
    ``read_system``; a table of the file cannot say so. What is known of the ``run``
    decides for ``backend = "auto"``, see ``forces.choose_backend``.

    Raises
    ------
    FileNotFoundError
        If the file or one that it names is missing.
    ValueError
        If a table, key or value is unknown, of a wrong type or out of range.
    """
    path = Path(path)
    return make_protocol(read_settings(path), path, trust=trust, run=run)


def make_protocol(
    settings: Settings, path: Path, *, trust: bool = False, run: PlannedRun = UNKNOWN
) -> Protocol:
    """Build the System of a protocol from what ``read_settings`` gives.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``prepare``, with the name of the file.
    """
    try:
        prepared = prepare(
            settings.system,
            path.parent,
            trust=trust,
            ensembles=[stage.ensemble for stage in settings.stages],
            run=run,
        )
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path} [system]: {error}") from error
    watchdogs = settings.watchdogs
    if watchdogs is not None:
        watchdogs = watchdogs.for_models(prepared.models)
    umbrella, starts = settings.umbrella, {}
    if umbrella is not None:
        prepared = prepared._replace(notes=prepared.notes | umbrella.notes)
        starts = _starts_of(settings, prepared, path)
    sampling = settings.sampling
    return Protocol(prepared, settings.stages, watchdogs, sampling, starts)


def _starts_of(
    settings: Settings, prepared: Prepared, path: Path
) -> dict[str, np.ndarray]:
    """Frames that umbrella windows begin with, if they do."""
    umbrella, variables = settings.umbrella, settings.sampling.variables
    if umbrella is None or not umbrella.frames:
        return {}
    topology, system = prepared.topology, prepared.system
    positions = check_positions(prepared.positions, topology, system)
    what = topology, positions, system, path.parent / umbrella.frames
    try:
        return nearest_frames(umbrella, variables, *what)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_settings(path: str | Path) -> Settings:
    """Read the tables of a protocol, and nothing that they name.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_protocol``.
    """
    content = read_tables(path, (*TABLES, SERIES_TABLE))
    if SERIES_TABLE in content:
        raise ValueError(
            f"{path}: expected a protocol of one temperature, found the table "
            f"[{SERIES_TABLE}], which simulate (run_series) and lammps run"
        )
    return settings_of_tables(content, path)


def settings_of_tables(content: dict[str, Any], path: str | Path) -> Settings:
    """Make settings of the tables of a protocol; the path is for messages.

    Raises
    ------
    ValueError
        As ``read_protocol``.
    """
    umbrella = None
    if "umbrella" in content:
        table = nested_centers(content["umbrella"])
        umbrella = from_mapping(Umbrella, table, f"{path} [umbrella]")
    stages = _read_stages(content, path, umbrella is None)
    watchdogs = None
    if "watchdogs" in content:
        watchdogs = from_mapping(Watchdogs, content["watchdogs"], f"{path} [watchdogs]")
    sampling = sampling_of(content, path)
    if umbrella is not None:
        common = _with_ramp(content.get("run", {}))
        window = from_mapping(Stage, common | {"name": "window"}, f"{path} [run]")
        stages += umbrella.stages(**{n: getattr(window, n) for n in settings_of(Stage)})
        check_windows(umbrella, sampling.variables, window.temperature_k[0])
        restraints = [*sampling.restraints, *umbrella.restraints()]
        sampling = dataclasses.replace(sampling, restraints=restraints)
    system = read_system_table(content, path)
    return Settings(system, stages, watchdogs, sampling, umbrella)


def read_system_table(content: dict[str, Any], path: str | Path) -> SystemConfig:
    """Read the table ``[system]`` of a file's tables; the path is for messages.

    Raises
    ------
    ValueError
        As ``read_protocol``.
    """
    table = content.get("system", {})
    if isinstance(table, dict):
        table = dict(table)
        if isinstance(table.get("model"), str):
            table["model"] = [table["model"]]
        if table.get("skin") == -1:  # older files say so for the default
            del table["skin"]
    config = from_mapping(SystemConfig, table, f"{path} [system]")
    if "mixing" not in content:
        return config
    mixing = from_mapping(MixingConfig, content["mixing"], f"{path} [mixing]")
    try:
        return dataclasses.replace(config, mixing=mixing)
    except ValueError as error:
        raise ValueError(f"{path} [mixing]: {error}") from error


def _read_stages(
    content: dict[str, Any], path: str | Path, needed: bool
) -> list[Stage]:
    tables, common = content.get("stages", []), content.get("run", {})
    if not isinstance(tables, list) or (needed and not tables):
        found = brief(tables) if tables else "none"
        raise ValueError(f"{path}: expected tables [[stages]], found {found}")
    _check_common(common, f"{path} [run]")
    stages = []
    for number, table in enumerate(tables, start=1):
        where = f"{path} [[stages]] number {number}"
        if not isinstance(table, dict):
            raise ValueError(f"{where}: expected a table, found {brief(table)}")
        stages.append(from_mapping(Stage, _with_ramp(common | table), where))
    return stages


def _check_common(common: Any, where: str) -> None:
    """Check values of ``[run]`` that all stages may happen to replace."""
    if not isinstance(common, dict):
        raise ValueError(f"{where}: expected a table, found {brief(common)}")
    names = [name for name in settings_of(Stage) if name != "name"]
    unknown = [name for name in common if name not in names]
    if unknown:
        raise ValueError(
            f"{where}: expected keys among {', '.join(names)}; found "
            f"{brief_names(unknown)}"
        )
    for name, value in _with_ramp(common).items():
        if value == 0 and name in NONE_IF_ZERO:
            continue
        try:
            check_value(Stage, name, value, name)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


def _with_ramp(table: dict[str, Any]) -> dict[str, Any]:
    """A table with a list of temperatures, if it has any."""
    kelvin = table.get("temperature_k")
    if "temperature_k" in table and not isinstance(kelvin, list):
        return table | {"temperature_k": [kelvin]}
    return table
