# SPDX-License-Identifier: MIT
"""openmmtools' netCDF files after a kill: what of them is whole, and a copy of them.

openmmtools flushes both files before it says that an iteration is there, and none of
some hundreds of random kills left them broken. But HDF5 has no journal, and the files
may be copied at different times. Hence both are checked before a run goes on, back to
the last iteration that is whole in both, and are copied now and then for the rest.
"""

import logging
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np

from ..utils.files import replacing

log = logging.getLogger(__name__)

# A copy is made when the last one was this many times its own duration ago.
_PATIENCE = 50.0
_LEAST_SECONDS = 1.0


class Backup:
    """Copies of the two files, in one archive that is replaced in one step."""

    def __init__(self, paths: dict[str, Path]):
        self.paths = paths
        self._due = 0.0

    def save(self, iteration: int) -> bool:
        """Copy the files, which must be synchronised, unless that was just done.

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
    """Make the files fit to go on from, from the backup where they are not.

    Returns
    -------
    int or None
        The checkpoint's iteration; None if there is none, and nothing is lost by
        beginning anew.
    """
    found = _last_whole(paths)
    saved = _saved(paths)
    if saved is not None and (found is None or saved > found):
        log.warning(
            "%s: found damaged files; going on from their copy of iteration %d",
            paths["samples"],
            saved,
        )
        with zipfile.ZipFile(paths["backup"]) as archive:
            for name in ("samples", "checkpoint"):
                with replacing(paths[name]) as partial, open(partial, "wb") as copy:
                    shutil.copyfileobj(archive.open(name), copy)
        found = _last_whole(paths)
    if found is not None:
        _rewind(paths, found)
    return found


def _last_whole(paths: dict[str, Path]) -> int | None:
    """The last iteration with a checkpoint up to which everything can be read."""
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
    # whatever a damaged HDF5 file may be taken for
    except (OSError, RuntimeError, IndexError, KeyError, AttributeError, ValueError):
        pass
    return None


def _finite(values: np.ma.MaskedArray) -> np.ndarray:
    """Which rows were written, with numbers."""
    axes = tuple(range(1, values.ndim))
    return np.isfinite(np.ma.filled(values.astype(float), np.nan)).all(axis=axes)


def _saved(paths: dict[str, Path]) -> int | None:
    try:
        with zipfile.ZipFile(paths["backup"]) as archive:
            return int(archive.comment)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def _rewind(paths: dict[str, Path], iteration: int) -> None:
    """Forget what comes after; it is written over as the run goes on."""
    import netCDF4

    with netCDF4.Dataset(paths["samples"], "a") as file:
        if int(file["last_iteration"][0]) != iteration:
            file["last_iteration"][0] = iteration
