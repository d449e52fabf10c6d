# SPDX-License-Identifier: MIT
"""Reporters of frames that stay readable after a kill: XTC, HDF5 with velocities."""

import contextlib
import importlib.util
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app

from ..forces import masses_of
from ..runs.names import parts_of
from ..utils.files import replacing
from ..utils.hdf5 import check_hdf5, open_hdf5
from .table import check_interval, next_report

# Largest size of a part file that frames are still added to.
_PART_BYTES = 16_000_000


class XTCReporter:
    """Write positions, not wrapped into the box, as XTC.

    It differs from OpenMM's reporter of that name: each frame reaches the file in a
    single write, and a file that has vanished is an error.

    Parameters
    ----------
    file : path
        Frames are appended to it. Without ``append``, the first one makes or replaces
        it.
    interval : int
        Steps between frames.
    append : bool
        Whether the file must exist and is continued.

    Raises
    ------
    ValueError
        If the interval is below 1.
    """

    def __init__(self, file: str | Path, interval: int, append: bool = False) -> None:
        check_interval(interval)
        self.path, self._interval, self.append = Path(file), interval, append
        self._started = append

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        return next_report(simulation, self._interval, "positions")

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Append a frame; OpenMM calls this."""
        if not self._started:
            # a run that is resumed may have set append meanwhile
            if not (self.append and self.path.exists()):
                self.path.write_bytes(b"")
            self._started = True
        box, positions = state.getPeriodicBoxVectors(), state.getPositions(asNumpy=True)
        append_bytes(self.path, xtc_frame(simulation, positions, box))


class HDF5Reporter:
    """Write positions and velocities in mdtraj's HDF5 format, safe against kills.

    A kill during a write can ruin an HDF5 file. So frames are collected, and ``commit``
    adds them to a copy of the youngest of several part files, which then takes its
    place. ``finish`` makes one file of the parts. ``run(velocity_interval=...)`` makes
    this reporter and calls both; if you give one to a Simulation, call them yourself.

    Parameters
    ----------
    file : path
        Name of the finished file; parts are in the folder ``file.parts``.
    interval : int
        Steps between frames.
    frames : int
        Number of existing frames to keep.
    checksum : int, optional
        What the attribute was for these frames, to be compared.

    Attributes
    ----------
    checksum : int
        CRC-32 of all frames that were written.

    Raises
    ------
    ImportError
        If a package that writes HDF5 is missing.
    ValueError
        If the interval is below 1, there are fewer frames, or they have changed.
    """

    def __init__(
        self,
        file: str | Path,
        interval: int,
        frames: int = 0,
        checksum: int | None = None,
    ) -> None:
        check_hdf5_writer()
        check_interval(interval)
        self.path, self._interval = Path(file), interval
        self.frames = self.checksum = 0
        self._folder = parts_of(self.path)
        self._waiting: list[dict[str, Any]] = []
        self._topology = self._masses = None
        self._cut(frames, checksum)

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        return next_report(simulation, self._interval, "positions", "velocities")

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Collect a frame; OpenMM calls this."""
        if self._topology is None:
            import mdtraj

            self._topology = mdtraj.Topology.from_openmm(simulation.topology)
            # They may be others than those of the elements.
            self._masses = masses_of(simulation.system)
        frame = {
            "coordinates": state.getPositions(asNumpy=True)._value,
            "velocities": state.getVelocities(asNumpy=True)._value,
            "time": state.getTime()._value,
        }
        if simulation.topology.getPeriodicBoxVectors() is not None:
            from mdtraj.utils import box_vectors_to_lengths_and_angles

            box = state.getPeriodicBoxVectors(asNumpy=True)._value
            cell = box_vectors_to_lengths_and_angles(*box)  # nm, and degrees
            frame |= {"cell_lengths": cell[:3], "cell_angles": cell[3:]}
        self._waiting.append(frame)

    def commit(self) -> None:
        """Write all frames to the disk.

        Raises
        ------
        OSError
            If it is full, for instance; earlier commits stay.
        """
        if not self._waiting:
            return
        self._folder.mkdir(exist_ok=True)
        parts = self._parts()
        part = parts[-1] if parts else self._folder / "00000.h5"
        if part.exists() and part.stat().st_size > _PART_BYTES:
            part = self._folder / f"{len(parts):05d}.h5"
        with replacing(part) as partial:
            if part.exists():
                shutil.copyfile(part, partial)
            frames = {
                name: np.stack([frame[name] for frame in self._waiting])
                for name in self._waiting[0]
            }
            _append(partial, self._topology, frames, self._masses)
        self.checksum = _add_to_checksum(self.checksum, frames)
        self.frames += len(self._waiting)
        self._waiting.clear()

    def finish(self) -> None:
        """Join the parts in one file."""
        self.commit()
        if not self._folder.exists():
            return
        parts = self._parts()
        if len(parts) == 1:
            os.replace(parts[0], self.path)
        elif parts:
            _join(parts, self.path)
        shutil.rmtree(self._folder)

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("?????.h5"))

    def _cut(self, frames: int, checksum: int | None) -> None:
        """Cut the existing frames to that many, in parts; check them first."""
        if frames == 0:
            self.path.unlink(missing_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        files = [self.path] if self.path.exists() else self._parts()
        self.checksum, count = _checksum(files, frames)
        where = self.path if self.path.exists() else self._folder
        if count < frames:
            raise ValueError(
                f"expected {frames} frames with velocities in {where}, as the "
                f"checkpoint has it, found {count}; bring the files back, or start "
                "anew (overwrite=True, --force)"
            )
        if checksum not in (None, self.checksum):
            raise ValueError(
                f"expected the {frames} frames with velocities in {where} as the run "
                "wrote them, found a file that is damaged or was changed; bring it "
                "back, or start anew (overwrite=True, --force)"
            )
        # A finished run that is to be longer; parts beside it are left over.
        if self.path.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            os.replace(self.path, self._folder / "00000.h5")
        for part in self._parts():
            length, keep = _length(part), frames - self.frames
            if keep <= 0:
                part.unlink()
            elif length > keep:
                _join([part], part, keep)
            self.frames += min(length, max(keep, 0))


def check_hdf5_writer() -> None:
    """Refuse to write HDF5 where a package for it is missing.

    Raises
    ------
    ImportError
    """
    names = ("mdtraj", "tables")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            "velocities in HDF5 (velocity_interval) expect mdtraj and tables, found no "
            f"{' and no '.join(missing)}; pip install 'openmm-allegro[hdf5]'"
        )


def xtc_frame(simulation: app.Simulation, positions: Any, box: Any) -> bytes:
    """Write positions at the simulation's step as a frame of XTC.

    OpenMM writes piece by piece, here into memory.
    """
    memory = os.memfd_create("frame")
    try:
        # An interval of 1: the step of each frame is given.
        file = app.XTCFile(
            f"/proc/self/fd/{memory}",
            simulation.topology,
            simulation.integrator.getStepSize(),
            simulation.currentStep,
            1,
        )
        file.writeModel(positions, periodicBoxVectors=box)
        return os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        os.close(memory)


def append_bytes(path: Path, content: bytes) -> None:
    """Append to a file that must exist, in one write.

    Raises
    ------
    OSError
        If it does not exist, or not all could be written. It is unchanged then.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        written = 0
        try:
            while written < len(content):
                written += os.write(descriptor, content[written:])
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _append(
    path: Path, topology: Any, frames: dict[str, np.ndarray], masses: Any = None
) -> None:
    is_new = not path.exists()
    try:
        with open_hdf5(path, "w" if is_new else "a") as file:
            if is_new:
                file.topology = topology
            file.write(**frames)
        if is_new and masses is not None:
            with open_hdf5(path, "a") as file:
                values = np.asarray(masses, dtype=float)
                file.root._v_file.create_array("/", "masses", values)
    except RuntimeError as error:  # PyTables' HDF5ExtError
        raise OSError(f"could not write {path} ({str(error).splitlines()[-1]})") from (
            error
        )


def _join(parts: list[Path], target: Path, keep: int | None = None) -> None:
    """Join files, each with at most ``keep`` frames."""
    names = ("coordinates", "velocities", "time", "cell_lengths", "cell_angles")
    with replacing(target) as partial:
        for part in parts:
            with open_hdf5(part) as file:
                frames = file.read(n_frames=keep)
                columns = {name: getattr(frames, name) for name in names}
                topology, masses = file.topology, None
                if "masses" in file.root:
                    masses = file.root.masses[:]
            columns = {n: c for n, c in columns.items() if c is not None}
            _append(partial, topology, columns, masses)


def _checksum(files: list[Path], wanted: int) -> tuple[int, int]:
    """Checksum of the first frames in files, and how many of them can be read."""
    checksum = count = 0
    for path in files:
        with contextlib.suppress(OSError):  # counts as no frames, below
            check_hdf5(path)
        try:
            with open_hdf5(path) as file:
                while count < wanted:
                    frames = file.read(n_frames=min(wanted - count, 100))
                    if not len(frames.time):
                        break
                    count += len(frames.time)
                    checksum = _add_to_checksum(checksum, frames._asdict())
        except Exception:  # a damaged HDF5 file raises any kind
            break
    return checksum, count


def _add_to_checksum(checksum: int, frames: dict[str, Any]) -> int:
    """Continue a checksum, frame by frame, with what HDF5 keeps: float32."""
    names = ("coordinates", "velocities", "time", "cell_lengths", "cell_angles")
    columns = [frames.get(name) for name in names]
    kept = [np.asarray(c, dtype=np.float32) for c in columns if c is not None]
    for frame in zip(*kept, strict=True):
        for values in frame:
            checksum = zlib.crc32(np.ascontiguousarray(values).tobytes(), checksum)
    return checksum


def _length(part: Path) -> int:
    with open_hdf5(part) as file:
        return len(file)
