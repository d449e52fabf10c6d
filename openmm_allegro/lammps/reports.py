# SPDX-License-Identifier: MIT
"""Cut what LAMMPS wrote of a stage to a step, each frame and line once.

Nothing here loses a frame or a line up to that step, whenever it is interrupted: what
is joined is removed from its own file only when it is on the disk.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runs.trajectories.gromacs import index_xtc
from ..utils.files import flush_to_disk, replace_file

_PIECE = 2**24  # bytes that are copied at a time


class Written(NamedTuple):
    """Steps of a stage that LAMMPS wrote, in order and once each.

    Attributes
    ----------
    frames, lines : (n,) array of int
        Steps of frames, in the trajectory and after it, and of lines of the table.
    """

    frames: np.ndarray
    lines: np.ndarray

    @property
    def last(self) -> int:
        """Last step; 0 where nothing was written."""
        return int(max([0, *self.frames[-1:], *self.lines[-1:]]))


def read_written(trajectory: Path, part: Path, table: Path) -> Written:
    """Read the steps of whole frames and lines."""
    first, second = _frames(trajectory).steps, _frames(part).steps
    after = second[second > (first[-1] if len(first) else -1)]
    lines = _table(table)[1]
    return Written(np.concatenate([first, after]), np.array(sorted(lines), dtype=int))


def cut_frames(trajectory: Path, part: Path, last: int) -> None:
    """Cut a trajectory to its last frame, and join to it the frames of the part.

    Files that are damaged before that frame are left as they are, since who reads them
    is told.

    Parameters
    ----------
    trajectory, part : Path
    last : int
        Step of the last frame.
    """
    first, second = _frames(trajectory), _frames(part)
    is_damaged = first.is_damaged or second.is_damaged
    if is_damaged and last and not any(last in each.steps for each in (first, second)):
        return
    size = first.bytes_until(last)
    if trajectory.is_file() and trajectory.stat().st_size > size:
        os.truncate(trajectory, size)
    kept = first.steps[first.steps <= last]
    begin, end = (second.bytes_until(step) for step in (max([-1, *kept[-1:]]), last))
    if end > begin:
        _append(part, trajectory, begin, end)
        flush_to_disk(trajectory)
    part.unlink(missing_ok=True)


def cut_table(path: Path, last: int) -> None:
    """Cut a table to a step; without headers and lines that are there again."""
    if not path.is_file():
        return
    header, lines = _table(path)
    kept = [header, *(lines[step] for step in sorted(lines) if step <= last)]
    text = "".join(f"{line}\n" for line in kept if line)
    if text != path.read_text():
        replace_file(path, text)


class _Frames(NamedTuple):
    """Steps of the first frames of a file that are whole and in order.

    Attributes
    ----------
    steps, ends : (n,) array of int
        And bytes up to the end of each.
    is_damaged : bool
        Whether more follows than a frame that is cut short.
    """

    steps: np.ndarray
    ends: np.ndarray
    is_damaged: bool = False

    def bytes_until(self, step: int) -> int:
        """Bytes of the frames up to a step."""
        n = int(np.searchsorted(self.steps, step, side="right"))
        return int(self.ends[n - 1]) if n else 0


def _frames(path: Path) -> _Frames:
    none = np.zeros(0, dtype=np.int64)
    if not path.is_file() or not path.stat().st_size:
        return _Frames(none, none)
    index = index_xtc(path)
    is_damaged = bool(index.damage) and not index.is_cut
    if index.steps is None or index.ends is None:
        return _Frames(none, none, is_damaged)
    later = np.append(np.diff(index.steps) > 0, True)
    n = len(index.steps) if later.all() else int(np.argmin(later)) + 1
    is_damaged |= n < len(index.steps)
    return _Frames(index.steps[:n], index.ends[:n], is_damaged)


def _table(path: Path) -> tuple[str, dict[int, str]]:
    """Header of a table, and its whole lines by step: the last of each."""
    if not path.is_file():
        return "", {}
    header, *lines = path.read_text(errors="replace").split("\n")[:-1] or [""]
    by_step = {}
    for line in lines:
        cells = line.split(",")
        if (
            line != header
            and len(cells) == header.count(",") + 1
            and cells[0].isdigit()
        ):
            by_step[int(cells[0])] = line
    return header, by_step


def _append(source: Path, target: Path, begin: int, end: int) -> None:
    """Append bytes of a file to another."""
    with open(source, "rb") as reader, open(target, "ab") as writer:
        reader.seek(begin)
        for place in range(begin, end, _PIECE):
            writer.write(reader.read(min(_PIECE, end - place)))
