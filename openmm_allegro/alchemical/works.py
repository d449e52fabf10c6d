# SPDX-License-Identifier: MIT
"""Works of switches, as a table, and their checkpoint."""

import csv
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm

from ..utils.files import replace_file

_COLUMNS = ("direction", "switch", "start (step)", "work (kJ/mol)")


class Switch(NamedTuple):
    """A switch: its direction, its number from 0, and its work in kJ/mol."""

    direction: str
    number: int
    start: int
    work: float


class Saved(NamedTuple):
    """Works so far, and what ``Context.createCheckpoint`` gave after the last one.

    ``made_by`` has platform, threads and version of OpenMM.
    """

    works: list[Switch]
    exact: bytes
    made_by: dict[str, Any]


def works_text(works: list[Switch]) -> str:
    """Write works as CSV; a number is read back as it was."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((*switch[:3], repr(switch.work)) for switch in works)
    return text.getvalue()


def parse_works(text: str, where: Path) -> list[Switch]:
    """Read what ``works_text`` wrote.

    Raises
    ------
    ValueError
    """
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    try:
        if tuple(header) != _COLUMNS:
            raise ValueError(f"the columns {header}")
        return [Switch(d, int(i), int(s), float(w)) for d, i, s, w in rows]
    except ValueError as error:
        raise ValueError(
            f"expected a table of works in {where}, found {error}"
        ) from error


def read_works(path: Path) -> dict[str, np.ndarray]:
    """Read the works of each direction, in kJ/mol and in order, from a table.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected works of switches, found nothing at {path}")
    works: dict[str, list[float]] = {}
    for switch in parse_works(path.read_text(), path):
        works.setdefault(switch.direction, []).append(switch.work)
    return {direction: np.array(values) for direction, values in works.items()}


def save_works(paths: dict[str, Path], saved: Saved) -> None:
    """Replace the checkpoint in one step, then the table."""
    buffer, text = io.BytesIO(), works_text(saved.works)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("works.csv", text)
        archive.writestr("openmm.chk", saved.exact)
        archive.writestr("made_by.json", json.dumps(saved.made_by))
    replace_file(paths["checkpoint"], buffer.getvalue())
    replace_file(paths["works"], text)


def load_works(paths: dict[str, Path]) -> Saved:
    """Read the checkpoint; an empty one if there is none.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    path = paths["checkpoint"]
    if not path.exists():
        return Saved([], b"", {})
    try:
        with zipfile.ZipFile(path) as archive:
            works = parse_works(archive.read("works.csv").decode(), path)
            made_by = json.loads(archive.read("made_by.json"))
            return Saved(works, archive.read("openmm.chk"), made_by)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError) as error:
        raise ValueError(
            f"expected a checkpoint in {path}, found a damaged file ({error})"
        ) from error


def maker(context: openmm.Context, threads: int | None) -> dict[str, Any]:
    """What a checkpoint of a Context can be loaded with."""
    return {
        "platform": context.getPlatform().getName(),
        "openmm_version": openmm.version.version,
        "threads": threads,
    }
