# SPDX-License-Identifier: MIT
"""Read what a simulation begins with, as its settings say: atoms, positions and box."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..topology.cells import standard_vectors
from ..topology.elements import contradiction
from ..topology.formats import FORMATS, format_of
from ..topology.read import read_records
from .bonds import add_bonds
from .coordinates import (
    box_of,
    read_coordinates,
    reduced_box,
    say_changes,
    say_remarks,
)
from .ends import is_box, read_end
from .settings import InputsConfig
from .topologies import TopologyFile, read_topology


class Atoms(NamedTuple):
    """What is simulated, before any force.

    Attributes
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity
    file : TopologyFile or None
        What a force field can be made of; None where the format holds none.
    state : openmm.State or None
        What the positions are of, with velocities, if they are of a State.
    """

    topology: app.Topology
    positions: unit.Quantity
    file: TopologyFile | None
    state: openmm.State | None = None


class _Positions(NamedTuple):
    """Positions [N, 3] with a unit, box vectors, and what is known of the atoms."""

    values: Any
    box: Any
    names: list[tuple[str, str]]  # of atom and residue; empty if there are none
    stated: list[str | None]
    state: openmm.State | None = None


def read_atoms(
    config: InputsConfig, topology: str, folder: Path, gromacs_include: str = ""
) -> Atoms:
    """Read topology, positions and box.

    Parameters
    ----------
    config : InputsConfig
    topology : str
        Name of its file; names are relative to the folder.
    folder : Path
    gromacs_include : str, optional
        Folder of GROMACS's own files.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file cannot be read, does not say what is needed (the setting that does is
        named), or positions are of other atoms.
    """
    path, kind = folder / topology, format_of(topology)
    given, asked = None, _box(config)
    if config.positions:
        given = _read_positions(folder / config.positions, config)
    if kind and FORMATS[kind].topology_alone:
        if given is None:
            raise ValueError(
                f"expected positions beside {path}, for {FORMATS[kind].name} has none: "
                "positions = FILE (--positions FILE) of Amber's inpcrd or rst7, a gro, "
                "a CHARMM crd or a PDB file, the state or a frame of a run, say"
            )
        kind = format_of(path)
        box = asked or given.box
        if given.state is not None and not is_box(given.state):
            box = None
        file = read_topology(path, kind, config.elements, box, gromacs_include)
        atoms = Atoms(file.topology, given.values, file)
    else:
        # a file of positions is read by its own frame and style
        own = config if given is None else dataclasses.replace(config, frame=None)
        read = read_coordinates(
            path,
            config.elements,
            frame=own.frame,
            atom_style=config.atom_style or "" if kind == "lammps-data" else "",
        )
        atoms = Atoms(*read, None)
        if given is not None:
            atoms = atoms._replace(positions=given.values)
            # A State has a box where nothing is periodic, too.
            own_box = atoms.topology.getPeriodicBoxVectors()
            if given.box is not None and (given.state is None or own_box is not None):
                atoms.topology.setPeriodicBoxVectors(given.box)
    if given is not None:
        _compare(atoms.topology, given, folder / config.positions)
        atoms = atoms._replace(state=given.state)
        if config.box_nm and given.state is not None:
            raise ValueError(
                "expected no box_nm (--box) beside the State of a run, which has its "
                "box, found both; the topology that the run wrote, a PDB file, is "
                "periodic if the run was"
            )
    if config.box_nm:
        atoms.topology.setPeriodicBoxVectors(asked)
    if config.bonds == "distances":
        add_bonds(atoms.topology, atoms.positions)
    return atoms


def check_bonds(
    atoms: Atoms, config: InputsConfig, topology: str, ensembles: Collection[str]
) -> None:
    """Refuse to let a barostat move the atoms of a file whose format has no bonds.

    Files of PDB and PDBx/mmCIF, which have a place for them, are let through.

    Parameters
    ----------
    atoms : Atoms
    config : InputsConfig
    topology : str
        Name of its file.
    ensembles : collection of str
        Those that change the volume.

    Raises
    ------
    ValueError
    """
    kind = format_of(topology) or "pdb"
    if config.bonds != "file" or not ensembles or kind in ("pdb", "mmcif"):
        return
    bonded = {atom.residue for bond in atoms.topology.bonds() for atom in bond}
    loose = [
        residue.name
        for residue in atoms.topology.residues()
        if residue not in bonded
        and (kind != "gro" or sum(1 for _ in residue.atoms()) > 1)
    ]
    if not loose or (kind != "gro" and bonded):
        return
    raise ValueError(
        f"expected bonds in {topology}, since volume moves of {', '.join(ensembles)} "
        f'shift molecules, found none ({FORMATS[kind].name}); bonds = "distances" '
        "(--bonds distances) finds them, flexible_molecules (--flexible-molecules) "
        "shifts atoms one by one, as solids need it"
    )


def _read_positions(path: Path, config: InputsConfig) -> _Positions:
    kind = format_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected positions, found nothing at {path}")
    if kind in ("inpcrd", "crd"):
        return _read_with_openmm(path, kind)
    end = read_end(path, config.frame)
    if end is not None:
        return _Positions(end.positions, end.box, [], [], end.state)
    if kind == "mmcif":
        read = read_coordinates(path, config.elements)
        atoms = list(read.topology.atoms())
        names = [(atom.name, atom.residue.name) for atom in atoms]
        stated = [atom.element and atom.element.symbol for atom in atoms]
        box = read.topology.getPeriodicBoxVectors()
        return _Positions(read.positions, box, names, stated)
    # Elements are those of the topology.
    style = config.atom_style or "" if kind == "lammps-data" else ""
    records = read_records(path, config.elements, frame=config.frame, atom_style=style)
    say_remarks(records.remarks, records.models, path)
    residues = [records.residue_names[place] for place in records.residue_of]
    return _Positions(
        records.positions * unit.nanometer,
        box_of(records.cell, path, kind, records.vectors),
        list(zip(records.names, residues, strict=True)),
        records.stated,
    )


def _read_with_openmm(path: Path, kind: str) -> _Positions:
    try:
        if kind == "crd":
            crd = app.CharmmCrdFile(str(path))
            names = list(zip(crd.attype, crd.resname, strict=True))
            values = crd.positions.value_in_unit(unit.nanometer)
            stated = [None] * len(names)
            return _Positions(np.array(values) * unit.nanometer, None, names, stated)
        file = app.AmberInpcrdFile(str(path))
        values = np.array(file.positions.value_in_unit(unit.nanometer))
        if file.velocities is not None:
            say_remarks(["velocities of the file are left out"], 1, path)
        return _Positions(values * unit.nanometer, file.boxVectors, [], [])
    except Exception as error:  # OpenMM's parsers raise many kinds
        raise ValueError(
            f"{path}: expected {FORMATS[kind].name} that OpenMM can read, found "
            f"{type(error).__name__}: {error}"
        ) from error


def _compare(topology: app.Topology, given: _Positions, path: Path) -> None:
    """Refuse positions that are visibly of other atoms, or of another order."""
    atoms = list(topology.atoms())
    if len(given.values) != len(atoms):
        raise ValueError(
            f"expected positions of the {len(atoms)} atoms of the topology in {path}, "
            f"found {len(given.values)}"
        )
    for index, atom in enumerate(atoms if given.names else ()):
        if atom.element is None:
            continue
        symbol, found = atom.element.symbol, given.stated[index]
        if found is None:
            found = contradiction(*given.names[index], False, symbol)
        if found not in (None, symbol) and {found, symbol} != {"H", "D"}:
            raise ValueError(
                f"expected positions of the topology's atoms, in its order, in {path}, "
                f"found {found} for atom {index}, which is {symbol} ({atom.name} of "
                f"{atom.residue.name} {atom.residue.id})"
            )


def _box(config: InputsConfig) -> Any:
    """Box vectors of the settings, or None."""
    numbers = np.array(config.box_nm)
    if not len(numbers):
        return None
    if len(numbers) not in (3, 6):
        raise ValueError(
            "expected box_nm (--box) of three lengths in nm, or of three lengths and "
            f"three angles in degrees, found {len(numbers)} numbers"
        )
    cell = np.append(numbers, [90.0] * 3)[:6]
    angles = cell[3:]
    if not (angles.max() < 180 and 2 * angles.max() < angles.sum() < 360):
        raise ValueError(
            "expected angles of box_nm (--box) that span a cell, found "
            f"{', '.join(map(str, angles))} degrees"
        )
    box = reduced_box(standard_vectors(cell))
    say_changes(None, cell, box, "box_nm (--box)")
    return box
