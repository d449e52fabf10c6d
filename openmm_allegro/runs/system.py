# SPDX-License-Identifier: MIT
"""Masses, bonds, charges and periodicity of the System that a run was made with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

import numpy as np

from .table import Unreadable

# Bytes that the parser takes at a time: a token is looked at again with each piece.
_PIECE = 1 << 24
# Longer springs, in nm, are restraints and not bonds.
_LONGEST_BOND = 0.25
# Masses in g/mol that differ by less are those of tables with other digits.
_SAME_MASS = 0.02
# Methods of nonbonded forces that take periodic images, by the attribute that has them.
_PERIODIC_METHODS = {
    "NonbondedForce": ("method", "2345"),
    "CustomNonbondedForce": ("method", "2"),
    "CustomGBForce": ("method", "2"),
    "CustomHbondForce": ("method", "2"),
    "CustomManyParticleForce": ("method", "2"),
    "GBSAOBCForce": ("method", "2"),
    "GayBerneForce": ("method", "2"),
    "AmoebaVdwForce": ("method", "1"),
    "AmoebaMultipoleForce": ("nonbondedMethod", "1"),
    "HippoNonbondedForce": ("nonbondedMethod", "1"),
}
_ALWAYS_PERIODIC = ("ConstantPotentialForce", "CustomVolumeForce")
# Forces that know no images, or leave them to the forces within.
_WITHOUT_IMAGES = (
    *("AndersenThermostat", "ATMForce", "CMMotionRemover", "CustomCVForce"),
    *("CustomExternalForce", "DrudeForce", "AmoebaGeneralizedKirkwoodForce"),
    *("AmoebaWcaDispersionForce", "RGForce", "RMSDForce", "OrientationRestraintForce"),
)


class RunSystem(NamedTuple):
    """What the System of a run says of its atoms.

    Attributes
    ----------
    masses : (n_atoms,) array
        In g/mol; 0 of virtual sites and of atoms held in place.
    bonds : (n_bonds, 2) array of int
        Bonds, constraints, and virtual sites with the atoms they follow.
    charges : (n_atoms,) array or None
        In e, of the first NonbondedForce that has any; None without one.
    periodic : bool or None
        Whether a force takes periodic images; None if a force does not say.
    constraints : (n_constraints, 2) array of int
        Those of the bonds that are constraints.
    """

    masses: np.ndarray
    bonds: np.ndarray
    charges: np.ndarray | None
    periodic: bool | None
    constraints: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.masses)


def read_system(path: Path) -> RunSystem:
    """Read the XML of an OpenMM System, of which nothing is built or run.

    Raises
    ------
    Unreadable
        If it is no XML of a System, or has a document type.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    # Entities can grow without bound, or name other files; OpenMM writes none.
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                parser.Parse(piece)
            parser.Parse(b"", True)
        return reader.result()
    except (expat.ExpatError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(
            f"expected an OpenMM System at {path}, found {type(error).__name__}: "
            f"{error}; bring it back, or remove it to take masses and bonds of the "
            "topology"
        ) from error


def with_system(topology: Any, system: RunSystem) -> Any:
    """Give a topology the masses of a System, and bonds that it lacks.

    Parameters
    ----------
    topology : mdtraj.Topology
        It is changed. Its elements keep their names.
    system : RunSystem
        Of as many atoms.

    Returns
    -------
    mdtraj.Topology
        The same.
    """
    atoms = list(topology.atoms)
    elements: dict[tuple[Any, float], Any] = {}
    masses = masses_with(system, topology)
    own = np.array([atom.element.mass for atom in atoms], dtype=float)
    for i in np.flatnonzero(own != masses):
        key = atoms[i].element, float(masses[i])
        if key not in elements:
            # Made as a tuple: mdtraj would enter a second element of this symbol.
            number, name, symbol, _, radius = key[0]
            fields = (number, name, symbol, key[1], radius)
            elements[key] = tuple.__new__(type(key[0]), fields)
        atoms[i].element = elements[key]
    n, pairs = len(atoms), np.sort(system.bonds, axis=1)
    known = [sorted((x.index, y.index)) for x, y in topology.bonds]
    known = np.array(known, dtype=int).reshape(-1, 2)
    numbers = np.unique(pairs[:, 0] * n + pairs[:, 1])
    for number in np.setdiff1d(numbers, known[:, 0] * n + known[:, 1]).tolist():
        first, second = divmod(number, n)
        topology.add_bond(atoms[first], atoms[second])
    return topology


def masses_with(system: RunSystem, topology: Any) -> np.ndarray:
    """Masses (n_atoms,) in g/mol of a System, or of elements where they are the same.

    An atom of mass 0 that has an element is held in place; its mass is that of the
    element.
    """
    own = np.array([atom.element.mass for atom in topology.atoms], dtype=float)
    same = (np.abs(own - system.masses) <= _SAME_MASS) | (system.masses == 0)
    return np.where(same, own, system.masses)


class _Reader:
    """Collect what a System says while its XML is parsed."""

    def __init__(self) -> None:
        self.masses: list[float] = []
        self.bonds: list[tuple[int, int]] = []
        self.constraints: list[tuple[int, int]] = []
        self.charges: list[float] | None = None
        self.periodic = self.unknown = False
        self.force, self.depth, self.is_system = "", 0, False
        self._reads_charges = False

    def start(self, name: str, values: Mapping[str, str]) -> None:
        """Take what an element begins with."""
        self.depth += 1
        if self.depth == 1:
            self.is_system = name == "System"
        elif name == "Force":
            self._start_force(values)
        elif name == "Particle":
            if not self.force:
                self.masses.append(float(values["mass"]))
            elif self._reads_charges:
                self.charges.append(float(values["q"]))
        elif name == "Constraint" and not self.force:
            self.constraints.append((int(values["p1"]), int(values["p2"])))
            self.bonds.append(self.constraints[-1])
        elif name == "Bond" and self.force == "HarmonicBondForce":
            if float(values["d"]) <= _LONGEST_BOND:
                self.bonds.append((int(values["p1"]), int(values["p2"])))
        elif name.endswith("Site") and not self.force:
            parent = values.get("p1", values.get("p"))
            self.bonds.append((int(parent), len(self.masses) - 1))

    def end(self, name: str) -> None:
        """Leave a force, of which others may be part."""
        self.depth -= 1
        if name == "Force" and self.depth == 2:
            self.force, self._reads_charges = "", False

    def result(self) -> RunSystem:
        """Make arrays of what was collected."""
        if not self.is_system:
            raise ValueError("no System")
        n = len(self.masses)
        masses = np.array(self.masses)
        if not (np.isfinite(masses).all() and (masses >= 0).all()):
            raise ValueError("masses that are negative or not finite")
        bonds = np.array(self.bonds, dtype=int).reshape(-1, 2)
        if bonds.size and not 0 <= bonds.min() <= bonds.max() < n:
            raise ValueError(f"bonds of atoms beyond the {n} of the System")
        charges = None
        if self.charges is not None and np.any(self.charges):
            charges = np.array(self.charges)
            if charges.shape != (n,) or not np.isfinite(charges).all():
                raise ValueError(f"{len(charges)} charges of {n} atoms")
        periodic = True if self.periodic else None if self.unknown else False
        constraints = np.array(self.constraints, dtype=int).reshape(-1, 2)
        return RunSystem(masses, bonds, charges, periodic, constraints)

    def _start_force(self, values: Mapping[str, str]) -> None:
        kind = values.get("type", "")
        if self.depth == 3:
            self.force = kind
            first = self.charges is None or not any(self.charges)
            self._reads_charges = kind == "NonbondedForce" and first
            if self._reads_charges:
                self.charges = []
        if "usesPeriodic" in values:
            self.periodic |= values["usesPeriodic"] == "1"
        elif kind in _PERIODIC_METHODS:
            key, methods = _PERIODIC_METHODS[kind]
            self.periodic |= values.get(key, "0") in methods
        elif "Barostat" in kind or kind in _ALWAYS_PERIODIC:
            self.periodic = True
        elif kind not in _WITHOUT_IMAGES:
            self.unknown = True


def _refuse_doctype(*_: Any) -> None:
    raise ValueError("a document type, which no System has")
