# SPDX-License-Identifier: MIT
"""Formats of files with atoms: their names, how one is told, and what it lacks."""

import re
from pathlib import Path
from typing import NamedTuple


class Format(NamedTuple):
    """What a format of files can hold.

    Attributes
    ----------
    name : str
        As a reader of a message knows it.
    endings : tuple of str
        Endings of files' names, in small letters.
    bonds : bool
        Whether it has a place for bonds.
    frames : bool
        Whether files usually have several frames.
    topology_alone : bool
        Whether positions are in a file of their own.
    force_field : bool
        Whether it holds the parameters of a force field, or names them.
    """

    name: str
    endings: tuple[str, ...] = ()
    bonds: bool = False
    frames: bool = False
    topology_alone: bool = False
    force_field: bool = False


FORMATS = {
    "pdb": Format("PDB", (".pdb", ".ent", ".pdb.gz"), bonds=True),
    "mmcif": Format("PDBx/mmCIF", (".mmcif", ".pdbx"), bonds=True),
    "gro": Format("GROMACS gro", (".gro",)),
    "top": Format(
        "GROMACS top", (".top",), bonds=True, topology_alone=True, force_field=True
    ),
    "prmtop": Format(
        "Amber prmtop",
        (".prmtop", ".parm7", ".prm7"),
        bonds=True,
        topology_alone=True,
        force_field=True,
    ),
    "inpcrd": Format("Amber inpcrd", (".inpcrd", ".rst7", ".restrt", ".ncrst")),
    "psf": Format(
        "CHARMM psf", (".psf",), bonds=True, topology_alone=True, force_field=True
    ),
    "crd": Format("CHARMM crd", (".crd", ".cor")),
    "poscar": Format("POSCAR", (".poscar", ".vasp", ".contcar")),
    "cif": Format("CIF", (".cif",)),
    "extxyz": Format("extxyz", (".extxyz", ".exyz", ".xyz"), frames=True),
    "traj": Format("ase trajectory", (".traj",), frames=True),
    "xdatcar": Format("XDATCAR", (".xdatcar",), frames=True),
    "lammps-data": Format("LAMMPS data", (".lmp", ".data", ".lammps"), bonds=True),
    "lammps-dump": Format("LAMMPS dump", (".lammpstrj", ".dump"), frames=True),
}
# Names by endings of files that are no topology, for messages: frames of runs, ...
OTHERS = {
    ".xtc": "GROMACS XTC",
    ".trr": "GROMACS TRR",
    ".dcd": "DCD",
    **dict.fromkeys((".nc", ".netcdf", ".ncdf"), "Amber NetCDF"),
    **dict.fromkeys((".h5", ".hdf5"), "HDF5"),
}
AS_POSITIONS = frozenset(OTHERS.values())
# ... and what has no frames.
OTHERS |= {".xml": "XML of OpenMM", ".chk": "a checkpoint", ".csv": "a table"}
OTHERS |= {".json": "JSON", ".safetensors": "a model file", ".toml": "TOML"}
_BY_NAME = (
    (re.compile(r"(POSCAR|CONTCAR)([._-].*)?$"), "poscar"),
    (re.compile(r"XDATCAR([._-].*)?$"), "xdatcar"),
    (re.compile(r"data\..+$"), "lammps-data"),
    (re.compile(r"dump\..+$"), "lammps-dump"),
)


def format_of(path: str | Path) -> str:
    """Tell the format of a file by its name, and by its text where the name is shared.

    Returns
    -------
    str
        A key of `FORMATS`; empty if none is known.
    """
    name = Path(path).name
    for key, known in FORMATS.items():
        if name.lower().endswith(known.endings):
            return _by_text(Path(path), key)
    return next((key for pattern, key in _BY_NAME if pattern.match(name)), "")


def _by_text(path: Path, key: str) -> str:
    """Tell formats apart whose files have the same endings."""
    if key not in ("cif", "top", "crd") or not path.is_file():
        return key
    from .records import open_text  # with NumPy, which names do without

    with open_text(path) as file:
        for line in file:
            text = line.strip().lower()
            if key == "cif" and text.startswith("_atom_site."):
                return "mmcif"
            if key == "cif" and text.startswith("_atom_site_"):
                return "cif"
            if key == "top" and text.startswith(("%version", "%flag")):
                return "prmtop"
            if key == "crd" and text:
                return "crd" if text.startswith("*") else "inpcrd"
            if key == "top" and text.startswith("["):
                return "top"
    return "mmcif" if key == "cif" else key
