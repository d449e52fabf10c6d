# SPDX-License-Identifier: MIT
"""Names of molecules and of atoms in them, as a chemist says them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..topology.names import AMINO_ACIDS

_ACIDS = {
    "ALA": "alanine", "ARG": "arginine", "ASN": "asparagine", "ASP": "aspartate",
    "CYS": "cysteine", "GLN": "glutamine", "GLU": "glutamate", "GLY": "glycine",
    "HIS": "histidine", "ILE": "isoleucine", "LEU": "leucine", "LYS": "lysine",
    "MET": "methionine", "PHE": "phenylalanine", "PRO": "proline", "SER": "serine",
    "THR": "threonine", "TRP": "tryptophan", "TYR": "tyrosine", "VAL": "valine",
}  # fmt: skip
_CAPS = frozenset("ACE NME NMA NAC NH2 NHE FOR ACEX CT3 CT2".split())
# Residues of what its maker gave no name.
_NAMELESS = frozenset("UNL UNK UNX MOL RES".split())
# Of so many amino acids one speaks of a protein.
_PROTEIN = 50


def molecule_name(residues: Sequence[str], formula: str) -> str:
    """Name a molecule by its residues, or by its formula where they do not tell.

    Parameters
    ----------
    residues : sequence of str
        Names, in order.
    formula : str

    Examples
    --------
    >>> molecule_name(["ACE", "ALA", "NME"], "C6H12N2O2")
    'alanine dipeptide'
    >>> molecule_name(["EMC"], "C4H8O3"), molecule_name(["UNL"], "C2H6O")
    ('EMC', 'C2H6O')
    """
    names = [name.upper() for name in residues]
    acids = [name for name in names if name not in _CAPS]
    if acids and all(name in AMINO_ACIDS for name in names):
        if len(acids) == 1 and acids[0] in _ACIDS:
            caps = len(names) - 1
            return _ACIDS[acids[0]] + ("", " with a cap", " dipeptide")[min(caps, 2)]
        if len(acids) > 1:
            kind = "peptide" if len(acids) < _PROTEIN else "protein"
            return f"{kind} of {len(acids)} residues"
    if len(set(residues)) == 1 and names[0] not in _NAMELESS:
        return str(residues[0])
    return formula


class Sites:
    """Names of atoms by what they are bonded to.

    Parameters
    ----------
    symbols : sequence of str
        Elements of all atoms.
    bonds : ndarray (n_bonds, 2)
    """

    def __init__(self, symbols: Sequence[str], bonds: Any) -> None:
        self._symbols = symbols
        self._bonded: dict[int, list[int]] = {}
        for first, second in np.asarray(bonds).tolist():
            self._bonded.setdefault(first, []).append(second)
            self._bonded.setdefault(second, []).append(first)

    def name(self, atom: int) -> str:
        """Name an atom, as ``"carbonyl O"``; by its element where no name is known."""
        symbol = str(self._symbols[atom])
        around = sorted(str(self._symbols[i]) for i in self._of(atom))
        name = {"O": self._oxygen, "N": self._nitrogen, "C": self._carbon}.get(symbol)
        kind = name(atom, around) if name else ""
        return f"{kind} {symbol}" if kind else symbol

    def _of(self, atom: int) -> list[int]:
        return self._bonded.get(atom, [])

    def _oxygens_alone(self, atom: int) -> int:
        """Count the oxygens whose one bond is to an atom."""
        ends = (i for i in self._of(atom) if self._symbols[i] == "O")
        return sum(len(self._of(i)) == 1 for i in ends)

    def _oxygen(self, atom: int, around: list[str]) -> str:
        if around == ["C"]:
            several = self._oxygens_alone(self._of(atom)[0]) > 1
            return "carboxylate" if several else "carbonyl"
        alone = {"S": "sulfonyl", "P": "phosphate", "N": "nitro", "Cl": "perchlorate"}
        if len(around) == 1:
            return alone.get(around[0], "")
        names = {("C", "H"): "hydroxyl", ("C", "C"): "ether"}
        return names.get(tuple(around), "")

    def _nitrogen(self, atom: int, around: list[str]) -> str:
        if around == ["C"]:
            return "nitrile"
        if around == ["S", "S"]:
            return "imide"
        carbons = [i for i in self._of(atom) if self._symbols[i] == "C"]
        if len(around) == 3 and set(around) <= {"C", "H"} and carbons:
            amide = any(self._oxygens_alone(i) == 1 for i in carbons)
            return "amide" if amide else "amine"
        return "ammonium" if len(around) == 4 else ""

    def _carbon(self, atom: int, around: list[str]) -> str:
        alone = self._oxygens_alone(atom)
        if alone:
            return "carboxylate" if alone > 1 else "carbonyl"
        if len(around) != 4:
            return "nitrile" if around == ["C", "N"] else ""
        return {2: "methylene", 3: "methyl"}.get(around.count("H"), "")
