# SPDX-License-Identifier: MIT
"""Atoms of files that ase reads: POSCAR, CIF, extxyz, XDATCAR, its trajectories."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..utils.extras import naming_extras
from .cells import turn
from .elements import find_elements
from .extxyz import check_extxyz
from .formats import FORMATS
from .lammps_data import read_lammps_data
from .names import SYMBOLS, is_symbol
from .records import Records, ResidueRecord

if TYPE_CHECKING:
    import ase

# Formats that are read here, by the names that ase has for them.
OF_ASE = {
    "poscar": "vasp",
    "cif": "cif",
    "extxyz": "extxyz",
    "traj": "traj",
    "xdatcar": "vasp-xdatcar",
}
# Parts of a site that another element or nothing may have, by rounding.
_FULL = 0.999
# Å within which two atoms of a crystal are one.
_SAME = 0.4


def read_frame(
    path: str | Path,
    kind: str,
    given: Mapping[str, str] | None = None,
    *,
    frame: int | None = None,
    atom_style: str = "",
) -> Records:
    """Read one frame of a file that ase reads, or of LAMMPS data.

    Parameters
    ----------
    path : path
    kind : str
        Key of `formats.FORMATS`: of ``OF_ASE``, or "lammps-data".
    given : mapping of str to str, optional
        Elements by names of atoms, see `elements.find_elements`. Names are the numbers
        of species, from 1 on, in a POSCAR without a line of elements, and types in
        LAMMPS data.
    frame : int, optional
        Number of the frame from 0 on; negative ones count from the end.
    atom_style : str, optional
        Of LAMMPS data.

    Returns
    -------
    Records
        A residue for each atom, which is named by its element; all elements are stated.
        Turned so that the cell's a is along x.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it cannot be read, or does not say what is needed; the option that does is
        named.
    """
    where, remarks = str(path), []
    bonds = np.empty((0, 2), dtype=int)
    if kind == "lammps-data":
        atoms, names, stated, bonds = read_lammps_data(path, atom_style)
        remarks = ["velocities of the file are left out"] * ("momenta" in atoms.arrays)
    else:
        atoms, count = _frame(Path(path), kind, frame)
        names, stated = _names(Path(path), kind, atoms)
        remarks = _remarks(atoms, kind)
        if frame is None and count > 1:
            raise ValueError(
                f"{where}: expected one frame, or the number of one (frame, --frame N "
                f"from 0 on, -1 is the last), found {count} frames"
            )
    residues = [name.upper() for name in names]
    places = list(range(len(names)))
    symbols = find_elements(names, residues, places, stated, given or {}, where)
    return _records(atoms, symbols, bonds, remarks, where)


def iterate_frames(path: Path, kind: str) -> Iterator["ase.Atoms"]:
    """Iterate over the frames of a file.

    Raises
    ------
    ValueError
        If ase cannot read it.
    """
    with naming_extras():
        from ase.io import iread

    if kind == "extxyz":
        check_extxyz(path)
    file = _with_species(path) if kind == "poscar" else str(path)
    frames = iread(file, ":", format=OF_ASE[kind], do_not_split_by_at_sign=True)
    number = 0
    while True:
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except Exception as error:  # ase raises many kinds, some bare
            raise ValueError(
                f"{path}: expected {FORMATS[kind].name} that ase can read, found in "
                f"frame {number} {type(error).__name__}: {error}"
            ) from error
        yield atoms
        number += 1
    if not number:
        raise ValueError(f"{path}: expected at least one frame, found none")


def cell_of(atoms: "ase.Atoms", where: str) -> np.ndarray | None:
    """Vectors (3, 3) in Å of a cell with periodic images; None without images.

    Raises
    ------
    ValueError
        If images are along some vectors alone, or the cell spans no volume.
    """
    pbc = np.array(atoms.pbc, dtype=bool)
    vectors = np.array(atoms.cell.array, dtype=float)
    if not pbc.any():
        return None
    if not pbc.all():
        letters = " ".join("FT"[int(x)] for x in pbc)
        raise ValueError(
            f"{where}: expected periodic images along all vectors of the cell, or "
            f'along none, found pbc="{letters}"; write pbc="T T T", for a slab with '
            'its vacuum in the cell, or pbc="F F F"'
        )
    if not abs(np.linalg.det(vectors)) > 0:
        raise ValueError(
            f"{where}: expected a cell of three vectors that span a volume, found "
            f"{vectors.tolist()} Å"
        )
    return vectors


def placed(atoms: "ase.Atoms", where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions (n, 3) in nm and cell (6,) in nm and degrees, turned with it."""
    vectors = cell_of(atoms, where)
    if vectors is None:
        return 0.1 * np.array(atoms.positions, dtype=float), None
    positions, cell = turn(atoms.positions, vectors)
    return 0.1 * positions, cell * np.array([0.1, 0.1, 0.1, 1.0, 1.0, 1.0])


def _frame(path: Path, kind: str, frame: int | None) -> tuple["ase.Atoms", int]:
    """Choose a frame, and count all."""
    if not path.is_file():
        raise FileNotFoundError(f"expected a file with atoms, found nothing at {path}")
    frames = list(iterate_frames(path, kind))
    number = 0 if frame is None else frame
    if not -len(frames) <= number < len(frames):
        raise ValueError(
            f"{path}: expected a frame (--frame) of {len(frames)}, which are counted "
            f"from 0 on, found {frame}"
        )
    return frames[number], len(frames)


def _names(
    path: Path, kind: str, atoms: "ase.Atoms"
) -> tuple[list[str], list[str | None]]:
    """Names of atoms, and the elements that the file states."""
    symbols = atoms.get_chemical_symbols()
    unknown = [i for i, symbol in enumerate(symbols) if not is_symbol(symbol)]
    if unknown:
        raise ValueError(
            f"{path}: expected an element for each atom, found {symbols[unknown[0]]} "
            f"for that of index {unknown[0]}"
        )
    if kind == "poscar" and (counts := _counts_without_elements(path)):
        names = [str(i) for i, n in enumerate(counts, 1) for _ in range(n)]
        return names, [None] * len(names)
    if kind == "cif":
        _check_occupancies(path, atoms)
        _check_copies(path, atoms)
    return symbols, list(symbols)


def _remarks(atoms: "ase.Atoms", kind: str) -> list[str]:
    """What of a frame is left out."""
    remarks = []
    if atoms.constraints:
        remarks.append(
            "the atoms that it fixes move like all others"
            if kind == "poscar"
            else "its constraints are left out"
        )
    if "momenta" in atoms.arrays:
        remarks.append("velocities of the file are left out")
    return remarks


def _records(
    atoms: "ase.Atoms",
    symbols: Sequence[str],
    bonds: np.ndarray,
    remarks: list[str],
    where: str,
) -> Records:
    positions, cell = placed(atoms, where)
    if not np.isfinite(positions).all():
        raise ValueError(f"{where}: expected finite positions, found others")
    records = Records(positions=positions, bonds=bonds, cell=cell)
    if cell is not None:
        records.vectors = 0.1 * np.array(atoms.cell.array, dtype=float)
    records.chains.append("A")
    for index, symbol in enumerate(symbols):
        records.names.append(symbol)
        records.serials.append(index + 1)
        records.residue_of.append(index)
        records.stated.append(symbol)
        records.charges.append(None)
        residue = ResidueRecord(symbol.upper(), index % 9999 + 1, "", "", 0)
        records.residues.append(residue)
    records.more_remarks += remarks
    return records


def _with_species(path: Path) -> io.StringIO:
    """Text of a POSCAR with a line of species; ase would look for them elsewhere."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if len(lines) < 8:
        raise ValueError(f"{path}: expected a POSCAR, found {len(lines)} lines")
    count = len(_counts_without_elements(path))
    if count:
        lines.insert(5, " ".join(SYMBOLS[:count]))
    return io.StringIO("\n".join([*lines, ""]))


def _counts_without_elements(path: Path) -> list[int]:
    """Numbers of atoms of each species, of a POSCAR that has no line of elements."""
    text = path.read_text(encoding="utf-8", errors="replace")
    counts = []
    for word in text.splitlines()[5].split():
        if not word.isdigit():
            break
        counts.append(int(word))
    return counts


def _check_occupancies(path: Path, atoms: "ase.Atoms") -> None:
    """Refuse sites that are partly occupied, whose atoms would be a choice."""
    sites = atoms.info.get("occupancy") or {}
    partial = [
        " ".join(f"{symbol} {part:g}" for symbol, part in parts.items())
        for parts in sites.values()
        if len(parts) > 1 or any(part < _FULL for part in parts.values())
    ]
    if partial:
        raise ValueError(
            f"{path}: expected sites of one atom each, found {len(partial)} that are "
            f"partly occupied ({'; '.join(partial[:4])}); choose an ordered cell of "
            "them (by pymatgen, ase or supercell, say) and give that"
        )


def _check_copies(path: Path, atoms: "ase.Atoms") -> None:
    """Refuse copies of an atom that symmetry would lay on it, were it not rounded."""
    from ase.neighborlist import neighbor_list

    distances = neighbor_list("d", atoms, _SAME)
    if len(distances):
        raise ValueError(
            f"{path}: expected atoms that are apart, found {len(distances) // 2} pairs "
            f"within {_SAME} Å, the nearest at {distances.min():.3f} Å: coordinates on "
            "elements of symmetry are rounded, so that their images count as other "
            "atoms; write them with more digits (0.33333333 for 1/3), or the whole cell"
        )
