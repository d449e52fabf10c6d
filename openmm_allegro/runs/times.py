# SPDX-License-Identifier: MIT
"""Times of frames, where a file has any that can be relied on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..topology.formats import FORMATS, format_of
from .run import Run
from .trajectories.index import FrameIndex

# Formats without an index that may have times all the same.
_MAY_HAVE_TIMES = (".gro", ".dtr", ".stk", ".nc", ".netcdf", ".ncdf")


class Times(NamedTuple):
    """Times of the frames of a file.

    Attributes
    ----------
    values : (n_frames,) array or None
        In ps; None if there are none, or none that can be relied on.
    reason : str
        Reason why there are none, for the reader of an error.
    repeated : (n_frames,) array of bool or None
        Frames whose time comes again later, as after a restart: a later one stands for
        each. None where nothing tells.
    """

    values: np.ndarray | None
    reason: str
    repeated: np.ndarray | None


def read_times(run: Run) -> Times | None:
    """Read the times of a run's frames; None where only the frames themselves tell."""
    index, path = run.index, run.trajectory
    if path is None:
        return None
    if index is None:
        if path.suffix.lower() in _MAY_HAVE_TIMES:
            return None
        return Times(None, _no_times(path), None)
    if index.n_frames == 0:
        return None  # what is wrong with the file is said when it is read
    values, reason = _reliable(index, path)
    marks = index.steps if values is None else values
    if run.frames_at_once > 1:  # a run cuts them to its checkpoint
        return Times(values, reason, None)
    if marks is None or (values is None and np.ptp(marks) == 0):
        return Times(values, reason, None)
    return Times(values, reason, repeated(marks))


def times_of_pieces(pieces: Sequence[Times | None]) -> list[Times | None]:
    """Mark what is repeated in the pieces of one run, in later pieces too."""
    if any(piece is None or piece.values is None for piece in pieces):
        return list(pieces)
    marks = repeated(np.concatenate([piece.values for piece in pieces]))
    ends = np.cumsum([len(piece.values) for piece in pieces])[:-1]
    parts = np.split(marks, ends)
    return [
        piece._replace(repeated=part) for piece, part in zip(pieces, parts, strict=True)
    ]


def check_times(run: Run, times: Times | None) -> None:
    """Raise ValueError unless the frames of a run have times."""
    if times is None or times.values is not None:
        return
    raise ValueError(
        f"expected times of the frames of {run.trajectory}, found none "
        f"({times.reason}); give the time between frames with --time-step (time_step), "
        "in ps"
    )


def check_numbers(run: Run, times: np.ndarray) -> None:
    """Raise ValueError if times (n,) of frames are integers: numbers of the frames."""
    if np.issubdtype(times.dtype, np.integer):
        check_times(run, Times(None, "their numbers stand for them", None))


def _reliable(index: FrameIndex, path: Path) -> tuple[np.ndarray | None, str]:
    """Choose the times of a file, or say why there are none."""
    times = index.times
    if times is None:
        return None, _no_times(path)
    if len(times) < 2:
        return times, ""
    if not np.isfinite(times).all():
        return None, f"that of frame {int(np.argmin(np.isfinite(times)))} is no number"
    if np.ptp(times) == 0:
        return None, f"all are {times[0]:g} ps"
    # Steps of 1 ps are no molecular dynamics: who had no times wrote both as numbers,
    # of all frames or of some.
    numbers = np.arange(len(times)) if index.steps is None else index.steps
    if np.array_equal(times, numbers):
        listed = ", ".join(f"{time:g}" for time in times[:3])
        return None, f"{listed}, ... are the numbers of the frames"
    return times, ""


def _no_times(path: Path) -> str:
    known = FORMATS.get(format_of(path))
    kind = path.suffix[1:].upper() or (known.name if known else path.name)
    return f"{kind} files hold none, or none that can be relied on"


def repeated(values: np.ndarray) -> np.ndarray:
    """Mark values (n,) that are not below all later ones."""
    if len(values) == 0:
        return np.zeros(0, dtype=bool)
    later = np.minimum.accumulate(values[::-1])[::-1][1:]
    return np.append(values[:-1] >= later, False)
