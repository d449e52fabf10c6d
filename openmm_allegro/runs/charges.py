# SPDX-License-Identifier: MIT
"""Charges of ions: as given, from a file, or the formal ones of ions of one atom."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .species import Kind, find_kinds, masses_of

# Charges of ions of one atom that no chemist would doubt.
FORMAL = dict.fromkeys(("Li", "Na", "K", "Rb", "Cs"), 1) | dict.fromkeys(
    ("F", "Cl", "Br", "I"), -1
)
# Charge of a molecule in e that force fields with few digits have by rounding.
_ROUNDING = 1e-2


class Charges(NamedTuple):
    """Charge numbers of atoms, and of the species that carry them.

    Attributes
    ----------
    of_atoms : (n_atoms,) array
    species : dict of str to (n,) array of int
        Atoms of each species that was named; none from a file.
    numbers : dict of str to float
        Charge number of each species, of an atom or of a molecule.
    origin : str
        Sentence for a reader.
    """

    of_atoms: np.ndarray
    species: dict[str, np.ndarray]
    numbers: dict[str, float]
    origin: str


def parse_charges(text: str) -> dict[str, float]:
    """Read charge numbers by name from ``Na=1,Cl=-1``."""
    charges = {}
    for item in text.split(","):
        name, _, number = item.partition("=")
        try:
            charges[name.strip()] = float(number)
        except ValueError:
            raise ValueError(
                f"expected charges such as Na=1,Cl=-1, or a file, found {text!r}"
            ) from None
    return charges


def read_charges(
    given: str | Path | Mapping[str, float] | None,
    topology: Any,
    of_system: np.ndarray | None = None,
) -> Charges:
    """Find the charge number of every atom.

    Parameters
    ----------
    given : str, Path, mapping of str to float, or None
        ``Na=1,Cl=-1`` or the same as a mapping: by element, of each atom; by residue
        name, kind or formula, as ``PF6``, of each molecule, spread over its atoms by
        mass. A file has one number for each atom. None: those of the System, summed
        over molecules, or formal charges of ions of one atom.
    topology : mdtraj.Topology
    of_system : (n_atoms,) array, optional
        Charges in e that the run was made with.

    Raises
    ------
    ValueError
        If a name is unknown, there is no charge but 0, or formal charges do not cancel.
    """
    if given is None:
        kinds = find_kinds(topology)
        numbers = charges_of_kinds(kinds, of_system)
        if numbers:
            origin = "Charges are those of the run's System, summed over molecules."
            return _assigned(numbers, topology, origin)
        numbers = formal_charges(kinds)
        origin = "Charges are formal ones, of ions of one atom."
        return _assigned(numbers, topology, origin)
    if isinstance(given, Mapping):
        return _assigned(given, topology, "Charges are those given.")
    if Path(given).is_file():
        charges = _from_file(Path(given), topology.n_atoms)
        return Charges(charges, {}, {}, f"Charges are those of {given}.")
    return _assigned(parse_charges(str(given)), topology, "Charges are those given.")


def formal_charges(kinds: list[Kind]) -> dict[str, int]:
    """List charge numbers of ions of one atom, by the name of their kind.

    Raises
    ------
    ValueError
        If there are none, or their sum is not zero: then there are other charges.
    """
    charges = {
        kind.name: FORMAL[kind.element]
        for kind in kinds
        if kind.monoatomic and kind.element in FORMAL
    }
    if not charges:
        raise ValueError(
            "expected ions of one atom whose charges are known (Li Na K Rb Cs F Cl Br "
            "I), found none; give charges"
        )
    total = sum(
        charges[kind.name] * len(kind.molecules)
        for kind in kinds
        if kind.name in charges
    )
    if total:
        raise ValueError(
            f"expected formal charges that cancel, found a sum of {total:+d} for "
            f"{', '.join(charges)}; give the charges of all ions"
        )
    return charges


def charges_of_kinds(
    kinds: list[Kind], of_atoms: np.ndarray | None
) -> dict[str, float]:
    """Sum charges in e over the molecules of each kind; only kinds with any.

    Nothing where molecules of a kind differ: then atoms are not those of the charges;
    and where ions of one atom have none: then a model has them, in an electrostatic
    embedding, and what it has learnt is no charge that moves.
    """
    if of_atoms is None:
        return {}
    charges = {}
    for kind in kinds:
        sums = np.array([of_atoms[atoms].sum() for atoms in kind.molecules])
        if np.ptp(sums) > _ROUNDING:
            return {}
        if abs(sums.mean()) > _ROUNDING:
            charges[kind.name] = round(float(sums.mean()), 4)
        elif kind.monoatomic and kind.element in FORMAL:
            return {}
    return charges


def _assigned(numbers: Mapping[str, float], topology: Any, origin: str) -> Charges:
    """Charge the atoms or molecules of each name."""
    symbols = np.array([atom.element.symbol for atom in topology.atoms])
    masses, charges = masses_of(topology), np.zeros(topology.n_atoms)
    kinds, species = find_kinds(topology), {}
    for name, number in numbers.items():
        if name in symbols:
            atoms = np.flatnonzero(symbols == name)
            charges[atoms] += number
        else:
            molecules = _molecules(name, topology, kinds)
            if not molecules:
                raise ValueError(_unknown(name, topology, symbols, kinds))
            for atoms in molecules:
                charges[atoms] += number * masses[atoms] / masses[atoms].sum()
            atoms = np.concatenate(molecules)
        species[name] = atoms
    if not any(numbers.values()):
        raise ValueError("expected at least one charge other than 0, found none")
    return Charges(charges, species, dict(numbers), origin)


def _molecules(name: str, topology: Any, kinds: list[Kind]) -> list[np.ndarray]:
    """Atoms of each molecule or residue of a name."""
    residues = [
        np.array([atom.index for atom in residue.atoms])
        for residue in topology.residues
        if residue.name == name
    ]
    of_kinds = [m for k in kinds if name in (k.name, k.formula) for m in k.molecules]
    return residues or of_kinds


def _unknown(name, topology, symbols, kinds) -> str:
    residues = sorted({residue.name for residue in topology.residues})
    return (
        f"expected charges of elements ({', '.join(sorted(set(symbols)))}), residues "
        f"({', '.join(residues)}) or molecules "
        f"({', '.join(kind.name for kind in kinds)}), found {name!r}"
    )


def _from_file(path: Path, n_atoms: int) -> np.ndarray:
    try:
        charges = np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise ValueError(
            f"expected one charge a line in {path}, found {error}"
        ) from error
    if charges.shape != (n_atoms,):
        raise ValueError(
            f"expected {n_atoms} charges in {path}, one for each atom, found shape "
            f"{charges.shape}"
        )
    return charges
