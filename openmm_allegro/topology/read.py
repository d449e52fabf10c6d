# SPDX-License-Identifier: MIT
"""Read the atoms of a file of any format that holds both them and their positions."""

from collections.abc import Mapping
from pathlib import Path

from .formats import AS_POSITIONS, FORMATS, OTHERS, format_of
from .frames import OF_ASE, read_frame
from .gro import read_gro
from .pdb import read_pdb
from .records import Records

# Formats that are read here; of others a library makes more than records.
READ_HERE = ("pdb", "gro", "lammps-data", *OF_ASE)


def read_records(
    path: str | Path,
    given: Mapping[str, str] | None = None,
    *,
    frame: int | None = None,
    atom_style: str = "",
) -> Records:
    """Read the atoms of one frame, as `frames.read_frame` does where ase reads it.

    A file of no known name is read as PDB.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, does not say what is needed, or an option is given that
        its format has no use for.
    """
    path, kind = Path(path), format_of(path) or "pdb"
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file with atoms and positions, found nothing at {path}"
        )
    if atom_style and kind != "lammps-data":
        raise ValueError(
            f"expected atom_style (--atom-style) beside LAMMPS data alone, found "
            f"{FORMATS[kind].name} at {path}"
        )
    if frame is not None and kind not in OF_ASE:
        names = ", ".join(FORMATS[k].name for k in OF_ASE)
        raise ValueError(
            f"expected a frame (--frame) of {names} or, as positions, of XTC, TRR, "
            f"DCD, NetCDF, HDF5 or LAMMPS dump, found {FORMATS[kind].name} at "
            f"{path}, of which the first is taken"
        )
    if kind == "pdb":
        try:
            return read_pdb(path)
        except ValueError as error:
            if format_of(path):
                raise
            name = OTHERS.get(path.suffix.lower(), "")
            if not name:
                text = f"{error}; its name tells no other format"
                raise ValueError(text) from error
            remedy = "; positions (--positions) takes it beside a topology"
            raise ValueError(
                f"expected a file with atoms and positions, found {name} at {path}"
                f"{remedy if name in AS_POSITIONS else ''}"
            ) from error
    if kind == "gro":
        return read_gro(path)
    return read_frame(path, kind, given, frame=frame, atom_style=atom_style)
