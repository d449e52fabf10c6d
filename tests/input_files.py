# SPDX-License-Identifier: MIT
"""The same waters in a triclinic box as files of each format that is read."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import ase
import ase.io
import numpy as np
from openmm import app, unit

from openmm_allegro.simulate.topology_file import write_topology
from openmm_allegro.topology.cells import standard_vectors

DATA = Path(__file__).parent / "data" / "mixed"
# Lengths in Å and angles in degrees that all formats hold, and the vectors.
LENGTHS, ANGLES = (8.2, 8.0, 8.8), (84.5, 101.25, 80.75)
CELL = standard_vectors(np.array([*LENGTHS, *ANGLES]))
# Another orientation of it, in which a is not along x.
TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
_WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
# Formats of the matrix, in the order of the manual's table.
FORMATS = (
    *("PDB", "PDBx/mmCIF", "GROMACS gro", "GROMACS top and gro"),
    *("Amber prmtop and inpcrd", "Amber prmtop and rst7", "CHARMM psf and crd"),
    *("POSCAR", "CIF", "extxyz", "LAMMPS data"),
    *("XDATCAR", "ase trajectory", "LAMMPS dump"),
)


class Files(NamedTuple):
    """Files of a format: what is named first, and what goes with it."""

    topology: str
    positions: str = ""
    options: Mapping = MappingProxyType({})


def waters() -> ase.Atoms:
    """Eight waters in the triclinic box, all in one order: O H H."""
    rng = np.random.default_rng(3)
    atoms = ase.Atoms()
    for place in np.stack(np.indices((2, 2, 2)), -1).reshape(-1, 3):
        one = ase.Atoms("OH2", _WATER)
        one.rotate(float(rng.uniform(0, 360)), rng.normal(size=3))
        one.translate(place / 2 @ CELL + rng.uniform(0.5, 1.0, 3))
        atoms += one
    atoms.set_cell(CELL)
    atoms.pbc = True
    # Positions that three digits of nm, and of Å, hold.
    atoms.positions = atoms.positions.round(2)
    return atoms


def turned(atoms: ase.Atoms) -> ase.Atoms:
    """The same in an orientation that is not OpenMM's."""
    other = atoms.copy()
    other.positions = atoms.positions @ TURN.T
    other.set_cell(atoms.cell.array @ TURN.T)
    return other


def topology_of(atoms: ase.Atoms) -> app.Topology:
    """Topology of waters with names and bonds."""
    topology = app.Topology()
    chain = topology.addChain("A")
    for _ in range(len(atoms) // 3):
        residue = topology.addResidue("HOH", chain)
        o, h1, h2 = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        )
        topology.addBond(o, h1)
        topology.addBond(o, h2)
    topology.setPeriodicBoxVectors(atoms.cell.array / 10 * unit.nanometer)
    return topology


def rings() -> ase.Atoms:
    """Benzene and toluene in a box, as Amber's files of them have them."""
    file = app.AmberInpcrdFile(str(DATA / "benzene_toluene.inpcrd"))
    positions = np.array(file.positions.value_in_unit(unit.angstrom))
    topology = app.AmberPrmtopFile(str(DATA / "benzene_toluene.prmtop")).topology
    symbols = [atom.element.symbol for atom in topology.atoms()]
    # A truncated octahedron, as Amber has it.
    cell = [25.0] * 3 + [109.4712190] * 3
    return ase.Atoms(symbols, positions, cell=cell, pbc=True)


def write(name: str, folder: Path, atoms: ase.Atoms) -> Files:
    """Write atoms in a format of FORMATS."""
    places = atoms.positions * unit.angstrom
    path = folder / _NAMES[name]
    if name == "PDB":
        write_topology(path, topology_of(atoms), places)
    elif name == "PDBx/mmCIF":
        with open(path, "w") as file:
            app.PDBxFile.writeFile(topology_of(atoms), places, file)
    elif name == "GROMACS gro":
        path.write_text(_gro(atoms))
    elif name == "GROMACS top and gro":
        path.write_text(_TOP + f"WAT {len(atoms) // 3}\n")
        (folder / "of_top.gro").write_text(_gro(atoms, digits=6))
        return Files(path.name, "of_top.gro")
    elif name.startswith("Amber"):
        text = (DATA / "benzene_toluene.prmtop").read_text()
        path.write_text(text)
        positions = folder / ("x.inpcrd" if "inpcrd" in name else "x.rst7")
        (_inpcrd if "inpcrd" in name else _rst7)(positions, atoms)
        return Files(path.name, positions.name)
    elif name == "CHARMM psf and crd":
        path.write_text(_psf(len(atoms) // 3))
        (folder / "x.crd").write_text(_crd(atoms))
        box = (*(x / 10 for x in LENGTHS), *ANGLES)
        return Files(path.name, "x.crd", {"box_nm": box})
    elif name == "LAMMPS data":
        kinds = ["H", "O"]
        ase.io.write(path, atoms, format="lammps-data", specorder=kinds, masses=True)
    elif name == "LAMMPS dump":
        path.write_text(_dump(atoms))
    elif name in ("XDATCAR", "ase trajectory"):
        moved = atoms.copy()
        moved.positions += 0.3
        kind = {"XDATCAR": "vasp-xdatcar"}.get(name, "traj")
        ase.io.write(path, [turned(moved), turned(atoms)], format=kind)
        return Files(path.name, "", {"frame": -1})
    else:
        kind = {"POSCAR": "vasp", "CIF": "cif"}.get(name, "extxyz")
        more = {"direct": True} if kind == "vasp" else {}
        ase.io.write(path, turned(atoms), format=kind, **more)
    return Files(path.name)


_NAMES = {
    "PDB": "x.pdb",
    "PDBx/mmCIF": "x.mmcif",
    "GROMACS gro": "x.gro",
    "GROMACS top and gro": "x.top",
    "Amber prmtop and inpcrd": "x.prmtop",
    "Amber prmtop and rst7": "y.prmtop",
    "CHARMM psf and crd": "x.psf",
    "POSCAR": "POSCAR",
    "CIF": "crystal.cif",
    "extxyz": "x.extxyz",
    "LAMMPS data": "x.data",
    "XDATCAR": "XDATCAR",
    "ase trajectory": "x.traj",
    "LAMMPS dump": "x.lammpstrj",
}
# Water of SPC, in the terms of a top file.
_TOP = """[ defaults ]
1 2 yes 0.5 0.8333
[ atomtypes ]
OW 8 15.9994 0.0 A 0.316557 0.650194
HW 1 1.008 0.0 A 0.0 0.0
[ moleculetype ]
WAT 2
[ atoms ]
1 OW 1 SOL OW 1 -0.8476 15.9994
2 HW 1 SOL HW1 1 0.4238 1.008
3 HW 1 SOL HW2 1 0.4238 1.008
[ bonds ]
1 2 1 0.1 345000
1 3 1 0.1 345000
[ angles ]
2 1 3 1 109.47 383
[ system ]
waters
[ molecules ]
"""


def _gro(atoms: ase.Atoms, digits: int = 3) -> str:
    """Text of a gro file, of three digits or of more."""
    lines, width = ["waters", str(len(atoms))], digits + 5
    for i, place in enumerate(atoms.positions / 10):
        name = ("OW", "HW1", "HW2")[i % 3]
        numbers = "".join(f"{x:{width}.{digits}f}" for x in place)
        lines.append(f"{i // 3 + 1:5d}{'SOL':<5}{name:>5}{i + 1:5d}{numbers}")
    a, b, c = atoms.cell.array / 10
    nine = (a[0], b[1], c[2], a[1], a[2], b[0], b[2], c[0], c[1])
    return "\n".join([*lines, " ".join(f"{x:.9f}" for x in nine), ""])


def _inpcrd(path: Path, atoms: ase.Atoms) -> None:
    numbers = [f"{x:12.7f}" for x in atoms.positions.ravel()]
    lines = ["".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
    if atoms.pbc.any():
        six = (*atoms.cell.lengths(), *atoms.cell.angles())
        lines.append("".join(f"{x:12.7f}" for x in six))
    path.write_text("\n".join(["rings", f"{len(atoms):5d}", *lines, ""]))


def _rst7(path: Path, atoms: ase.Atoms) -> None:
    """Write Amber's restart of NetCDF, with velocities that nobody takes."""
    from scipy.io import netcdf_file

    with netcdf_file(str(path), "w") as file:
        file.Conventions, file.ConventionVersion = b"AMBERRESTART", b"1.0"
        file.application = file.program = file.programVersion = b"tests"
        file.createDimension("spatial", 3)
        file.createDimension("atom", len(atoms))
        for name in ("coordinates", "velocities"):
            values = file.createVariable(name, "d", ("atom", "spatial"))
            values[:] = atoms.positions
            if name == "velocities":
                values.scale_factor = 20.455
        if atoms.pbc.any():
            file.createDimension("cell_spatial", 3)
            file.createDimension("cell_angular", 3)
            lengths = file.createVariable("cell_lengths", "d", ("cell_spatial",))
            lengths[:] = atoms.cell.lengths()
            angles = file.createVariable("cell_angles", "d", ("cell_angular",))
            angles[:] = atoms.cell.angles()


def _psf(count: int) -> str:
    lines = ["PSF", "", f"{1:8d} !NTITLE", " REMARKS waters", ""]
    lines.append(f"{3 * count:8d} !NATOM")
    kinds = (
        ("OH2", "OT", -0.834, 15.9994),
        ("H1", "HT", 0.417, 1.008),
        ("H2", "HT", 0.417, 1.008),
    )
    for i in range(3 * count):
        name, kind, charge, mass = kinds[i % 3]
        lines.append(
            f"{i + 1:8d} WAT  {i // 3 + 1:<4d} TIP3 {name:<4s} {kind:<4s} "
            f"{charge:10.6f} {mass:13.4f} {0:11d}"
        )
    pairs = ((1, 2), (1, 3), (2, 3))
    bonds = [(3 * i + a, 3 * i + b) for i in range(count) for a, b in pairs]
    angles = [(3 * i + 2, 3 * i + 1, 3 * i + 3) for i in range(count)]
    for title, items in (
        ("NBOND: bonds", bonds),
        ("NTHETA: angles", angles),
        *((f"{name}: none", ()) for name in ("NPHI", "NIMPHI", "NDON", "NACC")),
        ("NNB", ()),
    ):
        numbers = [f"{i:8d}" for item in items for i in item]
        lines += ["", f"{len(items):8d} !{title}"]
        lines += ["".join(numbers[i : i + 8]) for i in range(0, len(numbers), 8)]
    lines += ["", "", f"{0:8d}{0:8d} !NGRP NST2", "", "", f"{0:8d} !NCRTERM", ""]
    return "\n".join(lines) + "\n"


def _crd(atoms: ase.Atoms) -> str:
    lines = ["* waters", "*", f"{len(atoms):5d}"]
    for i, (x, y, z) in enumerate(atoms.positions):
        name = ("OH2", "H1", "H2")[i % 3]
        lines.append(
            f"{i + 1:5d}{i // 3 + 1:5d} TIP3 {name:<4s}{x:10.5f}{y:10.5f}{z:10.5f} "
            f"WAT  {i // 3 + 1:<4d}{0:10.5f}"
        )
    return "\n".join([*lines, ""])


def _dump(atoms: ase.Atoms) -> str:
    a, b, c = atoms.cell.array
    xy, xz, yz = b[0], c[0], c[1]
    low = min(0, xy, xz, xy + xz), min(0, yz), 0
    high = a[0] + max(0, xy, xz, xy + xz), b[1] + max(0, yz), c[2]
    bounds = zip(low, high, (xy, xz, yz), strict=True)
    rows = (
        f"{i} {1 if symbol == 'H' else 2} {x:.8f} {y:.8f} {z:.8f}\n"
        for i, (symbol, (x, y, z)) in enumerate(
            zip(atoms.symbols, atoms.positions, strict=True), 1
        )
    )
    return (
        f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n"
        "ITEM: BOX BOUNDS xy xz yz pp pp pp\n"
        + "".join(" ".join(map(repr, map(float, row))) + "\n" for row in bounds)
        + "ITEM: ATOMS id type x y z\n"
        + "".join(rows)
    )
