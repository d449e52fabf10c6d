# SPDX-License-Identifier: MIT
"""Topologies that come without positions: Amber's prmtop, GROMACS's top, CHARMM's psf.

OpenMM's readers guess elements from the first letters of names where a file has none.
Here they are those of the atomic numbers or masses that the file states, or of the
table of names, or asked for.
"""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app, unit

from ..topology.elements import find_elements
from ..topology.formats import FORMATS
from ..topology.masses import symbol_of_mass
from ..topology.names import SITE

# Of OpenMM's elements, by their symbols, in Da.
_MASSES = {
    element.symbol: element.mass.value_in_unit(unit.dalton)
    for element in app.Element._elements_by_atomic_number.values()
}


class TopologyFile(NamedTuple):
    """A topology, and the object of OpenMM that makes Systems of it.

    Attributes
    ----------
    topology : openmm.app.Topology
    file : AmberPrmtopFile, GromacsTopFile or CharmmPsfFile
    kind : str
        Key of `topology.formats.FORMATS`.
    """

    topology: app.Topology
    file: Any
    kind: str


def read_topology(
    path: Path,
    kind: str,
    elements: Mapping[str, str],
    box: Any = None,
    gromacs_include: str = "",
) -> TopologyFile:
    """Read a topology file.

    Parameters
    ----------
    path : Path
    kind : str
        "prmtop", "top" or "psf".
    elements : mapping of str to str
        Elements by names of atoms, as `topology.elements.Naming` has them.
    box : vectors with units, optional
        By default that of the file, if it has one.
    gromacs_include : str
        Folder of GROMACS's own files that a top includes; by default its own guess.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or elements are not known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a topology, found nothing at {path}")
    makers = {"prmtop": _prmtop, "top": _top, "psf": _psf}
    more = {"gromacs_include": gromacs_include} if kind == "top" else {}
    try:
        with warnings.catch_warnings():
            # OpenMM's reader of top files leaves them open.
            warnings.simplefilter("ignore", ResourceWarning)
            file, stated = makers[kind](path, box, **more)
            topology = file.topology
    except Exception as error:  # OpenMM's parsers raise many kinds
        hint = ""
        if kind == "top" and "include" in str(error).lower():
            hint = "; gromacs_include (--gromacs-include) names the folder of them"
        raise ValueError(
            f"{path}: expected {FORMATS[kind].name} that OpenMM can read, found "
            f"{type(error).__name__}: {error}{hint}"
        ) from error
    residues = list(topology.residues())
    symbols = find_elements(
        [atom.name for atom in topology.atoms()],
        [residue.name for residue in residues],
        [atom.residue.index for atom in topology.atoms()],
        stated,
        elements,
        str(path),
    )
    for atom, symbol in zip(topology.atoms(), symbols, strict=True):
        atom.element = None if symbol == SITE else app.Element.getBySymbol(symbol)
    # The third side of a rigid water is no bond.
    topology._bonds = [
        bond
        for bond in topology._bonds
        if not all(atom.element is app.element.hydrogen for atom in bond)
    ]
    return TopologyFile(topology, file, kind)


def create_system(
    topology: TopologyFile, options: Mapping[str, Any], parameters: Sequence[Path] = ()
) -> openmm.System:
    """Make the System of the force field that a topology file holds.

    Parameters
    ----------
    topology : TopologyFile
    options : mapping
        Arguments of OpenMM's ``createSystem``; those that the kind of file has no use
        for are left out.
    parameters : sequence of Path
        Files of parameters of CHARMM's force field, beside a psf.

    Raises
    ------
    FileNotFoundError
        If a file of parameters is missing.
    ValueError
        If parameters are missing, or given where there is no place for them.
    """
    file, kind, first = topology.file, topology.kind, []
    if (kind == "psf") != bool(parameters):
        raise ValueError(
            "expected files of parameters (parameters, --parameters par.prm,...) "
            f"beside a psf and nothing else, found {len(parameters)} beside "
            f"{FORMATS[kind].name}"
        )
    for path in parameters:
        if not path.is_file():
            raise FileNotFoundError(
                f"expected parameters of CHARMM, found nothing at {path}"
            )
    known = inspect.signature(file.createSystem).parameters
    options = {name: value for name, value in options.items() if name in known}
    try:
        if parameters:
            first = [app.CharmmParameterSet(*map(str, parameters))]
        return file.createSystem(*first, **options)
    except (openmm.OpenMMException, Exception) as error:  # of many kinds
        raise ValueError(
            f"expected a force field of {FORMATS[kind].name} that OpenMM can make, "
            f"found {type(error).__name__}: {error}"
        ) from error


def _prmtop(path: Path, box: Any) -> tuple[Any, list[str | None]]:
    file = app.AmberPrmtopFile(str(path), periodicBoxVectors=box)
    count = file.topology.getNumAtoms()
    if not file._prmtop.has_atomic_number:
        return file, [None] * count
    numbers = map(int, file._prmtop._raw_data["ATOMIC_NUMBER"])
    return file, [_symbol(number) for number in numbers]


def _psf(path: Path, box: Any) -> tuple[Any, list[str | None]]:
    file = app.CharmmPsfFile(str(path), periodicBoxVectors=box)
    return file, [symbol_of_mass(_in_dalton(a.mass), _MASSES) for a in file.atom_list]


def _top(path: Path, box: Any, gromacs_include: str) -> tuple[Any, list[str | None]]:
    more = {"includeDir": gromacs_include} if gromacs_include else {}
    file = app.GromacsTopFile(str(path), periodicBoxVectors=box, **more)
    stated: list[str | None] = []
    for name, count in file._molecules:
        rows = file._moleculeTypes[name].atoms
        stated += [_of_row(row, file._atomTypes[row[1]]) for row in rows] * count
    return file, stated


def _of_row(row: Sequence[str], kind: Sequence[Any]) -> str | None:
    """Element of an atom of a top file, by its type's atomic number or its mass."""
    if kind[2] is not None:
        return _symbol(int(kind[2]))
    mass = row[7] if len(row) > 7 else kind[3]
    return symbol_of_mass(float(mass), _MASSES)


def _symbol(number: int) -> str:
    if number < 1:
        return SITE
    return app.Element.getByAtomicNumber(number).symbol


def _in_dalton(mass: Any) -> float:
    return float(mass.value_in_unit(unit.dalton) if unit.is_quantity(mass) else mass)
