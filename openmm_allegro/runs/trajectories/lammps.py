# SPDX-License-Identifier: MIT
"""Dumps of LAMMPS as text: any order of atoms, scaled coordinates, units."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .index import DamagedFrame, FrameIndex

# Columns of coordinates by preference, and whether they are parts of the cell.
_COLUMNS = (
    (("x", "y", "z"), False),
    (("xu", "yu", "zu"), False),
    (("xs", "ys", "zs"), True),
    (("xsu", "ysu", "zsu"), True),
)
# Lengths in nm and times in ps of the styles of LAMMPS's command "units".
_STYLES = {
    "real": (0.1, 1e-3),
    "metal": (0.1, 1.0),
    "si": (1e9, 1e12),
    "cgs": (1e7, 1e12),
    "electron": (0.0529177210903, 1e-3),
    "micro": (1e3, 1e6),
    "nano": (1.0, 1e3),
}
_START = b"ITEM: TIMESTEP"
# What comes before the line of a step.
_UNITS = re.compile(rb"ITEM: UNITS\r?\n[^\n]*\n")
_BEFORE = re.compile(rb"(?:ITEM: (?:UNITS|TIME)\r?\n[^\n]*\n)*\Z")


class DumpFrame(NamedTuple):
    """Frame of a dump.

    Attributes
    ----------
    step : int
    time : float or None
        In ps, where the dump has times and units.
    positions : (n_atoms, 3) array
        In nm, in the order of the atoms' numbers.
    cell : (3, 3) array
        Rows are vectors in nm.
    """

    step: int
    time: float | None
    positions: np.ndarray
    cell: np.ndarray


def index_dump(path: Path) -> FrameIndex:
    """Index a dump by its steps, and by its times where it has them.

    LAMMPS counts steps, whose length the dump does not hold, unless it was written
    with ``dump_modify ... time yes units yes``.
    """
    steps, times, damage, is_cut, text = [], [], "", False, b""
    n_atoms = None
    for text in _texts(path):
        try:
            head = _head(text)
            factor = _factors(path, head)[1] if "UNITS" in head else None
            n_atoms = n_atoms or int(head["NUMBER OF ATOMS"][0])
            steps.append(int(head["TIMESTEP"][0]))
            if "TIME" in head and factor is not None:
                times.append(float(head["TIME"][0]) * factor)
        except _OtherUnits:
            raise
        except (IndexError, KeyError, ValueError) as error:
            damage = f"{type(error).__name__} in its header: {error}"
            break
    if steps and not damage:
        body = text.partition(b"ITEM: ATOMS")[2].split(b"\n", 1)
        lines = len(body[-1].splitlines())
        # Of a last line without its end numbers may lack digits.
        if lines < int(head["NUMBER OF ATOMS"][0]) or not text.endswith(b"\n"):
            damage, is_cut = "its end is missing", True
            steps, times = steps[:-1], times[: len(steps) - 1]
    known = np.array(times) if steps and len(times) == len(steps) else None
    marks = np.array(steps, dtype=np.int64)
    return FrameIndex(len(steps), known, marks, damage, is_cut, n_atoms=n_atoms)


def read_dump(path: Path) -> Iterator[DumpFrame]:
    """Read the frames of a dump.

    Without a line ``ITEM: UNITS`` lengths are in Å, as in units real and metal.

    Raises
    ------
    DamagedFrame
        If a frame is not what its header says.
    ValueError
        If lengths are in units of the model.
    """
    for number, text in enumerate(_texts(path)):
        try:
            yield _frame(path, text)
        except _OtherUnits:
            raise
        except (IndexError, KeyError, ValueError) as error:
            raise DamagedFrame(number, str(error)) from error


class _OtherUnits(ValueError):
    pass


def _texts(path: Path) -> Iterator[bytes]:
    """Texts of the frames, from one line of a step to before the next."""
    if path.stat().st_size == 0:
        raise ValueError("0 bytes, less than a frame")
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        start = content.find(_START)
        if start < 0:
            raise ValueError("no line ITEM: TIMESTEP")
        # Units come once in each run of LAMMPS, times before each line of a step.
        before = content[:start]
        units = b"".join(_UNITS.findall(before))
        while start >= 0:
            step = content.find(_START, start + len(_START))
            end = step if step >= 0 else len(content)
            last = _BEFORE.search(content[max(0, end - 120) : end]).group()
            text = content[start : end - len(last)]
            yield before + text
            units = b"".join(_UNITS.findall(last)) or units
            start, before = step, last if b"UNITS" in last else units + last


def _head(text: bytes) -> dict[str, list[str]]:
    """Lines below each ITEM but the atoms, and their columns as ATOMS."""
    before, mark, _ = text.partition(b"ITEM: ATOMS")
    if not mark:
        raise ValueError("no line ITEM: ATOMS")
    head: dict[str, list[str]] = {}
    for item in before.decode("ascii").split("ITEM: ")[1:]:
        title, *lines = item.rstrip("\n").split("\n")
        name = re.match(r"BOX BOUNDS|[A-Z ]+", title).group().strip()
        head[name] = [title, *lines] if name == "BOX BOUNDS" else lines
    columns = text[len(before) + len(mark) :].split(b"\n", 1)[0]
    head["ATOMS"] = columns.decode("ascii").split()
    return head


def _frame(path: Path, text: bytes) -> DumpFrame:
    head = _head(text)
    length, duration = _factors(path, head)
    n_atoms, columns = int(head["NUMBER OF ATOMS"][0]), head["ATOMS"]
    body = text.partition(b"ITEM: ATOMS")[2].split(b"\n", 1)[1].split()
    if len(body) != n_atoms * len(columns):
        raise ValueError(
            f"{n_atoms} atoms of {len(columns)} columns, but {len(body)} values"
        )
    if "id" not in columns:
        raise ValueError(f"no column id among {' '.join(columns)}")
    values = np.array(body).reshape(n_atoms, len(columns))
    numbers = values[:, columns.index("id")].astype(np.int64)
    order = np.argsort(numbers)
    if (np.diff(numbers[order]) == 0).any():
        raise ValueError("atoms with the same number")
    choices = [choice for choice in _COLUMNS if set(choice[0]) <= set(columns)]
    if not choices:
        raise ValueError(f"no coordinates among {' '.join(columns)}")
    names, scaled = choices[0]
    places = [columns.index(name) for name in names]
    positions = values[order][:, places].astype(float)
    cell, origin = _cell(head["BOX BOUNDS"])
    if scaled:
        positions = origin + positions @ cell
    time = None
    if "TIME" in head and "UNITS" in head:
        time = float(head["TIME"][0]) * duration
    return DumpFrame(int(head["TIMESTEP"][0]), time, positions * length, cell * length)


def _cell(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as rows, and the origin, of the lines BOX BOUNDS."""
    title, *rows = lines
    words = title.split()
    values = np.array([row.split() for row in rows[:3]], dtype=float)
    if "abc" in words:
        raise ValueError("a box of general vectors; dump with triclinic/general no")
    xy, xz, yz = values[:, 2] if "xy" in words else (0.0, 0.0, 0.0)
    low, high = values[:, 0], values[:, 1]
    # The bounds are those of the tilted box.
    low = low - np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    high = high - np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    lx, ly, lz = high - low
    if not min(lx, ly, lz) > 0:
        raise ValueError(f"a box of {lx:g}, {ly:g}, {lz:g}")
    return np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]]), low


def _factors(path: Path, head: dict[str, list[str]]) -> tuple[float, float]:
    """Lengths in nm and times in ps of the dump's units."""
    style = head["UNITS"][0].strip() if "UNITS" in head else "real"
    if style not in _STYLES:
        raise _OtherUnits(
            f"expected a dump in units of {', '.join(_STYLES)} at {path}, found "
            f"{style}, whose lengths are those of a model"
        )
    return _STYLES[style]
