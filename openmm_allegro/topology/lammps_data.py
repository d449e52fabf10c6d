# SPDX-License-Identifier: MIT
"""Atoms of a data file of LAMMPS, whose style and elements are no guesses."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..utils.extras import naming_extras
from .masses import symbol_of_mass
from .names import symbol_of
from .styles import STYLES

if TYPE_CHECKING:
    import ase

_STYLE = re.compile(r"^Atoms[ \t]*(?:#[ \t]*(\S+))?[ \t]*$", re.MULTILINE)
_UNITS = re.compile(r"\bunits\s*=\s*(\w+)")
# Units whose lengths are Å and whose masses are g/mol.
_KNOWN_UNITS = ("real", "metal")


def read_lammps_data(
    path: str | Path, atom_style: str = ""
) -> tuple["ase.Atoms", list[str], list[str | None], np.ndarray]:
    """Read atoms, in the order of their numbers, with lengths in Å.

    Elements are stated by the section Atom Type Labels, or by masses, where one is that
    of an element within 0.011 g/mol.

    Parameters
    ----------
    path : path
    atom_style : str, optional
        Of ``STYLES``; by default that of the comment behind "Atoms".

    Returns
    -------
    atoms : ase.Atoms
        Its elements mean nothing.
    names : list of str
        Type of each atom, its number or its label.
    stated : list of str or None
        Element of each atom.
    bonds : (n, 2) array of int

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or does not say the style of its atoms.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected LAMMPS data, found nothing at {path}")
    text = path.read_text(encoding="utf-8", errors="replace")
    style = _style(path, text, atom_style)
    _check(path, text)
    with naming_extras():
        from ase.data import atomic_masses, chemical_symbols
        from ase.io import read
    try:
        atoms = read(str(path), format="lammps-data", atom_style=style, units="metal")
    except Exception as error:  # ase raises many kinds, some bare
        raise ValueError(
            f"{path}: expected LAMMPS data of atom_style {style} that ase can read, "
            f"found {type(error).__name__}: {error}; another style is given by "
            f"atom_style (--atom-style {'|'.join(STYLES)})"
        ) from error
    labels = {number: words[0] for number, words in _section(text, "Atom Type Labels")}
    rows = _section(text, "Masses", labels)
    of_types = {number: float(words[0]) for number, words in rows}
    elements = dict(zip(chemical_symbols[1:], atomic_masses[1:], strict=True))
    types = [int(x) for x in atoms.arrays["type"]]
    names = [labels.get(number, str(number)) for number in types]
    stated = [
        symbol_of(labels.get(number, ""))
        or symbol_of_mass(of_types.get(number, -1.0), elements)
        for number in types
    ]
    return atoms, names, stated, _bonds(text, atoms)


def _style(path: Path, text: str, given: str) -> str:
    found = _STYLE.search(text)
    if found is None:
        raise ValueError(
            f"{path}: expected LAMMPS data with a section Atoms, found none"
        )
    stated = found[1] or ""
    if given and stated and given != stated:
        raise ValueError(
            f"{path}: expected the atom_style {stated} that the file states, found "
            f"{given} (--atom-style)"
        )
    style = given or stated
    if style not in STYLES:
        raise ValueError(
            f"{path}: expected the style of its atoms, one of {', '.join(STYLES)}, as "
            "a comment (Atoms # full) or as atom_style (--atom-style full), found "
            + (style or "none")
        )
    return style


def _check(path: Path, text: str) -> None:
    """Refuse lengths that are not in Å, and boxes that ase turns otherwise."""
    units = _UNITS.search(text.partition("\n")[0])
    if units is not None and units[1] not in _KNOWN_UNITS:
        raise ValueError(
            f"{path}: expected LAMMPS data in units real or metal, whose lengths are "
            f"in Å, found units = {units[1]}; write the data in one of them"
        )


def _section(
    text: str, title: str, labels: dict[int, str] | None = None
) -> list[tuple[int, list[str]]]:
    """Rows of a section: number of a type, and the words after it."""
    match = re.search(rf"^{title}[ \t]*(#.*)?\n\s*\n", text, re.MULTILINE)
    rows: list[tuple[int, list[str]]] = []
    if match is None:
        return rows
    numbers = {label: number for number, label in (labels or {}).items()}
    for line in text[match.end() :].splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            break
        number = numbers.get(words[0])
        if number is None:
            if not words[0].isdigit():
                break
            number = int(words[0])
        rows.append((number, words[1:]))
    return rows


def _bonds(text: str, atoms: "ase.Atoms") -> np.ndarray:
    """Bonds of the section Bonds, by the places of atoms in the order of numbers."""
    place = {int(number): i for i, number in enumerate(atoms.arrays["id"])}
    rows = _section(text, "Bonds")
    pairs = sorted(
        {tuple(sorted((place[int(w[1])], place[int(w[2])]))) for _, w in rows}
    )
    return np.array(pairs, dtype=int).reshape(-1, 2)
