# SPDX-License-Identifier: MIT
"""Read the record of a run."""

from pathlib import Path
from typing import Any

from ..utils.files import read_record

# What a record holds as one number, where it holds it.
_NUMBERS = (
    "atoms",
    "completed_steps",
    "friction_per_ps",
    "hydrogen_mass_da",
    "ns_per_day",
    "pressure_bar",
    "report_interval",
    "steps",
    "timestep_fs",
)


def read_run_record(path: Path) -> dict[str, Any]:
    """Read a record without what is null.

    Raises
    ------
    ValueError
        If it is no JSON object, or has no number where one belongs.
    """
    record = {
        key: value for key, value in read_record(path).items() if value is not None
    }
    for key in _NUMBERS:
        if not isinstance(record.get(key, 0), int | float):
            raise ValueError(
                f"expected a number as {key} in {path}, found {record[key]!r}"
            )
    levels = record.get("temperature_k", 0)
    for level in levels if isinstance(levels, list) else [levels]:
        if not isinstance(level, int | float):
            raise ValueError(
                f"expected temperatures as temperature_k in {path}, found {levels!r}"
            )
    return record
