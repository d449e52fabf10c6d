# SPDX-License-Identifier: MIT
"""Read a protocol at several temperatures from a TOML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..bias.sampling import Sampling
from ..forces import UNKNOWN, PlannedRun
from ..utils.config import from_mapping, read_tables
from ..utils.settings import check_settings, documented, setting
from .protocol_file import (
    SERIES_TABLE,
    TABLES,
    Prepared,
    Settings,
    make_protocol,
    settings_of_tables,
)
from .series import name_temperatures
from .settings import Stage
from .watchdogs.watchdog import Watchdogs

# What a stage writes in the place of the series' temperature.
_PLACE = "T"


@documented
@dataclass(frozen=True)
class SeriesConfig:
    """The ``[series]`` table of a protocol.

    Raises
    ------
    ValueError
        If there are less than two temperatures, or one is out of range.
    """

    temperatures_k: tuple[float, ...] = setting(
        about="Temperatures at which the stages run, one after the other. A stage has "
        'it where it says no temperature_k, or "T"',
        unit="K",
        above=0.0,
        maximum=1e6,
    )

    def __post_init__(self) -> None:
        check_settings(self, SERIES_TABLE)
        name_temperatures(self.temperatures_k)


class Series(NamedTuple):
    """Arguments of ``run_series``.

    Attributes
    ----------
    prepared : Prepared
    stages : dict of float to list of Stage
        By temperature in K.
    watchdogs : Watchdogs or None
    sampling : Sampling
        Variables, restraints and bias.
    """

    prepared: Prepared
    stages: dict[float, list[Stage]]
    watchdogs: Watchdogs | None
    sampling: Sampling


def is_series(path: str | Path) -> bool:
    """Tell whether a protocol has a table ``[series]``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or no TOML, or has an unknown table.
    """
    return SERIES_TABLE in read_tables(path, (*TABLES, SERIES_TABLE))


def read_series(
    path: str | Path, *, trust: bool = False, run: PlannedRun = UNKNOWN
) -> Series:
    """Read a protocol with a table ``[series]`` and build its System.

    Stages run at each temperature of ``[series]``. A stage that says no
    ``temperature_k``, nor does ``[run]``, has that temperature, and so has the text
    ``"T"`` in a ramp: ``temperature_k = [50, "T"]``.

    Parameters
    ----------
    path : path
    trust : bool
    run : PlannedRun
        As ``read_protocol``.

    Returns
    -------
    Series

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_protocol``, or if no stage has the temperature of the series.
    """
    path = Path(path)
    first, stages = read_series_settings(path)
    protocol = make_protocol(first, path, trust=trust, run=run)
    return Series(protocol.prepared, stages, protocol.watchdogs, protocol.sampling)


def read_series_settings(path: str | Path) -> tuple[Settings, dict[float, list[Stage]]]:
    """Read the tables of a protocol at several temperatures, and nothing they name.

    Returns
    -------
    settings : Settings
        With the stages at the first temperature.
    stages : dict of float to list of Stage
        By temperature in K.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_series``.
    """
    path = Path(path)
    content = read_tables(path, (*TABLES, SERIES_TABLE))
    table = content.pop(SERIES_TABLE, {})
    config = from_mapping(SeriesConfig, table, f"{path} [{SERIES_TABLE}]")
    settings = {
        kelvin: settings_of_tables(_at(content, kelvin, path), path)
        for kelvin in config.temperatures_k
    }
    first = next(iter(settings.values()))
    if first.umbrella is not None:
        raise ValueError(
            f"{path}: expected umbrella windows at one temperature, found the tables "
            f"[umbrella] and [{SERIES_TABLE}]"
        )
    return first, {kelvin: one.stages for kelvin, one in settings.items()}


def _at(content: dict[str, Any], kelvin: float, path: Path) -> dict[str, Any]:
    """Put a temperature into the tables of the stages where they ask for it."""
    common, tables = content.get("run", {}), content.get("stages", [])
    if not isinstance(common, dict) or not isinstance(tables, list):
        return content  # refused by what reads the protocol
    stages, asked = [], False
    for table in tables:
        if isinstance(table, dict):
            given = (common | table).get("temperature_k", _PLACE)
            levels = given if isinstance(given, list) else [given]
            asked = asked or _PLACE in levels
            table = table | {"temperature_k": [_level(x, kelvin) for x in levels]}
        stages.append(table)
    if stages and not asked:
        raise ValueError(
            f"{path}: expected a stage at the temperatures of [{SERIES_TABLE}], which "
            f'says no temperature_k or "{_PLACE}", found none of {len(stages)}'
        )
    without = {name: x for name, x in common.items() if name != "temperature_k"}
    return content | {"run": without, "stages": stages}


def _level(value: Any, kelvin: float) -> Any:
    return kelvin if value == _PLACE else value
