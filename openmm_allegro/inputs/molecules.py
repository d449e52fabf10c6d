# SPDX-License-Identifier: MIT
"""Molecules that a box is made of: from files, SMILES, or by a symbol."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from openmm import unit

from ..topology.names import is_symbol
from ..utils.extras import naming_extras
from .bonds import find_bonds
from .coordinates import read_coordinates

# Water near its geometry in the liquid, nm.
_WATER = np.array([[0, 0, 0], [0.07775, 0.05966, 0], [-0.07775, 0.05966, 0]])
_SMILES = "smiles:"
_SDF = (".sdf", ".mol")
# Residue of a molecule that has no name.
UNNAMED = "MOL"


class Molecule(NamedTuple):
    """A molecule to be packed, or an ion.

    Attributes
    ----------
    residue : str
        Name of its residue, of four letters at most.
    names : tuple of str
        Of its atoms, each once.
    symbols : tuple of str
        Their elements.
    positions : (n, 3) array, nm
    bonds : tuple of (int, int)
    """

    residue: str
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    positions: np.ndarray
    bonds: tuple[tuple[int, int], ...]


def read_molecule(text: str, elements: Mapping[str, str] | None = None) -> Molecule:
    """Read a molecule, and find its bonds by distances where its file has none.

    Parameters
    ----------
    text : str
        The symbol of an element, for an ion; "water"; "smiles:CCO" or, with a name of
        the residue, "smiles:CCO EOH", for which rdkit makes a conformer; or the name of
        an xyz, sdf, mol or PDB file, or of any that `read_coordinates` reads.
    elements : mapping of str to str, optional
        As there.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If rdkit is needed and missing.
    ValueError
        If it cannot be read.
    """
    if is_symbol(text):
        return Molecule(text.upper(), (text,), (text,), np.zeros((1, 3)), ())
    if text.lower() == "water":
        return _named("HOH", ("O", "H", "H"), _WATER, ((0, 1), (0, 2)))
    if text.lower().startswith(_SMILES):
        return _of_smiles(text[len(_SMILES) :])
    path = Path(text)
    if path.suffix.lower() in _SDF:
        symbols, positions = _read_sdf(path)
        return _named(_residue_of(path), symbols, positions)
    read = read_coordinates(path, elements)
    atoms = list(read.topology.atoms())
    if any(atom.element is None for atom in atoms):
        raise ValueError(f"{path}: expected atoms alone, found virtual sites")
    symbols = tuple(atom.element.symbol for atom in atoms)
    positions = np.array(read.positions.value_in_unit(unit.nanometer), dtype=float)
    bonds = tuple(sorted((b[0].index, b[1].index)) for b in read.topology.bonds())
    residues = list(read.topology.residues())
    names = tuple(atom.name for atom in atoms)
    if len(residues) == 1 and len(set(names)) == len(names) > 1:
        bonds = bonds or tuple(find_bonds(symbols, positions, None))
        return Molecule(residues[0].name[:4], names, symbols, positions, bonds)
    return _named(_residue_of(path), symbols, positions, bonds)


def with_own_names(molecules: Sequence[Molecule]) -> list[Molecule]:
    """Number the residues of molecules without a name, if there are several."""
    if sum(one.residue == UNNAMED for one in molecules) < 2:
        return list(molecules)
    numbers = itertools.count(1)
    return [
        one._replace(residue=f"M{next(numbers):02d}") if one.residue == UNNAMED else one
        for one in molecules
    ]


def _named(
    residue: str,
    symbols: tuple[str, ...],
    positions: np.ndarray,
    bonds: tuple[tuple[int, int], ...] = (),
) -> Molecule:
    """Name atoms by their elements and numbers; a water by the names that it has."""
    bonds = bonds or tuple(find_bonds(symbols, positions, None))
    count, names = Counter(symbols), []
    seen: Counter[str] = Counter()
    for symbol in symbols:
        seen[symbol] += 1
        names.append(symbol + (str(seen[symbol]) if count[symbol] > 1 else ""))
    if sorted(symbols) == ["H", "H", "O"] and len(bonds) == 2:
        residue = "HOH"
    return Molecule(residue, tuple(names), tuple(symbols), positions, tuple(bonds))


def _residue_of(path: Path) -> str:
    """Name of a residue after its file, such as EC of ec.xyz."""
    letters = re.sub("[^A-Za-z0-9]", "", path.name.partition(".")[0]).upper()
    return letters[:3] or UNNAMED


def _read_sdf(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"expected a molecule, found nothing at {path}")
    with naming_extras():
        from ase.io import read
    try:
        atoms = read(str(path), format="sdf")
    except Exception as error:  # ase raises many kinds
        raise ValueError(
            f"{path}: expected a molecule in the sdf format that ase can read, found "
            f"{type(error).__name__}: {error}"
        ) from error
    return tuple(atoms.get_chemical_symbols()), 0.1 * np.array(atoms.positions)


def _of_smiles(text: str) -> Molecule:
    """Make a conformer of a SMILES by rdkit's ETKDG; a word after it is its name.

    The method is that of Riniker and Landrum (doi:10.1021/acs.jcim.5b00654), and is
    followed by a minimisation with UFF where that has the atoms.
    """
    with naming_extras():
        from rdkit import Chem, RDLogger
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    smiles, _, name = text.strip().partition(" ")
    RDLogger.DisableLog("rdApp.*")  # it prints what the errors below say
    try:
        parsed = Chem.MolFromSmiles(smiles)
        if parsed is None or not parsed.GetNumAtoms():
            raise ValueError(f"expected a SMILES, found {smiles!r}")
        if len(Chem.GetMolFrags(parsed)) > 1:
            raise ValueError(
                f"expected the SMILES of one molecule, found several in {smiles!r}; "
                "give each with a number of its own"
            )
        molecule = Chem.AddHs(parsed)
        how = rdDistGeom.ETKDGv3()
        how.randomSeed = 1
        if rdDistGeom.EmbedMolecule(molecule, how) != 0:
            raise ValueError(
                f"expected a SMILES that rdkit can embed, found {smiles!r}"
            )
        if rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
            rdForceFieldHelpers.UFFOptimizeMolecule(molecule, maxIters=1000)
    finally:
        RDLogger.EnableLog("rdApp.*")
    symbols = tuple(atom.GetSymbol() for atom in molecule.GetAtoms())
    bonds = tuple(
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()
    )
    positions = 0.1 * np.array(molecule.GetConformer().GetPositions())
    letters = re.sub("[^A-Za-z0-9]", "", name).upper()[:4]
    return _named(letters or UNNAMED, symbols, positions, bonds)
