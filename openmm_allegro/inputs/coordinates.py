# SPDX-License-Identifier: MIT
"""Read a topology and its positions, each atom of the file and with its element."""

import logging
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit
from openmm.app.internal.unitcell import computePeriodicBoxVectors

from ..topology.cells import changes_of_form, reduced
from ..topology.cif import check_sites, read_atom_sites
from ..topology.elements import find_elements
from ..topology.formats import FORMATS, format_of
from ..topology.frames import OF_ASE
from ..topology.names import SITE, is_polymer
from ..topology.read import READ_HERE, read_records
from ..topology.records import Records

log = logging.getLogger(__name__)

_CELL = re.compile(r"^_cell\.(length_[abc]|angle_\w+)[ \t]+(\S+)", re.MULTILINE)
_CELL_ITEMS = ("length_a", "length_b", "length_c")
_CELL_ITEMS += ("angle_alpha", "angle_beta", "angle_gamma")
# Metals are no part of the molecules that they are bound to.
_METALS = frozenset(
    "Al As Ba Ca Cd Ce Co Cs Cu Dy Fe Gd Hg Ho In Ir K Li Mg Mn Mo Na Ni Pb Pd Pt Rb "
    "Rh Sm Sr Te Tl V W Yb Zn".split()
)


class Coordinates(NamedTuple):
    """What a file with atoms and positions holds.

    Attributes
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity
    """

    topology: app.Topology
    positions: unit.Quantity


def read_coordinates(
    path: str | Path,
    elements: Mapping[str, str] | None = None,
    *,
    frame: int | None = None,
    atom_style: str = "",
) -> Coordinates:
    """Read a file that holds atoms and their positions.

    Formats are PDB, PDBx/mmCIF, GROMACS gro, POSCAR, CIF, extxyz, XDATCAR, ase's
    trajectories and LAMMPS data. Unlike ``openmm.app.PDBFile`` it guesses no elements,
    and atoms of one residue may have the same name. Cells of any orientation are turned
    to OpenMM's, with the atoms. Warns (UserWarning) of what is left out, such as
    alternate locations, further models and velocities.

    Parameters
    ----------
    path : path
    elements : mapping of str to str, optional
        Elements by names of atoms: ``{"SOD": "Na"}``, ``{"LIG:C1": "C"}`` for those of
        a residue, ``{"C*": "C"}`` for all names that begin so; ``"EP"`` for a virtual
        site. In a POSCAR without a line of elements names are the numbers of species,
        in LAMMPS data they are types: ``{"1": "Li"}``.
    frame : int, optional
        Number of a frame, from 0 on, or from -1 backwards, where there are several.
    atom_style : str, optional
        Style of the atoms of LAMMPS data that do not state it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or the element of an atom can only be guessed from its
        name, or contradicts it.
    """
    path = Path(path)
    kind = format_of(path) or "pdb"
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file with atoms and positions, found nothing at {path}"
        )
    if kind == "mmcif":
        return _read_cif(path, elements or {})
    if kind not in READ_HERE:
        remedy = (
            "positions = FILE (--positions FILE) takes it beside a topology"
            if kind in ("inpcrd", "crd")
            else "it has types in the place of elements: let LAMMPS write data "
            "(write_data), or a PDB file be made of a frame"
        )
        raise ValueError(
            f"expected a file with atoms and positions, found {FORMATS[kind].name} at "
            f"{path}; {remedy}"
        )
    records = read_records(path, elements, frame=frame, atom_style=atom_style)
    given = {} if kind in (*OF_ASE, "lammps-data") else elements
    symbols = find_elements(
        records.names,
        records.residue_names,
        records.residue_of,
        records.stated,
        given or {},
        str(path),
    )
    say_remarks(records.remarks, records.models, path)
    topology = _make_topology(records, symbols)
    box = box_of(records.cell, path, kind, records.vectors)
    topology.setPeriodicBoxVectors(box)
    return Coordinates(topology, records.positions * unit.nanometer)


def box_of(
    cell: np.ndarray | None,
    path: Path,
    kind: str,
    vectors: np.ndarray | None = None,
) -> Any:
    """Box vectors of lengths in nm and angles (6,), in OpenMM's form; None of none.

    How vectors of the file (3, 3), or those that lengths and angles mean, were turned
    and reduced to that form is logged.

    Raises
    ------
    ValueError
        If they are of no cell.
    """
    if cell is None:
        return None
    _check_cell(cell, path, "CRYST1" if kind == "pdb" else "the cell")
    found = computePeriodicBoxVectors(*cell[:3], *np.radians(cell[3:]))
    box = reduced_box([list(row) for row in found.value_in_unit(unit.nanometer)])
    say_changes(vectors, cell, box, str(path))
    return box


def reduced_box(vectors: np.ndarray) -> Any:
    """Box vectors of rows (3, 3) in nm, in OpenMM's form, as its readers give them."""
    # not an array: OpenMM and we ask whether there is a box by its truth
    rows = tuple(openmm.Vec3(*row) for row in reduced(vectors).tolist())
    return unit.Quantity(rows, unit.nanometer)


def say_changes(
    vectors: np.ndarray | None, cell: np.ndarray, box: Any, where: str
) -> None:
    """Log how a cell was brought into OpenMM's form, if it was; see `box_of`."""
    rows = np.array([list(vector) for vector in box.value_in_unit(unit.nanometer)])
    changes = changes_of_form(vectors, cell, rows)
    if changes:
        log.info(
            "%s: the cell was brought into the form that OpenMM needs (%s): the "
            "lattice is the same",
            where,
            changes,
        )


def _check_cell(cell: np.ndarray, path: Path, item: str = "CRYST1") -> None:
    """Refuse lengths and angles (6,) of no cell, such as a slab's without a height."""
    lengths, angles = cell[:3], cell[3:]
    spans = angles.max() < 180 and 2 * angles.max() < angles.sum() < 360
    spans = spans and angles.min() > 0
    if not (np.isfinite(cell).all() and (lengths > 0).all() and spans):
        found = " ".join(f"{value:g}" for value in (*10 * lengths, *angles))
        raise ValueError(
            f"{path}: expected three lengths above 0 and three angles that span a cell "
            f"in {item}, found {found}; give the slab or chain a cell of all three "
            "lengths, or remove the record of one that is not periodic"
        )


def _make_topology(records: Records, symbols: list[str]) -> app.Topology:
    """Make a topology of a PDB file's records, with the names that OpenMM gives."""
    app.PDBFile._loadNameReplacementTables()
    of_residues = app.PDBFile._residueNameReplacements
    of_atoms = app.PDBFile._atomNameReplacements
    topology = app.Topology()
    chains = [topology.addChain(name) for name in records.chains]
    residues = []
    for name, number, insertion, _, chain in records.residues:
        name = of_residues.get(name, name)
        place = chains[chain], str(number), insertion or " "
        residues.append(topology.addResidue(name, *place))
    for index, place in enumerate(records.residue_of):
        residue, name, symbol = residues[place], records.names[index], symbols[index]
        topology.addAtom(
            of_atoms.get(residue.name, {}).get(name, name),
            None if symbol == SITE else app.Element.getBySymbol(symbol),
            residue,
            str(records.serials[index]),
            records.charges[index],
        )
    topology.createStandardBonds()
    topology.createDisulfideBonds(records.positions * unit.nanometer)
    atoms = list(topology.atoms())
    there = {tuple(sorted((bond[0].index, bond[1].index))) for bond in topology.bonds()}
    for first, second in records.bonds.tolist():
        bonded = atoms[first], atoms[second]
        if (first, second) not in there and not _is_coordination(*bonded):
            topology.addBond(*bonded)
    return topology


def _is_coordination(first: app.topology.Atom, second: app.topology.Atom) -> bool:
    """Tell whether a bond is that of a metal to a polymer or water, as OpenMM does."""
    if None in (first.element, second.element):
        return False
    partners = [
        other
        for metal, other in ((first, second), (second, first))
        if metal.element.symbol in _METALS
    ]
    return bool(partners) and all(
        is_polymer(other.residue.name) or other.residue.name == "HOH"
        for other in partners
    )


def _read_cif(path: Path, elements: Mapping[str, str]) -> Coordinates:
    """Read a PDBx/mmCIF file with OpenMM, and compare it with the file's rows."""
    sites = read_atom_sites(path)
    try:
        file = app.PDBxFile(str(path))
    except Exception as error:  # OpenMM's parser raises many kinds
        raise ValueError(
            f"expected a PDBx/mmCIF file at {path}, found one that OpenMM cannot read "
            f"({type(error).__name__}: {error})"
        ) from error
    cell = _cell_of_cif(path)
    if cell is not None:
        _check_cell(cell, path, "the items _cell")
        say_changes(None, cell, file.topology.getPeriodicBoxVectors(), str(path))
    topology = file.topology
    ids = [atom.id for atom in topology.atoms()]
    remarks = check_sites(sites, ids, str(path))
    by_id = dict(zip(sites.ids, sites.stated, strict=True))
    symbols = find_elements(
        [atom.name for atom in topology.atoms()],
        [residue.name for residue in topology.residues()],
        [atom.residue.index for atom in topology.atoms()],
        [by_id[key] for key in ids],
        elements,
        str(path),
    )
    for atom, symbol in zip(topology.atoms(), symbols, strict=True):
        atom.element = None if symbol == SITE else app.Element.getBySymbol(symbol)
    say_remarks(remarks, sites.models, path)
    return Coordinates(topology, file.getPositions(asNumpy=True))


def _cell_of_cif(path: Path) -> np.ndarray | None:
    """Lengths in nm and angles of a cell as they are written, None without numbers."""
    written = dict(_CELL.findall(path.read_text(encoding="utf-8", errors="replace")))
    try:
        numbers = [float(written[name].strip("'\"")) for name in _CELL_ITEMS]
    except (KeyError, ValueError):  # "?" or ".", or no cell
        return None
    if not any(numbers[:3]):  # a dummy
        return None
    return np.array(numbers) / ([10.0] * 3 + [1.0] * 3)


def say_remarks(remarks: list[str], models: int, path: Path) -> None:
    """Warn (UserWarning) of what was chosen or left out of a file."""
    if models > 1:
        remarks = [*remarks, f"took the first of {models} models"]
    for remark in remarks:
        warnings.warn(f"{path}: {remark}", stacklevel=3)
