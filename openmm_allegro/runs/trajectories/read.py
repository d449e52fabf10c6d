# SPDX-License-Identifier: MIT
"""Read frames of any format, so that a damaged file is an error and no crash."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...topology.formats import FORMATS, format_of
from ...topology.frames import iterate_frames, placed
from ...topology.lammps_data import read_lammps_data
from ...utils.child import ChildEnded, from_child
from ..names import WITH_TOPOLOGY
from ..table import Unreadable
from .dcd import index_dcd
from .gromacs import index_trr, index_xtc
from .index import DamagedFrame, FrameIndex, Piece
from .lammps import index_dump, read_dump
from .libraries import index_hdf5, index_netcdf

# Read here, since they run in no foreign code.
_INDICES: dict[str, Callable[[Path], FrameIndex | None]] = {
    ".xtc": index_xtc,
    ".trr": index_trr,
    ".dcd": index_dcd,
}
# Read in a child.
_OF_LIBRARIES: dict[str, Callable[[Path], FrameIndex | None]] = {
    **dict.fromkeys((".nc", ".netcdf", ".ncdf"), index_netcdf),
    **dict.fromkeys(WITH_TOPOLOGY, index_hdf5),
}
# Formats that mdtraj does not read, or reads without their cells.
_FRAMES = ("extxyz", "traj", "xdatcar", "poscar", "cif", "lammps-data")
# Positions, times, and lengths and angles of cells.
_Arrays = tuple[np.ndarray, np.ndarray, Any, Any]


def read_index(path: Path) -> FrameIndex | None:
    """Index the frames of a file; None for a format without an index.

    Raises
    ------
    Unreadable
        If it cannot be read, or has units that nothing here knows.
    """
    ending, kind = path.suffix.lower(), format_of(path)
    try:
        if kind == "lammps-dump":
            return index_dump(path)
        if ending in _INDICES:
            return _INDICES[ending](path)
        if ending in _OF_LIBRARIES:
            index = partial(_OF_LIBRARIES[ending], path)
            return next(from_child(lambda: [index()]))
    except ChildEnded as error:
        return FrameIndex(0, damage=str(error))
    except (OSError, ValueError) as error:
        text = str(error)
        if str(path) not in text:
            text = f"expected a trajectory at {path}, found {text}"
        raise Unreadable(text) from error
    _check_format(path, kind)
    return None


def read_chunks(
    path: Path,
    topology: Any,
    of_file: Path,
    index: FrameIndex | None,
    size: int,
    first: int = 0,
) -> Iterator[Any]:
    """Read all frames that are whole, as mdtraj.Trajectory of `size` frames each.

    The topology is that of a file, for messages. Frames before ``first`` are not read.

    Times of frames that have none are the numbers of the frames, integers.

    Raises
    ------
    Unreadable
        At the first frame that is damaged, after those before it.
    """
    from mdtraj import Trajectory

    if index is not None and index.pieces:
        for piece in _pieces(index):
            of_piece, first = piece.index, piece.first
            yield from read_chunks(piece.path, topology, of_file, of_piece, size, first)
        return
    if index is not None and index.n_atoms not in (None, topology.n_atoms):
        raise Unreadable(
            f"expected a trajectory at {path} with the {topology.n_atoms} atoms of "
            f"{of_file}, found one of {index.n_atoms} atoms"
        )
    done = first
    make: Callable[[], Iterator[_Arrays]] = partial(
        _arrays, path, topology, index, size, first
    )
    try:
        for xyz, times, lengths, angles in from_child(make):
            if index is not None and index.times is not None:
                times = index.times[done : done + len(xyz)]
            yield Trajectory(xyz, topology, times, lengths, angles)
            done += len(xyz)
    except ChildEnded as error:
        number = _frame_of_crash(path, topology, index, done)
        raise _damaged(path, number, str(error), index) from error
    except DamagedFrame as error:
        raise _damaged(path, *error.args, index) from error
    except Unreadable:
        raise
    except Exception as error:  # whatever a reader makes of other bytes
        number = _frame_of_crash(path, topology, index, done)
        if number and index is not None:
            raise _damaged(path, number, _last_line(error), index) from error
        raise Unreadable(
            f"expected a trajectory at {path} with the {topology.n_atoms} atoms of "
            f"{of_file}, found {type(error).__name__}: {_last_line(error)}"
        ) from error
    if index is not None and index.damage and not (index.is_cut and index.n_frames):
        raise _damaged(path, index.n_frames, index.damage, index)


def _check_format(path: Path, kind: str) -> None:
    """Refuse files that mdtraj would take for others."""
    if kind in ("crd", "top", "psf", "prmtop"):
        raise Unreadable(
            f"expected a trajectory at {path}, found {FORMATS[kind].name}; "
            + (
                "write the coordinates as PDB or DCD"
                if kind == "crd"
                else "a topology comes last, behind its trajectories"
            )
        )


def _pieces(index: FrameIndex) -> Iterator[Piece]:
    """Give the pieces of a trajectory, as far as its frames go."""
    left = index.n_frames
    for piece in index.pieces:
        n_frames = piece.index.n_frames
        last = min(n_frames, piece.first + left)
        left -= last - piece.first
        if last < n_frames or not index.damage:  # what comes after is not asked for
            whole = piece.index._replace(n_frames=last, damage="", is_cut=False)
            piece = piece._replace(index=whole)
        damaged = piece.index.damage and not piece.index.is_cut
        if last > piece.first or damaged:
            yield piece


def _arrays(
    path: Path, topology: Any, index: FrameIndex | None, size: int, first: int = 0
) -> Iterator[_Arrays]:
    """Yield positions in nm, times, and lengths and angles of cells, in the child."""
    if index is not None and index.n_frames == 0:
        return
    if format_of(path) in _FRAMES and not _is_plain_xyz(path):
        yield from _frame_arrays(path, topology, size, first)
        return
    if format_of(path) == "lammps-dump":
        yield from _dump_arrays(path, topology.n_atoms, index, size, first)
        return
    done = first
    for chunk in _mdtraj_chunks(path, topology, index, size, first):
        if not chunk.n_frames:
            continue
        if chunk.n_atoms != topology.n_atoms:
            raise ValueError(f"{chunk.n_atoms} atoms")
        wrong = _wrong_cell(chunk.unitcell_lengths, chunk.unitcell_angles)
        if wrong is not None:
            raise DamagedFrame(done + wrong, "a cell that is impossible")
        if index is not None and index.extent is not None:
            misfit = index.extent.misfit(done, chunk.xyz)
            if misfit is not None:
                reason = "coordinates beyond the bounds in its header"
                raise DamagedFrame(misfit, reason)
        done += chunk.n_frames
        yield chunk.xyz, chunk.time, chunk.unitcell_lengths, chunk.unitcell_angles


def _wrong_cell(lengths: Any, angles: Any) -> int | None:
    """Find the first frame of a chunk with a cell that cannot be.

    A length of 0 is no cell, if all frames have it.
    """
    if lengths is None or angles is None:
        return None
    with np.errstate(invalid="ignore"):
        good = np.isfinite(lengths).all(axis=1) & (np.abs(lengths) < 1e6).all(axis=1)
        good &= (lengths >= 0).all(axis=1)
        good &= ((lengths == 0) == (lengths[0] == 0)).all(axis=1)
        empty = (lengths == 0).any(axis=1)
        # Three edges span a volume if no angle is as large as the sum of the others.
        total, widest = angles.sum(axis=1), angles.max(axis=1)
        good &= empty | ((total < 360) & (2 * widest < total) & (widest < 180))
    return None if good.all() else int(np.argmin(good))


def _mdtraj_chunks(
    path: Path, topology: Any, index: FrameIndex | None, size: int, first: int
) -> Iterator[Any]:
    import mdtraj

    own = path.suffix.lower() in WITH_TOPOLOGY
    kind = format_of(path)
    if kind in ("mmcif", "inpcrd") and index is None:
        yield _single(path, topology, kind)
        return
    if index is None:
        named = {} if own else {"top": topology}
        yield from mdtraj.iterload(str(path), chunk=size, skip=first, **named)
        return
    # A frame that is cut short would end mdtraj's reading of those before it too.
    with mdtraj.open(str(path)) as file:
        if first:
            file.seek(first)
        for start in range(first, index.n_frames, size):
            n = min(size, index.n_frames - start)
            yield file.read_as_traj(
                **({} if own else {"topology": topology}), n_frames=n
            )


def _single(path: Path, topology: Any, kind: str) -> Any:
    """Load a file of one set of positions, which mdtraj does not read in chunks."""
    import mdtraj
    from mdtraj.formats import AmberNetCDFRestartFile, AmberRestartFile

    if kind == "mmcif":
        return mdtraj.load(str(path), top=topology)[0]
    with open(path, "rb") as file:
        is_netcdf = file.read(3) == b"CDF"
    with (AmberNetCDFRestartFile if is_netcdf else AmberRestartFile)(str(path)) as file:
        return file.read_as_traj(topology)


def _dump_arrays(
    path: Path, n_atoms: int, index: FrameIndex, size: int, first: int
) -> Iterator[_Arrays]:
    from mdtraj.utils import box_vectors_to_lengths_and_angles

    frames = []
    # What comes after the last is not even looked at.
    for number, frame in zip(range(index.n_frames), read_dump(path), strict=False):
        if len(frame.positions) != n_atoms:
            raise DamagedFrame(number, f"{len(frame.positions)} atoms")
        if number >= first:
            frames.append(frame)
        if frames and (len(frames) == size or number == index.n_frames - 1):
            xyz = np.array([f.positions for f in frames], dtype=np.float32)
            cells = np.array([f.cell for f in frames]).transpose(1, 0, 2)
            cells = np.array(box_vectors_to_lengths_and_angles(*cells))
            times = np.arange(number + 1 - len(frames), number + 1)
            yield xyz, times, *(np.float32(cells.reshape(2, 3, -1)).transpose(0, 2, 1))
            frames = []


def _frame_arrays(
    path: Path, topology: Any, size: int, first: int
) -> Iterator[_Arrays]:
    """Yield arrays of files that ase reads, turned with their cells."""
    symbols = [atom.element.symbol for atom in topology.atoms]
    frames, done = [], first
    for number, frame in enumerate(_each(path, first), start=first):
        positions, cell, found = frame
        if len(found) != len(symbols):
            raise DamagedFrame(number, f"{len(found)} atoms")
        if found != symbols and format_of(path) != "lammps-data":
            raise DamagedFrame(number, "atoms of other elements, or in another order")
        frames.append((positions, cell))
        if len(frames) == size:
            yield _joined(path, frames, done)
            done, frames = done + len(frames), []
    if frames:
        yield _joined(path, frames, done)


def _is_plain_xyz(path: Path) -> bool:
    """Tell whether an xyz file has names of atoms that need be no elements."""
    if path.suffix.lower() != ".xyz":
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        comment = [file.readline() for _ in range(2)][-1]
    return "Lattice=" not in comment and "Properties=" not in comment


def _each(path: Path, first: int) -> Iterator[tuple[np.ndarray, Any, list[str]]]:
    """Give positions in nm, cell and elements of each frame."""
    kind = format_of(path)
    if kind == "lammps-data":
        atoms, names, *_ = read_lammps_data(path)
        yield (*placed(atoms, str(path)), names)
        return
    for number, atoms in enumerate(iterate_frames(path, kind)):
        if number >= first:
            where = f"{path}, frame {number}"
            yield (*placed(atoms, where), atoms.get_chemical_symbols())


def _joined(path: Path, frames: list[tuple[np.ndarray, Any]], first: int) -> _Arrays:
    """Arrays of some frames; their times are their numbers."""
    xyz = np.array([positions for positions, _ in frames], dtype=np.float32)
    cells = [cell for _, cell in frames]
    times = np.arange(first, first + len(frames))
    without = sum(cell is None for cell in cells)
    if 0 < without < len(cells):
        number = first + next(i for i, cell in enumerate(cells) if cell is None)
        raise DamagedFrame(number, "no cell, but others have one")
    if without:
        return xyz, times, None, None
    six = np.array(cells, dtype=np.float32)
    return xyz, times, six[:, :3], six[:, 3:]


def _frame_of_crash(
    path: Path, topology: Any, index: FrameIndex | None, done: int
) -> int:
    """Read frames one at a time until the child ends again."""
    try:
        for _ in from_child(partial(_arrays, path, topology, index, 1, done)):
            done += 1
    except DamagedFrame as error:
        return error.args[0]
    except Exception:  # the frame that it could not read
        pass
    return done


def _damaged(
    path: Path, number: int, reason: str, index: FrameIndex | None
) -> Unreadable:
    if number == 0 and (index is None or not index.n_frames):
        return Unreadable(f"expected a trajectory at {path}, found {reason}")
    text = f"expected whole frames in {path}, found frame {number}"
    text += f" (counted from 0) damaged: {reason}"
    if number and index is not None and index.times is not None:
        text += f"; --stop {index.times[number - 1]:.6g} takes those before it"
    return Unreadable(text)


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[-1]
