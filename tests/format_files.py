# SPDX-License-Identifier: MIT
"""Files of one content in many formats: structures with labels, topologies, paths."""

from typing import NamedTuple

import ase
import ase.db
import ase.io
import mdtraj
import numpy as np
from analysis_helpers import make_trajectory, random_walk
from ase.calculators.singlepoint import SinglePointCalculator

KCAL = 4.184 / 96.48533212331  # eV
KBAR = 0.000624150907  # eV/Å³
STEP = 0.02  # ps
_WALK = 5e-4  # nm² per frame


class Frame(NamedTuple):
    """Atoms with energy in eV, forces in eV/Å and stress in eV/Å³."""

    atoms: ase.Atoms
    energy: float
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None


def water():
    """A molecule in a cell, with all labels."""
    atoms = ase.Atoms(
        "OH2", [[1, 1, 1], [1.9, 1.2, 1], [0.8, 1.9, 1.1]], cell=[12, 13, 14], pbc=True
    )
    forces = np.array([[0.1, 0.2, 0.3], [-0.1, -0.3, -0.2], [0.0, 0.1, -0.1]])
    stress = 1e-3 * np.array([[1.0, 0.2, 0.3], [0.2, 2.0, 0.1], [0.3, 0.1, -1.5]])
    return Frame(atoms, -14.2, forces, stress)


def hydrogen():
    """An atom in the same cell, without forces."""
    return Frame(ase.Atoms("H", [[1, 1, 1]], cell=[12, 13, 14], pbc=True), -1.1)


def write_labelled(name, path, frames, more=""):
    """Write frames in a format by its name; `more` ends comments of extxyz."""
    writers = {"OUTCAR": _outcar, "vasprun.xml": _vasprun}
    if name in writers:
        path.write_text(writers[name](frames))
    elif name in ("ase.db", "traj"):
        images = []
        for frame in frames:
            atoms = frame.atoms.copy()
            results = {"energy": frame.energy}
            if frame.forces is not None:
                results["forces"] = frame.forces
            if frame.stress is not None:
                results["stress"] = frame.stress.flat[[0, 4, 8, 5, 2, 1]]
            atoms.calc = SinglePointCalculator(atoms, **results)
            if more:
                atoms.info["REF_energy"] = -99.0
            images.append(atoms)
        if name == "traj":
            ase.io.write(path, images)
            return
        with ase.db.connect(path) as rows:
            for atoms in images:
                rows.write(atoms, key_value_pairs=dict(atoms.info))
    else:
        path.write_text("".join(_extxyz(name, frame, more) for frame in frames))


# Names of energy, forces and stress or virial, and units, of dialects of extxyz.
DIALECTS = {
    "extxyz of ASE": ("energy", "forces", "stress", 1.0),
    "extxyz of MACE": ("REF_energy", "REF_forces", "REF_stress", 1.0),
    "extxyz of dft_": ("dft_energy", "dft_force", "dft_stress", 1.0),
    "extxyz of GPUMD": ("energy", "force", "virial", 1.0),
    "extxyz in kcal/mol": ("energy", "forces", "stress", KCAL),
}


def _extxyz(name, frame, more):
    energy, forces, stress, unit = DIALECTS[name]
    atoms, columns = frame.atoms, ""
    values = np.empty((len(atoms), 0))
    if frame.forces is not None:
        columns, values = f":{forces}:R:3", frame.forces / unit
    words = [f"{energy}={frame.energy / unit}"]
    if frame.stress is not None:
        factor = -atoms.get_volume() if stress == "virial" else 1.0
        nine = " ".join(str(x) for x in (factor * frame.stress / unit).flat)
        words.append(f'{stress}="{nine}"')
    lattice = " ".join(str(x) for x in atoms.cell.array.flat)
    rows = "".join(
        " ".join([symbol, *map(str, place), *map(str, value)]) + "\n"
        for symbol, place, value in zip(
            atoms.symbols, atoms.positions, values, strict=True
        )
    )
    return (
        f'{len(atoms)}\nLattice="{lattice}" pbc="T T T" '
        f"Properties=species:S:1:pos:R:3{columns} {' '.join(words)} {more}\n{rows}"
    )


def _forces(frame):
    return np.zeros((len(frame.atoms), 3)) if frame.forces is None else frame.forces


def _outcar(frames):
    """Text of the lines that VASP writes and ASE reads, of one composition."""
    symbols = list(frames[0].atoms.symbols)
    kinds = list(dict.fromkeys(symbols))
    head = "".join(2 * [f" POTCAR:    PAW_PBE {kind} 04Jan2001\n" for kind in kinds])
    numbers = " ".join(str(symbols.count(kind)) for kind in kinds)
    text = (
        f"{head}   k-points           NKPTS =      1   k-points in BZ     NKDIM =   1  "
        " number of bands    NBANDS=      8\n   ISPIN  =      1    spin polarized\n"
        f"   ions per type = {numbers}\n"
        " k-points in reciprocal lattice and weights: x\n   0.0 0.0 0.0 1.0\n"
    )
    for i, frame in enumerate(frames, start=1):
        cell, inverse = frame.atoms.cell.array, frame.atoms.cell.reciprocal()
        stress = np.zeros((3, 3)) if frame.stress is None else frame.stress
        six = (-stress / KBAR)[[0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]
        vectors = "".join(
            " ".join(map(str, (*a, *b))) + "\n"
            for a, b in zip(cell, inverse, strict=True)
        )
        table = "".join(
            " ".join(map(str, (*a, *b))) + "\n"
            for a, b in zip(frame.atoms.positions, _forces(frame), strict=True)
        )
        line = f" {'-' * 60}\n"
        text += (
            f"------------- Iteration    {i}(   1)  -------------\n"
            f"  in kB  {' '.join(map(str, six))}\n"
            f" direct lattice vectors                 reciprocal lattice vectors\n"
            f"{vectors} POSITION                     TOTAL-FORCE (eV/Angst)\n"
            f"{line}{table}{line}  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n{line}"
            f"  free  energy   TOTEN  =        {frame.energy} eV\n\n"
            f"  energy  without entropy=  {frame.energy + 0.08}  energy(sigma->0) =  "
            f"{frame.energy + 0.04}\n"
        )
    return text


def _vasprun(frames):
    """XML of the elements that VASP writes and ASE reads, of one composition."""

    def rows(numbers):
        return "".join(f"<v> {' '.join(map(str, row))} </v>" for row in numbers)

    def array(name, numbers):
        return f'<varray name="{name}">{rows(numbers)}</varray>'

    def structure(frame):
        atoms = frame.atoms
        return (
            f"<crystal>{array('basis', atoms.cell.array)}</crystal>"
            f"{array('positions', atoms.get_scaled_positions(wrap=False))}"
        )

    steps = ""
    for frame in frames:
        stress = np.zeros((3, 3)) if frame.stress is None else frame.stress
        free = f'<energy><i name="e_fr_energy">{frame.energy}</i>'
        steps += (
            f"<calculation><scstep>{free}<i name='e_0_energy'>{frame.energy + 0.04}</i>"
            f"</energy></scstep><structure>{structure(frame)}</structure>"
            f"{array('forces', _forces(frame))}{array('stress', -stress / KBAR)}"
            f"{free}</energy></calculation>"
        )
    atoms = "".join(f"<rc><c>{s}</c></rc>" for s in frames[0].atoms.symbols)
    return (
        "<modeling><kpoints></kpoints><atominfo>"
        f'<array name="atoms"><set>{atoms}</set></array></atominfo>'
        f'<structure name="initialpos">{structure(frames[0])}</structure>'
        f"{steps}</modeling>"
    )


# Names of atoms and residues, their elements, and places in nm in a cell of 2 nm.
IONS = [("NA", "NA", "Na"), ("CL", "CL", "Cl"), ("OW", "SOL", "O"), ("HW1", "SOL", "H")]
UNKNOWN = [("C1", "LIG", "C"), ("N1", "LIG", "N")]


def write_topology(name, path, atoms, *, box=2.0, spread=0.4):
    """Write atoms (name, residue, element) along x in a format by its name."""
    places = [(spread * i + 0.1, 0.1, 0.1) for i in range(len(atoms))]
    if name == "gro":
        lines = ["atoms", str(len(atoms))]
        for i, (atom, residue, _) in enumerate(atoms, start=1):
            x, y, z = places[i - 1]
            lines.append(f"{i:5d}{residue:<5}{atom:>5}{i:5d}{x:8.3f}{y:8.3f}{z:8.3f}")
        path.write_text("\n".join([*lines, f"{box:10.5f}{box:10.5f}{box:10.5f}", ""]))
    elif name == "mmCIF":
        rows = "".join(
            f"HETATM {i} {element} {atom} . {residue} A {i} ? "
            f"{' '.join(f'{10 * x:.3f}' for x in places[i - 1])} 1.0 0.0 {i} {residue} "
            f"A {atom} 1\n"
            for i, (atom, residue, element) in enumerate(atoms, start=1)
        )
        columns = (
            "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id "
            "label_asym_id label_seq_id pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z "
            "occupancy B_iso_or_equiv auth_seq_id auth_comp_id auth_asym_id "
            "auth_atom_id pdbx_PDB_model_num"
        )
        names = "".join(f"_atom_site.{column}\n" for column in columns.split())
        cell = "".join(f"_cell.length_{a} {10 * box}\n" for a in "abc")
        cell += "".join(f"_cell.angle_{a} 90.0\n" for a in ("alpha", "beta", "gamma"))
        path.write_text(f"data_x\n{cell}loop_\n{names}{rows}#\n")
    else:
        side = f"{10 * box:9.3f}"
        lines = [f"CRYST1{side}{side}{side}  90.00  90.00  90.00 P 1           1"]
        for i, (atom, residue, element) in enumerate(atoms, start=1):
            x, y, z = (10 * value for value in places[i - 1])
            stated = element if name == "PDB" else ""
            lines.append(
                f"HETATM{i:5d} {atom:^4} {residue:<4}A{i:4d}    {x:8.3f}{y:8.3f}"
                f"{z:8.3f}  1.00  0.00          {stated:>2}"
            )
        path.write_text("\n".join([*lines, "END", ""]))


def walk():
    """20 Li that walk alone from cell to cell, a frame each 0.02 ps."""
    rng = np.random.default_rng(1)
    steps = 0.5 + random_walk(400, 20, _WALK, rng)
    trajectory = make_trajectory(steps % 3.0, 3 * np.eye(3), ["Li"] * 20)
    trajectory.time = STEP * np.arange(400)
    return trajectory


# Coefficient in cm²/s of `walk`.
COEFFICIENT = _WALK / STEP * 1e-2


def write_trajectory(name, path, trajectory, *, times=True, cells=True, scaled=False):
    """Write frames in a format by its name; without times they are 0, or none."""
    copy = trajectory[:]
    if not times:
        copy.time = np.zeros(len(copy))
    if not cells:
        copy.unitcell_vectors = None
    if name == "XTC":
        from cli_helpers import save_xtc

        save_xtc(copy, path)
    elif name == "lammpstrj":
        path.write_text(_dump(copy, times, scaled))
    else:
        copy.save(str(path))


def _dump(trajectory, times, scaled):
    text = ""
    side = 10 * trajectory.unitcell_lengths[0, 0]
    for frame, time in zip(trajectory.xyz, trajectory.time, strict=True):
        step = round(1000 * float(time))
        text += "ITEM: UNITS\nmetal\n" if times and not text else ""
        text += f"ITEM: TIME\n{time:.6f}\n" if times else ""
        text += f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n"
        text += "ITEM: BOX BOUNDS pp pp pp\n" + 3 * f"0.0 {side:.6f}\n"
        columns = "xs ys zs" if scaled else "x y z"
        text += f"ITEM: ATOMS id type {columns}\n"
        values = frame / trajectory.unitcell_lengths[0] if scaled else 10 * frame
        text += "".join(
            f"{i} 1 {x:.7f} {y:.7f} {z:.7f}\n" for i, (x, y, z) in enumerate(values, 1)
        )
    return text


def topology_of(trajectory, path):
    """Write the first frame as a PDB file."""
    trajectory[0].save_pdb(str(path))
    return mdtraj.load_topology(str(path))


def ending(name, folder):
    """File whose name ase knows the format by."""
    plain = {"OUTCAR": "OUTCAR", "vasprun.xml": "vasprun.xml", "ase.db": "x.db"}
    return folder / plain.get(name, "x.traj" if name == "traj" else "x.extxyz")


def units(name):
    return {"energy_unit": "kcal/mol"} if "kcal" in name else {}
