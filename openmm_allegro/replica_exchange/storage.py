# SPDX-License-Identifier: MIT
"""Repair of openmmtools' netCDF files after a kill, and their backup.

openmmtools flushes both files before it records an iteration, and none of some hundred
random kills left them broken. But HDF5 has no journal, and the two files may come from
copies of different times. So before a run is resumed, both are checked and cut to the
last iteration that is whole in both. For worse damage they are backed up now and then.
"""

import logging
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np

from ..utils.files import replacing

log = logging.getLogger(__name__)

# The next copy is made after this many times the duration of the last one.
_PATIENCE = 50.0
_LEAST_SECONDS = 1.0


class Backup:
    """Copies of the two files, in one archive that is replaced in one step."""

    def __init__(self, paths: dict[str, Path]):
        self.paths = paths
        self._due = 0.0

    def save(self, iteration: int) -> bool:
        """Copy the files, which must be synchronised, unless a copy was just made.

        Returns
        -------
        bool
            Whether a copy was made.
        """
        started = time.monotonic()
        if started < self._due:
            return False
        with (
            replacing(self.paths["backup"]) as partial,
            zipfile.ZipFile(partial, "w") as archive,
        ):
            for name in ("samples", "checkpoint"):
                archive.write(self.paths[name], name)
            archive.comment = str(iteration).encode()
        ended = time.monotonic()
        self._due = ended + max(_LEAST_SECONDS, _PATIENCE * (ended - started))
        return True


def repair(paths: dict[str, Path]) -> int | None:
    """Cut the files to their last whole checkpoint, or restore them from the backup.

    Returns
    -------
    int or None
        Iteration of the checkpoint. None if there is no checkpoint: then a new start
        loses nothing.
    """
    whole = _last_whole(paths)
    saved = _saved(paths)
    if saved is not None and (whole is None or saved > whole):
        log.warning(
            "%s: found damaged files; resuming from their copy of iteration %d",
            paths["samples"],
            saved,
        )
        with zipfile.ZipFile(paths["backup"]) as archive:
            for name in ("samples", "checkpoint"):
                with replacing(paths[name]) as partial, open(partial, "wb") as copy:
                    shutil.copyfileobj(archive.open(name), copy)
        whole = _last_whole(paths)
    if whole is not None:
        _rewind(paths, whole)
    return whole


def _last_whole(paths: dict[str, Path]) -> int | None:
    """Find the last iteration with a checkpoint up to which all can be read."""
    import netCDF4

    try:
        with netCDF4.Dataset(paths["samples"]) as file:
            last = int(file["last_iteration"][0])
            interval = int(file.CheckpointInterval)
            identity = file.UUID
            energies = file["energies"][: last + 1]
            states = np.sort(file["states"][: last + 1], axis=1)
        whole = _finite(energies)
        whole[: len(states)] &= (states == np.arange(states.shape[1])).all(axis=1)
        whole[len(states) :] = False
        broken = np.flatnonzero(~whole)
        last = broken[0] - 1 if len(broken) else len(whole) - 1
        with netCDF4.Dataset(paths["checkpoint"]) as file:
            if file.UUID != identity:
                return None
            positions = file["positions"]
            row = min(last // interval, positions.shape[0] - 1)
            while row >= 0:
                frame = positions[row][None]
                if _finite(frame)[0]:
                    return int(row * interval)
                row -= 1
    # a damaged HDF5 file can raise any of these
    except (OSError, RuntimeError, IndexError, KeyError, AttributeError, ValueError):
        pass
    return None


def _finite(values: np.ma.MaskedArray) -> np.ndarray:
    """Flag the rows that were written and hold only finite numbers."""
    axes = tuple(range(1, values.ndim))
    return np.isfinite(np.ma.filled(values.astype(float), np.nan)).all(axis=axes)


def _saved(paths: dict[str, Path]) -> int | None:
    """Read the iteration of the backup, if there is one."""
    try:
        with zipfile.ZipFile(paths["backup"]) as archive:
            return int(archive.comment)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def _rewind(paths: dict[str, Path], iteration: int) -> None:
    """Make an iteration the last; the run will write over those after it."""
    import netCDF4

    with netCDF4.Dataset(paths["samples"], "a") as file:
        if int(file["last_iteration"][0]) != iteration:
            file["last_iteration"][0] = iteration
