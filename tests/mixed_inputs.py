# SPDX-License-Identifier: MIT
"""Small mixed systems as force fields' own files and readers make them.

Each has a region, and a System of the region alone that the same reader makes.
"""

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openmm
from mixed_helpers import BONDS, METHYLS, SOLUTE, cluster, part, solvated
from openmm import app, unit

from openmm_allegro import read_structures

DATA = Path(__file__).parent / "data"
SIDE = 2.2  # nm, of the box where there is one
CUTOFF = 1.0  # nm: more than the size of any region
METHODS = {
    "NoCutoff": app.NoCutoff,
    "CutoffNonPeriodic": app.CutoffNonPeriodic,
    "CutoffPeriodic": app.CutoffPeriodic,
    "Ewald": app.Ewald,
    "PME": app.PME,
    "LJPME": app.LJPME,
}
PERIODIC = ("CutoffPeriodic", "Ewald", "PME", "LJPME")


class Input(NamedTuple):
    """``system(alone, method, constrained)`` makes the System of all or the region."""

    topology: app.Topology
    positions: np.ndarray  # nm
    atoms: list[int]
    alone: app.Topology
    system: Callable[[bool, str, bool], openmm.System]


def _options(method: str, constrained: bool) -> dict:
    return {
        "nonbondedMethod": METHODS[method],
        "nonbondedCutoff": CUTOFF * unit.nanometer,
        "constraints": app.HBonds if constrained else None,
        "rigidWater": constrained,
    }


def _boxed(topology: app.Topology, method: str) -> None:
    box = np.eye(3) * SIDE * unit.nanometer if method in PERIODIC else None
    topology.setPeriodicBoxVectors(box)


def _of_force_field(whole, positions, atoms, alone, *files) -> Input:
    field = app.ForceField(*files)

    def system(is_alone, method, constrained):
        topology = alone if is_alone else whole
        _boxed(topology, method)
        # The same atoms and bonds may have two names in CHARMM36.
        templates = {r: r.name for r in topology.residues() if r.name == "ALAD"}
        return field.createSystem(
            topology, residueTemplates=templates, **_options(method, constrained)
        )

    return Input(whole, positions, atoms, alone, system)


@functools.cache
def amber14() -> Input:
    """N-methylacetamide and one water of six, and Na⁺; an order of no meaning."""
    atoms = [14, 12, 13, *reversed(range(SOLUTE))]
    whole = cluster(solvated())
    alone = part(whole, atoms)
    return _of_force_field(
        whole.topology,
        whole.positions,
        atoms,
        alone.topology,
        "amber14/protein.ff14SB.xml",
        "amber14/tip3pfb.xml",
    )


def alanine() -> tuple[app.Topology, np.ndarray]:
    """Alanine dipeptide (22 atoms) and eight waters."""
    pdb = app.PDBFile(str(DATA / "mixed" / "alanine_waters.pdb"))
    positions = np.array(pdb.positions.value_in_unit(unit.nanometer))
    return pdb.topology, positions


@functools.cache
def amber19() -> Input:
    """Alanine dipeptide, which has a CMAP term."""
    topology, positions = alanine()
    return _of_force_field(
        topology,
        positions,
        list(range(22)),
        first_atoms(topology, 22),
        "amber19/protein.ff19SB.xml",
        "amber19/tip3pfb.xml",
    )


@functools.cache
def charmm36() -> Input:
    """The same with CMAP, Urey-Bradley, harmonic impropers and custom forces."""
    topology, positions = alanine()
    topology = one_residue(topology, "ALAD", 22)
    return _of_force_field(
        topology,
        positions,
        list(range(22)),
        first_atoms(topology, 22),
        "charmm36.xml",
        "charmm36/water.xml",
    )


@functools.cache
def prmtop(solvent: str | None = None) -> Input:
    """Amber's prmtop: benzene (the region) beside toluene, GAFF."""
    positions = _stacked_rings()
    model = getattr(app, solvent) if solvent else None

    def read(name, method="NoCutoff"):
        box = np.eye(3) * SIDE * unit.nanometer if method in PERIODIC else None
        return app.AmberPrmtopFile(str(DATA / "mixed" / name), periodicBoxVectors=box)

    def system(is_alone, method, constrained):
        name = "benzene.prmtop" if is_alone else "benzene_toluene.prmtop"
        options = _options(method, constrained)
        with warnings.catch_warnings():
            # The file of 2014 names its radii otherwise.
            warnings.filterwarnings("ignore", "Non-optimal GB parameters")
            return read(name, method).createSystem(
                **options, implicitSolvent=None if is_alone else model
            )

    return Input(
        read("benzene_toluene.prmtop").topology,
        positions,
        list(range(12)),
        read("benzene.prmtop").topology,
        system,
    )


@functools.cache
def psf(folder: Path) -> Input:
    """CHARMM's psf, with NBFIX between the region's O and Na⁺; atoms as in amber14."""
    _, positions, atoms, *_ = amber14()
    waters = (len(positions) - SOLUTE - 1) // 3
    write_psf(folder / "whole.psf", waters, sodium=True)
    write_psf(folder / "alone.psf", 1, sodium=False)
    parameters = app.CharmmParameterSet(str(DATA / "mixed" / "nma_water_sodium.prm"))

    def read(is_alone):
        return app.CharmmPsfFile(
            str(folder / ("alone.psf" if is_alone else "whole.psf"))
        )

    def system(is_alone, method, constrained):
        file = read(is_alone)
        if method in PERIODIC:
            file.setBox(*[SIDE * unit.nanometer] * 3)
        return file.createSystem(parameters, **_options(method, constrained))

    return Input(read(False).topology, positions, atoms, read(True).topology, system)


@functools.cache
def top() -> Input:
    """GROMACS's top with geometric combination and Ryckaert-Bellemans torsions.

    Ethanol and the first of four waters are the region.
    """
    (ethanol, *_) = read_structures(DATA / "ethanol.extxyz")
    water = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [-0.0333, 0.0943, 0.0]])
    places = np.array(
        [[0.1, 0.3, 0.0], [0.0, -0.4, 0.2], [0.1, 0.1, 0.5], [-0.5, 0, 0]]
    )
    positions = np.vstack([ethanol.positions / 10, *(water + at for at in places)])

    def read(is_alone, method="NoCutoff", constrained=True):
        box = np.eye(3) * SIDE * unit.nanometer if method in PERIODIC else None
        defines = {} if constrained else {"FLEXIBLE": ""}
        if not is_alone:
            defines["WATERS"] = ""
        path = str(DATA / "mixed" / "ethanol_water.top")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file open
            return app.GromacsTopFile(path, periodicBoxVectors=box, defines=defines)

    def system(is_alone, method, constrained):
        file = read(is_alone, method, constrained)
        return file.createSystem(**_options(method, constrained))

    return Input(
        read(False).topology,
        positions + SIDE / 2,
        list(range(12)),
        read(True).topology,
        system,
    )


def first_atoms(topology: app.Topology, count: int) -> app.Topology:
    """The first atoms of a topology."""
    positions = np.zeros((topology.getNumAtoms(), 3)) * unit.nanometer
    modeller = app.Modeller(topology, positions)
    modeller.delete([atom for atom in topology.atoms() if atom.index >= count])
    return modeller.topology


def one_residue(topology: app.Topology, name: str, count: int) -> app.Topology:
    """The same with the first atoms in one residue, as CHARMM has small molecules."""
    merged = app.Topology()
    chain = merged.addChain()
    residue, atoms = merged.addResidue(name, chain), []
    for atom in topology.atoms():
        if atom.index >= count and atom.name == "O":
            residue = merged.addResidue("HOH", chain)
        atoms.append(merged.addAtom(atom.name, atom.element, residue))
    for first, second in topology.bonds():
        merged.addBond(atoms[first.index], atoms[second.index])
    return merged


def _stacked_rings() -> np.ndarray:
    """Positions (nm) of benzene and toluene, one above the other."""
    file = app.AmberInpcrdFile(str(DATA / "mixed" / "benzene_toluene.inpcrd"))
    positions = np.array(file.positions.value_in_unit(unit.nanometer))
    first, second, third = positions[[0, 3, 4]]
    normal = np.cross(second - first, third - first)
    positions[12:] += 0.38 * normal / np.linalg.norm(normal)
    return positions - positions.mean(0) + SIDE / 2


# name, type, charge and mass; bonds are BONDS and METHYLS of mixed_helpers
_NMA = (
    *(
        ("CL", "CT3", -0.27, 12.011),
        ("C", "C", 0.51, 12.011),
        ("O", "O", -0.51, 15.999),
    ),
    *((f"HL{i}", "HA3", 0.09, 1.008) for i in range(3)),
    *(
        ("N", "NH1", -0.47, 14.007),
        ("H", "H", 0.31, 1.008),
        ("CR", "CT3", -0.11, 12.011),
    ),
    *((f"HR{i}", "HA3", 0.09, 1.008) for i in range(3)),
)
_TIP3 = (
    ("OH2", "OT", -0.834, 15.9994),
    ("H1", "HT", 0.417, 1.008),
    ("H2", "HT", 0.417, 1.008),
)


def write_psf(path: Path, waters: int, *, sodium: bool) -> None:
    """A psf of N-methylacetamide, waters and perhaps a sodium ion."""
    rows = [("NMA", 1, *atom) for atom in _NMA]
    bonds = [*BONDS, *((c, h + i) for c, _, h in METHYLS for i in range(3))]
    for water in range(waters):
        oxygen = len(rows)
        rows += [("TIP3", 2 + water, *atom) for atom in _TIP3]
        bonds += [(oxygen, oxygen + 1), (oxygen, oxygen + 2), (oxygen + 1, oxygen + 2)]
    if sodium:
        rows.append(("SOD", 2 + waters, "SOD", "SOD", 1.0, 22.98977))
    real = [b for b in bonds if rows[b[0]][3] != "HT"]  # not the H-H of TIP3P
    around = {i: [] for i in range(len(rows))}
    for first, second in real:
        around[first].append(second)
        around[second].append(first)
    angles = [(i, j, k) for j in around for i in around[j] for k in around[j] if i < k]
    torsions = [
        (i, j, k, m)
        for j, k in real
        for i in around[j]
        for m in around[k]
        if i != k and m != j
    ]
    impropers = [(2, 0, 6, 1), (6, 1, 8, 7)]
    lines = ["PSF", "", f"{1:8d} !NTITLE", " REMARKS for tests", ""]
    lines.append(f"{len(rows):8d} !NATOM")
    for i, (residue, number, name, kind, charge, mass) in enumerate(rows, 1):
        lines.append(
            f"{i:8d} MAIN {number:<4d} {residue:<4s} {name:<4s} {kind:<4s} "
            f"{charge:10.6f} {mass:13.4f} {0:11d}"
        )
    for title, items in (
        ("NBOND: bonds", bonds),
        ("NTHETA: angles", angles),
        ("NPHI: dihedrals", torsions),
        ("NIMPHI: impropers", impropers),
        *((title, ()) for title in ("NDON: donors", "NACC: acceptors", "NNB")),
    ):
        numbers = [f"{i + 1:8d}" for item in items for i in item]
        lines += ["", f"{len(items):8d} !{title}"]
        lines += ["".join(numbers[i : i + 8]) for i in range(0, len(numbers), 8)]
    lines += ["", "", f"{0:8d}{0:8d} !NGRP NST2", "", "", f"{0:8d} !NCRTERM", ""]
    path.write_text("\n".join(lines) + "\n")
