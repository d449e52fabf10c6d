# SPDX-License-Identifier: MIT
"""Models with charges in LAMMPS, and the same from the network in torch."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from helpers import (
    CHARGED,
    FULL,
    random_ase,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from lammps_cases import SIDES, STEP, in_vacuum
from lammps_helpers import BAR, SIX, run_lammps, write_data

from openmm_allegro import Model
from openmm_allegro.lammps.export import export_model
from openmm_allegro.model import forces_from_pairs
from openmm_allegro.model.ewald import ewald_sum, open_sum
from openmm_allegro.neighbors import PairList, center_blocks

MODELS = "learned", "constant", "other", "zero"
ELEMENTS = "H", "O", "Na"
EWALD, PPPM = "ewald 1e-14", "pppm 1e-6"
SPREAD = 40.0  # makes charges of random networks as different as those of elements
MOVED = [(0, 0), (0, 1), (1, 2)]  # atom and axis
STRAINED = [(0, 0), (2, 2), (1, 0)]
FIELDS = "lx", "ly", "lz", "xy", "xz", "yz", "pe", "vol"
INPUT = """\
units metal
atom_style charge
boundary {boundary}
{before}
read_data {name}.data
pair_style allegro {total}
pair_coeff * * {files} H O Na
neighbor 0.3 bin
{waves}
compute energies all pe/atom
compute stress all pressure NULL virial
{computes}
thermo_style custom step {fields} c_stress[*]
{run}
write_dump all custom {name}.dump id x y z fx fy fz c_energies q {columns} &
    modify format float %.17g
print "{numbers}" file {name}.txt
"""


class ChargedCase(NamedTuple):
    """Atoms and models for LAMMPS."""

    atoms: Atoms  # with a lower triangular cell
    models: Sequence[str] = ("learned",)
    total: float = 0.0
    waves: str = EWALD  # accuracy and style
    before: str = ""  # a command before the atoms are read
    computes: str = ""
    columns: str = ""  # of the dump, beside the usual ones
    run: str = "run 0"


class Charged(NamedTuple):
    """Results of N atoms in the order of their ids, in eV, Å and e."""

    energy: float
    strain: np.ndarray  # [3, 3]
    atoms: Atoms  # where they are at the end
    forces: np.ndarray  # [N, 3]
    energies: np.ndarray  # [N]
    charges: np.ndarray  # [N]
    columns: np.ndarray  # [N, ·]


@functools.cache
def charged_model(name: str) -> Model:
    """One of ``MODELS``, or a model without charges, of name none."""
    options = FULL | (CHARGED if name != "none" else {})
    if name == "constant":
        options = options | {"charges": "constant"}
    if name == "zero":  # of hydrogen; all charges add up to zero without a change
        options = options | {
            "charges": "constant",
            "charge_start": {"H": 0.0, "O": -0.75, "Na": 1.0},
        }
    config = tiny_config(**options)
    energy = tiny_energy(config, seed=1 if name == "other" else 0)
    if energy.learned:
        with torch.no_grad():
            energy.network.readout.layers[-1].weight[:, 1] *= SPREAD
    return Model(config, tiny_statistics(config), energy, "total", "float64")


@functools.cache
def charged_cases() -> dict[str, ChargedCase]:
    """Boxes, ways to share them, sums of charges, and what LAMMPS does with them."""
    large, triclinic = random_ase("large"), random_ase("triclinic")
    isolated, four = random_ase("isolated"), neutral()
    relax = "min_style cg\nminimize 0.0 1e-3 3 10"
    npt = "velocity all create 300 7\nfix 1 all npt temp 300 300 0.05 {} 0 0 0.02\n"
    npt += "timestep 2e-4\nrun 4"
    return {
        "large": ChargedCase(large),
        "triclinic": ChargedCase(triclinic),
        "tiny": ChargedCase(random_ase("tiny triclinic")),
        "thin": ChargedCase(
            random_ase("orthorhombic"), before="processors * 1 1", total=1.5
        ),
        "vacuum": ChargedCase(in_vacuum(), before="processors 1 1 *"),
        "constant": ChargedCase(triclinic, ["constant"], total=-2.0),
        "zero": ChargedCase(four, ["zero"]),
        "isolated": ChargedCase(isolated, total=1.0),
        "isolated_shared": ChargedCase(isolated, before="processors 1 * 1"),
        "pppm": ChargedCase(large, waves=PPPM, total=1.0),
        "pppm_triclinic": ChargedCase(triclinic, waves=PPPM),
        "committee": ChargedCase(
            triclinic,
            ["learned", "other"],
            computes="fix deviation all pair 1 allegro deviation 1",
            columns="f_deviation",
        ),
        "mixed": ChargedCase(large, ["learned", "other", "constant"]),
        "minimised": ChargedCase(isolated, run=relax),
        "relaxed": ChargedCase(large, run=relax),
        "npt": ChargedCase(large, run=npt.format("aniso")),
        "npt_tilted": ChargedCase(triclinic, run=npt.format("tri"), total=0.5),
    }


@functools.cache
def charged_differences() -> dict[str, ChargedCase]:
    """Small changes of places and of the box, with charges far from the total."""
    atoms, made = random_ase("triclinic"), {}
    for sign in SIDES:
        for atom, axis in MOVED:
            other = atoms.copy()
            other.positions[atom, axis] += sign * STEP
            made[f"atom{atom}_{axis}_{sign}"] = ChargedCase(other, total=6.0)
        for a, b in STRAINED:
            deformation = np.eye(3)
            deformation[a, b] += sign * STEP
            other = atoms.copy()
            other.set_cell(atoms.cell @ deformation, scale_atoms=True)
            made[f"strain{a}{b}_{sign}"] = ChargedCase(other, total=6.0)
    return made | {"unmoved": ChargedCase(atoms, total=6.0)}


def neutral() -> Atoms:
    """Atoms whose charges by ``zero`` add up to zero: 4 O and 3 Na beside H."""
    atoms = random_ase("large", count=12)
    atoms.symbols = ["O"] * 4 + ["Na"] * 3 + ["H"] * 5
    return atoms


def run_charged(cases: Mapping[str, ChargedCase], folder: Path, ranks: int) -> None:
    """Run all cases in one process."""
    for name in MODELS:
        export_model(
            charged_model(name), folder / f"{name}.allegro", precision="double"
        )
    inputs = []
    for name, case in cases.items():
        write_data(folder / f"{name}.data", case.atoms, ELEMENTS, charged=True)
        inputs.append(charged_input(name, case))
    run_lammps("clear\n".join(inputs), folder, ranks)


def charged_input(name: str, case: ChargedCase) -> str:
    """Commands of a case."""
    periodic = case.atoms.pbc.all()
    alpha = charged_model(case.models[0]).config.alpha
    waves = f"kspace_style {case.waves}\nkspace_modify gewald {alpha:.17g} compute no"
    words = [*FIELDS, *(f"c_stress[{k}]" for k in range(1, 7))]
    return INPUT.format(
        name=name,
        boundary="p p p" if periodic else "f f f",
        before=case.before,
        total=f"total_charge {case.total}" if case.total else "",
        files=" ".join(f"{model}.allegro" for model in case.models),
        waves=waves if periodic else "",
        computes=case.computes,
        fields=" ".join(FIELDS),
        run=case.run,
        columns=case.columns,
        numbers=" ".join(f"$({word}:%.17g)" for word in words),
    )


def read_charged(name: str, case: ChargedCase, folder: Path) -> Charged:
    """Results that LAMMPS wrote for a case."""
    numbers = np.array((folder / f"{name}.txt").read_text().split(), float)
    (x, y, z, xy, xz, yz, energy, volume), stress = numbers[:8], numbers[8:]
    rows = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
    rows = rows[rows[:, 0].argsort(), 1:]
    atoms = case.atoms.copy()
    atoms.positions = rows[:, :3]
    if atoms.pbc.any():
        atoms.set_cell([[x, 0, 0], [xy, y, 0], [xz, yz, z]])
    strain = -stress[SIX] * volume / BAR
    return Charged(
        energy, strain, atoms, rows[:, 3:6], rows[:, 6], rows[:, 7], rows[:, 8:]
    )


def expected_charged(model: Model, atoms: Atoms, total: float) -> Charged:
    """Results by autograd of the network and exact sums over charges, in float64."""
    elements = list(model.config.elements)
    types = torch.tensor([elements.index(symbol) for symbol in atoms.symbols])
    positions, cell = map(torch.tensor, (atoms.positions, atoms.cell.array))
    pairs = PairList(model.config.cutoff)(positions, cell, torch.tensor(atoms.pbc))
    count, parts = len(atoms), []
    energies, charges = torch.zeros(2, count, dtype=torch.float64)
    for centers, neighbors, r in center_blocks(
        *pairs, count, 1.5 * model.config.cutoff, 8192
    ):
        vectors = r.detach().requires_grad_(True)
        kinds = types[centers], types[neighbors].flatten()
        shapes = [tuple(neighbors.shape)]
        outputs = model.energy.block_outputs(vectors.flatten(0, 1), *kinds, shapes)
        energies[centers], charges[centers] = (x.detach() for x in outputs)
        parts.append((centers, neighbors, vectors, *outputs))
    charges += model.energy.charges.start.detach()[types]
    charges += (total - charges.sum()) / count
    if atoms.pbc.all():
        far = ewald_sum(positions, cell, charges, model.config.alpha, 1e-16)
    else:
        far = open_sum(positions, charges, model.config.alpha)
    seeds = far.potentials - far.potentials.mean()
    forces, strain = far.forces.clone(), far.strain.clone()
    for centers, neighbors, vectors, energy, charge in parts:
        whole = energy.sum() + (seeds[centers] * charge).sum()
        (gradient,) = torch.autograd.grad(whole, vectors)
        forces += forces_from_pairs(gradient, centers, neighbors, count)
        strain += vectors.detach().reshape(-1, 3).T @ gradient.reshape(-1, 3)
    energies += 0.5 * charges * far.potentials
    arrays = (x.numpy() for x in (forces, energies, charges))
    columns = np.zeros((count, 0))
    return Charged(energies.sum().item(), strain.numpy(), atoms, *arrays, columns)
