# SPDX-License-Identifier: MIT
"""The atom_site rows of a PDBx/mmCIF file, to be compared with what a library read."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from .names import SITE, symbol_of
from .records import alternatives_left_out, open_text

_TOKEN = re.compile(r"""'(?:[^']|'(?=\S))*'|"(?:[^"]|"(?=\S))*"|\S+""")
_SITES = ("EP", "VS")


class AtomSites(NamedTuple):
    """Rows of the first model.

    Attributes
    ----------
    ids : list of str
    stated : list of str or None
        Element that each row states, see `elements.find_elements`.
    letters : list of str
        Alternate location of each, "." without one.
    models : int
        Number of models in the file.
    """

    ids: list[str]
    stated: list[str | None]
    letters: list[str]
    models: int


def read_atom_sites(path: str | Path) -> AtomSites:
    """Read the rows of the first model's atoms.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If there are no such rows, or one has too few values.
    """
    with open_text(path) as file:
        columns, rows = _rows(file, str(path))
    place = {name.lower(): index for index, name in enumerate(columns)}

    def column(name: str) -> list[str]:
        index = place.get(name)
        return ["."] * len(rows) if index is None else [row[index] for row in rows]

    models = column("pdbx_pdb_model_num")
    first = [i for i, model in enumerate(models) if model == models[0]]

    def chosen(values: list[str]) -> list[str]:
        return [values[i] for i in first]

    letters = [x if x != "?" else "." for x in chosen(column("label_alt_id"))]
    stated = [
        SITE if text.upper() in _SITES else symbol_of(text)
        for text in chosen(column("type_symbol"))
    ]
    return AtomSites(chosen(column("id")), stated, letters, len(set(models)))


def check_sites(sites: AtomSites, ids: list[str], where: str) -> list[str]:
    """Compare the rows with the atoms that a library made of them.

    Parameters
    ----------
    sites : AtomSites
    ids : list of str
        Identifiers of the atoms that were made.
    where : str

    Returns
    -------
    list of str
        Remarks for a reader: alternate locations that were left out.

    Raises
    ------
    ValueError
        If rows that are no alternatives have no atom.
    """
    there = set(ids)
    missing = [i for i, key in enumerate(sites.ids) if key not in there]
    letters = {sites.letters[i] for i in missing}
    if "." in letters or len(ids) + len(missing) != len(sites.ids):
        raise ValueError(
            f"{where}: expected an atom for each of {len(sites.ids):,} rows of "
            f"atom_site, found {len(ids):,}: atoms of one residue have the same names; "
            "give them names or residues of their own, or write a PDB file"
        )
    return alternatives_left_out(Counter(sites.letters[i] for i in missing))


def _rows(file, where: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the atom_site loop."""
    columns: list[str] = []
    values: list[str] = []
    is_crystal = False
    for line in file:
        text = line.strip()
        is_crystal = is_crystal or text.lower().startswith("_atom_site_fract")
        if text.lower().startswith("_atom_site."):
            columns.append(text.split()[0].split(".", 1)[1])
        elif columns:
            if not text:
                continue
            if text.startswith(("#", "loop_", "_", "data_")):
                break
            quoted = "'" in text or '"' in text
            values += _TOKEN.findall(text) if quoted else text.split()
    width = len(columns)
    if not width:
        there = "the CIF of a crystal; write its atoms as a PDB file"
        raise ValueError(
            f"{where}: expected a PDBx/mmCIF file with a loop of _atom_site, found "
            + (there if is_crystal else "none")
        )
    if not values or len(values) % width:
        raise ValueError(
            f"{where}: expected rows of {width} values in a loop of _atom_site, found "
            f"{len(values)} values"
        )
    return columns, [values[i : i + width] for i in range(0, len(values), width)]
