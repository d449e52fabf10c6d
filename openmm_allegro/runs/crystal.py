# SPDX-License-Identifier: MIT
"""Read the sites of a crystal from a CIF, POSCAR or PDB file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..units import NM_TO_ANGSTROM


class Crystal(NamedTuple):
    """Atoms and sites in the cell of a crystal.

    Attributes
    ----------
    cell : (3, 3) array
        Vectors, as rows, in nm.
    fractional : (n, 3) array
    symbols : (n,) array of str
        Element of each; of a site that several share, the first.
    labels : (n,) array of str
        Label of a CIF's site, name of a PDB's atom, else the element.
    """

    cell: np.ndarray
    fractional: np.ndarray
    symbols: np.ndarray
    labels: np.ndarray


def read_crystal(path: str | Path) -> Crystal:
    """Read a crystal's cell and its sites, those that are partly occupied too.

    Parameters
    ----------
    path : path
        CIF with its symmetry, POSCAR, PDB, or another format that ASE reads.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If ASE cannot read it, or there is no cell.
    """
    import ase.io

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a file of sites, found nothing at {path}")
    kind = path.suffix.lower().lstrip(".")
    if kind == "vasp" or path.name.upper().startswith(("POSCAR", "CONTCAR")):
        kind = "vasp"
    known = {"cif": "cif", "vasp": "vasp", "pdb": "proteindatabank"}.get(kind)
    options = {"store_tags": True} if known == "cif" else {}
    try:
        atoms = ase.io.read(path, format=known, **options)
    except Exception as error:  # each reader of ASE has errors of its own
        raise ValueError(
            f"expected a CIF, POSCAR or PDB file of sites at {path}, found "
            f"{type(error).__name__}: {error}"
        ) from error
    cell = np.array(atoms.cell) / NM_TO_ANGSTROM
    if not abs(np.linalg.det(cell)) > 0:
        raise ValueError(f"expected a cell in the file of sites {path}, found none")
    symbols = np.array(atoms.get_chemical_symbols())
    labels = symbols
    if "spacegroup_kinds" in atoms.arrays:
        names = np.array(atoms.info["_atom_site_label"], dtype=str)
        labels = names[atoms.arrays["spacegroup_kinds"]]
    elif "atomtypes" in atoms.arrays:
        labels = np.array([str(name).strip() for name in atoms.arrays["atomtypes"]])
    fractional = atoms.get_scaled_positions(wrap=True)
    return Crystal(cell, fractional, symbols, labels)
