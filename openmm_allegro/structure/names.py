# SPDX-License-Identifier: MIT
"""Elements of files that ase reads, where it would guess them.

It takes names of PDB and GRO files by their first letters, and types of LAMMPS for
atomic numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..topology.elements import find_elements
from ..topology.names import SITE
from ..topology.pdb import read_pdb

if TYPE_CHECKING:
    import ase


def name_reader(path: Path) -> Callable[["ase.Atoms"], None]:
    """Make a function that gives frames of a file elements that are no guesses.

    Returns
    -------
    callable
        It changes the elements of an ``ase.Atoms``, or raises ValueError where they are
        not known. Files of other formats state elements.

    Raises
    ------
    ValueError
        If a dump of LAMMPS has types in their place.
    """
    _check_dump(path)
    ending = path.suffix.lower()
    if ending not in (".pdb", ".ent", ".gro"):
        return lambda atoms: None
    known: list[str] = []

    def set_elements(atoms: "ase.Atoms") -> None:
        names = [str(name) for name in atoms.arrays["atomtypes"]]
        if len(known) != len(names):
            known[:] = _elements(atoms, names, path, ending)
        atoms.set_chemical_symbols(known)

    return set_elements


def _check_dump(path: Path) -> None:
    """Refuse a dump of LAMMPS without a column of elements."""
    with open(path, "rb") as file:
        lines = file.read(10_000).splitlines()
    if not lines or not lines[0].startswith(b"ITEM:"):
        return
    columns = next((x.split()[2:] for x in lines if x.startswith(b"ITEM: ATOMS")), [])
    if columns and b"element" not in columns:
        raise ValueError(
            f"{path}: expected a column of elements in the dump (dump ... element, and "
            "dump_modify ... element Na Cl), found types alone, which are no elements"
        )


def _elements(
    atoms: "ase.Atoms", names: list[str], path: Path, ending: str
) -> list[str]:
    """Find the elements of the atoms of a file."""
    if ending == ".gro":
        residues = [str(name) for name in atoms.arrays["residuenames"]]
        places, stated = list(range(len(names))), [None] * len(names)
    else:
        records = read_pdb(path)
        names, residues, stated = records.names, records.residue_names, records.stated
        places = records.residue_of
        if len(names) != len(atoms):
            raise ValueError(
                f"{path}: expected one location of each atom, found {len(atoms)} "
                f"records of {len(names)} atoms; leave one of the alternatives"
            )
    symbols = find_elements(names, residues, places, stated, {}, str(path))
    if SITE in symbols:
        raise ValueError(
            f"{path}: expected atoms alone, found a virtual site "
            f"({names[symbols.index(SITE)]})"
        )
    return symbols
