# SPDX-License-Identifier: MIT
"""Atoms and models that LAMMPS must compute as the package does."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.units import fs
from helpers import (
    CELLS,
    FULL,
    random_ase,
    tiny_config,
    tiny_energy,
    tiny_statistics,
    water_model,
)
from lammps_helpers import Case, Exported
from openmm_helpers import lattice_waters

from openmm_allegro import Model, load_model

SYSTEMS = Path(__file__).parents[1] / "systems"


NETWORKS = {
    "full": FULL,
    "core": FULL | {"core_rates": (0.5, 1.5, 4.0)},
    "l1_layers1": {"l_max": 1, "num_layers": 1},
    "l2_layers3": {"l_max": 2, "num_layers": 3},
    "l3_layers3": {"l_max": 3, "num_layers": 3},
    "l0": {"l_max": 0, "num_layers": 1},
    "splines": {"radial_embedding": "spline"},
}
# Shipped models; each of the crystals has its own box.
TRAINED = {
    "nacl_aq": "nacl_aq.pdb",
    "ec_emc": "ec_emc.pdb",
    "li6ps5cl": "aimd_0.pdb",
    "li3po4": "crystal.pdb",
    "lgps": None,
}
WATERS = {
    "waters": {},
    "waters_mixed": {"precision": "mixed"},
    "waters_table": {"two_body": "table"},
    "waters_mixed_table": {"precision": "mixed", "two_body": "table"},
}
FOUR = (
    *("large", "triclinic", "slab", "tiny_triclinic", "thin_x", "vacuum", "corner"),
    *("shrunk", "tiled", "nacl_aq"),
)
MEMBERS = "full", "l0", "splines"
# Å, within 2.5 Å of each other; types and nuclear charges of pairs
CLOSE = [[0.0, 0.0, 0.0], [0.9, 0.1, -0.2], [1.3, 1.1, 0.4]]
NUMBERS = [
    (i, j, a, b)
    for i, a in enumerate((1, 8, 11), 1)
    for j, b in enumerate((1, 8, 11), 1)
    if i <= j
]
REPLICAS, REPLICATE = (2, 1, 2), "replicate 2 1 2"
# Å, or of the box; atoms near where two ranks meet, and components that leave the cell
# lower triangular
SIDES, STEP = (1, -1), 1e-4
MOVED = [(atom, axis) for atom in (0, 1) for axis in range(3)]
STRAINED = [(0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1)]
HEAT = """compute kinetic all ke/atom
compute flux all heat/flux kinetic energies nine"""
FLUX = [f"c_flux[{k}]" for k in range(1, 7)]


@functools.cache
def exported(name: str) -> Exported:
    """The model of a file, by the file's name without suffix."""
    if name in NETWORKS:
        return Exported(tiny_model(**NETWORKS[name]))
    if name in WATERS:
        return Exported(water_model(), **WATERS[name])
    if name == "nacl_aq_table":
        return Exported(exported("nacl_aq").model, "mixed", "table")
    if name in TRAINED:
        return Exported(load_model(SYSTEMS / name / f"{name}.safetensors"))
    return Exported(exported(name.removesuffix("_mixed")).model, "mixed")


def tiny_model(**options) -> Model:
    """A random model of H, O and Na."""
    config = tiny_config(**options)
    return Model(
        config, tiny_statistics(config), tiny_energy(config), "total", "float64"
    )


@functools.cache
def geometries() -> dict[str, Case]:
    """Boxes, boundaries, and ways in which ranks share them, for one model."""
    triclinic = random_ase("triclinic")
    made = {kind.replace(" ", "_"): Case(random_ase(kind), "full") for kind in CELLS}
    return made | {
        # slabs of a rank thinner than the cutoff, 3 Å, along each axis
        "thin_x": Case(random_ase("orthorhombic"), "full", before=["processors * 1 1"]),
        "thin_y": Case(triclinic, "full", before=["processors 1 * 1"], skin=1.0),
        "thin_z": Case(triclinic, "full", before=["processors 1 1 *"]),
        "tiled": Case(
            random_ase("large", seed=1, count=20),
            "full",
            after=["comm_style tiled", "balance 1.0 rcb"],
        ),
        # ranks without atoms
        "vacuum": Case(in_vacuum(), "full", before=["processors 1 1 *"]),
        "corner": Case(in_corner(), "full"),
        "shrunk": Case(random_ase("isolated", seed=1), "full", boundary="s s s"),
        "shrunk_slab": Case(random_ase("slab", seed=1), "full", boundary="p p s"),
        "moved": Case(moved(triclinic), "full"),
        "replicated": Case(
            triclinic, "full", after=["replicate {} {} {}".format(*REPLICAS)]
        ),
        # 12.4 Å, less than two cutoffs
        "nacl_aq": Case(trained_atoms("nacl_aq"), "nacl_aq", skin=1.0),
    }


@functools.cache
def four_ranks() -> dict[str, Case]:
    """Geometries in which four ranks differ most from two."""
    made = geometries()
    return {name: made[name] for name in FOUR}


@functools.cache
def networks() -> dict[str, Case]:
    """Kinds of models, and kinds of programs."""
    triclinic = random_ase("triclinic")
    made = {kind: Case(triclinic, kind) for kind in (*NETWORKS, "full_mixed")}
    made |= {kind: Case(water_box(), kind) for kind in WATERS}
    return made | {"nacl_aq_mixed": Case(trained_atoms("nacl_aq"), "nacl_aq_mixed")}


@functools.cache
def combined() -> dict[str, Case]:
    """A committee, an element that has no model, other styles, and many atoms."""
    atoms, close = random_ase("triclinic"), Atoms("OHNa", CLOSE, pbc=False)
    return {
        # more than the pair style gives the kernel at once
        "many": Case(atoms, "full", after=["replicate 6 6 6"]),
        "committee": Case(
            atoms,
            MEMBERS[0],
            members=MEMBERS[1:],
            computes=["fix deviation all pair 1 allegro deviation 1"],
            columns=["f_deviation"],
        ),
        "without_sodium": Case(
            atoms,
            "full",
            pair=(
                "pair_style hybrid allegro zero 3.0",
                "pair_coeff * * allegro {files} H O NULL",
                "pair_coeff 1*3 3 zero",
            ),
        ),
        "zbl": Case(
            close,
            "l2_layers3",
            before=["processors * 1 1"],
            pair=(
                "pair_style hybrid/overlay allegro zbl 2.5 3.0",
                "pair_coeff * * allegro {files} {elements}",
                *(f"pair_coeff {i} {j} zbl {a} {b}" for i, j, a, b in NUMBERS),
            ),
        ),
    }


@functools.cache
def trained() -> dict[str, Case]:
    """The shipped systems."""
    return {name: Case(trained_atoms(name), name) for name in TRAINED}


@functools.cache
def trained_tables() -> dict[str, Case]:
    """A shipped system with a table."""
    return {"nacl_aq": Case(trained_atoms("nacl_aq"), "nacl_aq_table")}


@functools.cache
def differences() -> dict[str, Case]:
    """Small changes of the atoms' places and of their box, on both sides of none."""
    atoms, made = random_ase("triclinic"), {}
    options = {"before": ["processors * 1 1"]}
    made["unmoved"] = Case(atoms, "full", **options)
    for sign in SIDES:
        for atom, axis in MOVED:
            other = atoms.copy()
            other.positions[atom, axis] += sign * STEP
            made[f"atom{atom}_{axis}_{sign}"] = Case(other, "full", **options)
        for a, b in STRAINED:
            deformation = np.eye(3)
            deformation[a, b] += sign * STEP
            other = atoms.copy()
            other.set_cell(atoms.cell @ deformation, scale_atoms=True)
            made[f"strain{a}{b}_{sign}"] = Case(other, "full", **options)
        made[f"heat_{sign}"] = Case(moving(sign * STEP), "full")
    return made | {"heat": Case(moving(0.0), "full", computes=[HEAT], further=FLUX)}


def whole(name: str, case: Case) -> Atoms:
    """The atoms as LAMMPS has them; replicas along x come first."""
    atoms = case.atoms.copy()
    if name == "replicated":
        for axis, count in enumerate(REPLICAS):
            atoms = atoms.repeat(np.where(np.arange(3) == axis, count, 1))
    return atoms


def in_vacuum() -> Atoms:
    """A slab in a periodic box of which it takes a tenth."""
    atoms = random_ase("slab")
    atoms.pbc = True
    atoms.cell[2, 2] = 60.0
    return atoms


def in_corner() -> Atoms:
    """A cluster in one of the corners of a box, across its faces."""
    atoms = random_ase("isolated")
    atoms.set_cell(np.diag([31.0, 37.0, 41.0]))
    atoms.pbc = True
    atoms.positions -= 2.0
    return atoms


def moved(atoms: Atoms) -> Atoms:
    """The same atoms, each moved by other box vectors."""
    shifts = np.random.default_rng(0).integers(-3, 4, (len(atoms), 3))
    other = atoms.copy()
    other.positions += shifts @ atoms.cell.array
    return other


def water_box() -> Atoms:
    """Waters on a lattice."""
    symbols, positions, box = lattice_waters()
    return Atoms(symbols, 10 * positions, cell=10 * box, pbc=True)


@functools.cache
def trained_atoms(name: str) -> Atoms:
    """Shipped atoms of a folder of systems/, off the places of a crystal."""
    atoms = ase.io.read(SYSTEMS / name / TRAINED[name]) if TRAINED[name] else lgps()
    atoms.rattle(0.03, seed=0)
    return atoms


def lgps() -> Atoms:
    """A cell of the crystal, which has no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lgps.pdb"
        command = [sys.executable, "build.py", "--output", str(path)]
        subprocess.run(
            command, cwd=SYSTEMS / "lgps", check=True, stdout=subprocess.DEVNULL
        )
        return ase.io.read(path)


def moving(time: float) -> Atoms:
    """A cluster with velocities, after so many ps at these."""
    atoms = random_ase("isolated")
    velocities = np.random.default_rng(0).normal(size=(len(atoms), 3))  # Å/ps
    atoms.set_velocities(velocities / (1000 * fs))
    atoms.positions += time * velocities
    return atoms


GROUPS = {
    "geometries": geometries,
    "four_ranks": four_ranks,
    "networks": networks,
    "combined": combined,
    "trained": trained,
    "trained_tables": trained_tables,
    "differences": differences,
}
# Groups that are not slow on so many ranks; they share a process.
QUICK = {
    1: ("geometries", "networks"),
    2: ("geometries", "networks", "trained", "combined", "differences"),
    4: ("four_ranks",),
}
