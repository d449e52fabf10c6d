# SPDX-License-Identifier: MIT
"""Inputs and results of LAMMPS, and the same quantities from the network in torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.units import fs
from lammps_session import run_ranks

from openmm_allegro import Model
from openmm_allegro.lammps.export import export_model
from openmm_allegro.model import forces_from_pairs
from openmm_allegro.neighbors import PairList, center_blocks

EXACT = 1e-10  # of a quantity's largest component
BAR = 1602176.5  # eV/Å³ in bar, as LAMMPS has it in units metal
# Where compute centroid/stress/atom has xx, xy, xz, yx and so on; stress/atom has six.
NINE, SIX = [[0, 3, 4], [6, 1, 5], [7, 8, 2]], [[0, 3, 4], [3, 1, 5], [4, 5, 2]]

PAIR = "pair_style allegro", "pair_coeff * * {files} {elements}"
# Immediate variables have computes of the last step only if it printed them.
OUTPUT = """\
compute energies all pe/atom
compute nine all centroid/stress/atom NULL virial
compute six all stress/atom NULL virial
{computes}
thermo_style custom step pe vol pxx pyy pzz pxy pxz pyz {further}
dump atoms all custom 1 {name}.dump id x y z fx fy fz c_energies c_nine[*] c_six[*] &
    {columns}
dump_modify atoms format float %.17g
run 0
print "{numbers}" file {name}.txt
"""


class Case(NamedTuple):
    """Atoms and a model for LAMMPS."""

    atoms: Atoms  # with a lower triangular cell
    model: str  # name of its file, without the suffix
    boundary: str = ""  # by default p, and f where the atoms are not periodic
    before: Sequence[str] = ()  # commands before the atoms are read
    after: Sequence[str] = ()  # commands after the atoms were read
    computes: Sequence[str] = ()  # commands after those of OUTPUT
    further: Sequence[str] = ()  # variables or columns of computes to print
    columns: Sequence[str] = ()  # quantities of each atom to dump
    skin: float = 0.3  # Å
    members: Sequence[str] = ()  # files of further models of a committee
    pair: Sequence[str] = PAIR  # commands, with the files and the model's elements


class Exported(NamedTuple):
    """A model and the options with which it is exported."""

    model: Model
    precision: str = "double"
    two_body: str = "exact"


class Result(NamedTuple):
    """Results of N atoms in the order of their ids, in eV and Å."""

    energy: float
    volume: float
    strain: np.ndarray  # [3, 3], derivative of the energy by the strain, symmetric
    positions: np.ndarray  # [N, 3], in the box
    forces: np.ndarray  # [N, 3]
    energies: np.ndarray  # [N]
    virials: np.ndarray  # [N, 3, 3]: sum over centres i of r_ij ⊗ dE_i/dr_ij
    symmetric: np.ndarray  # [N, 3, 3]: their symmetric parts
    further: np.ndarray
    columns: np.ndarray  # [N, ·]


def run_lammps(text: str, folder: Path, ranks: int, timeout: float = 600) -> str:
    """Run an input in a folder, for up to so many seconds; return what was printed."""
    (folder / "in.lammps").write_text(text)
    done = run_ranks("in.lammps", folder, ranks, timeout=timeout)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def run_cases(
    cases: dict[str, Case],
    exported: Callable[[str], Exported],
    folder: Path,
    ranks: int,
) -> None:
    """Run all cases in one process; the models' files are in the folder above."""
    inputs = []
    for name, case in cases.items():
        for kind in (case.model, *case.members):
            model, precision, two_body = exported(kind)
            if not (file := folder.parent / f"{kind}.allegro").exists():
                export_model(model, file, precision=precision, two_body=two_body)
        elements = model.config.elements
        write_data(folder / f"{name}.data", case.atoms, elements)
        inputs.append(case_input(name, case, elements))
    run_lammps("clear\n".join(inputs), folder, ranks)


def case_input(name: str, case: Case, elements: Sequence[str]) -> str:
    """Commands that compute all results of a case once."""
    files = " ".join(f"../{file}.allegro" for file in (case.model, *case.members))
    boundary = case.boundary or " ".join("fp"[int(p)] for p in case.atoms.pbc)
    words = ["pe", "vol", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", *case.further]
    output = OUTPUT.format(
        name=name,
        computes="\n".join(case.computes),
        further=" ".join(case.further),
        columns=" ".join(case.columns),
        numbers=" ".join(f"$({word}:%.17g)" for word in words),
    )
    lines = [
        "units metal",
        "atom_style atomic",
        f"boundary {boundary}",
        *case.before,
        f"read_data {name}.data",
        *case.after,
        *(line.format(files=files, elements=" ".join(elements)) for line in case.pair),
        f"neighbor {case.skin} bin",
        output,
    ]
    return "\n".join(lines)


def read_result(name: str, folder: Path) -> Result:
    """Results that LAMMPS wrote for a case."""
    energy, volume, *numbers = map(float, (folder / f"{name}.txt").read_text().split())
    rows = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
    rows = rows[rows[:, 0].argsort(), 1:]
    return Result(
        energy,
        volume,
        -np.array(numbers[:6])[SIX] * volume / BAR,
        rows[:, 0:3],
        rows[:, 3:6],
        rows[:, 6],
        rows[:, 7:16][:, NINE] / BAR,
        rows[:, 16:22][:, SIX] / BAR,
        np.array(numbers[6:]),
        rows[:, 22:],
    )


def write_data(
    path: Path, atoms: Atoms, elements: Sequence[str], charged: bool = False
) -> None:
    """Write a data file, whose box holds the atoms where they are not periodic."""
    cell = atoms.cell.array.copy()
    low, high = atoms.positions.min(0) - 1.0, atoms.positions.max(0) + 1.0
    low[atoms.pbc] = 0.0
    high[atoms.pbc] = cell.diagonal()[atoms.pbc]
    box = [f"{a} {b} {x}lo {x}hi" for a, b, x in zip(low, high, "xyz", strict=True)]
    if (tilts := cell[[1, 2, 2], [0, 0, 1]]).any():
        box.append("{} {} {} xy xz yz".format(*tilts))
    types = [elements.index(symbol) + 1 for symbol in atoms.symbols]
    sections = {
        "Masses": enumerate(Atoms(elements).get_masses(), 1),
        "Atoms": (
            (k, t, *([0.0] if charged else []), *x)
            for k, (t, x) in enumerate(zip(types, atoms.positions, strict=True), 1)
        ),
    }
    if (velocities := atoms.get_velocities() * 1000 * fs).any():  # Å/ps
        sections["Velocities"] = ((k, *v) for k, v in enumerate(velocities, 1))
    lines = ["atoms of a test", "", f"{len(atoms)} atoms"]
    lines += [f"{len(elements)} atom types", *box]
    for name, rows in sections.items():
        lines += ["", name, "", *(" ".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def network_results(model: Model, atoms: Atoms) -> tuple[np.ndarray, ...]:
    """Energies, forces and virials of the atoms by autograd of the network in float64.

    The virial [3, 3] of an atom j is the sum over centres i of r_ij ⊗ ∂E_i/∂r_ij.
    """
    elements = list(model.config.elements)
    types = torch.tensor([elements.index(symbol) for symbol in atoms.symbols])
    pairs = PairList(model.config.cutoff)(
        *map(torch.tensor, (atoms.positions, atoms.cell.array, atoms.pbc))
    )
    count = len(atoms)
    energies, forces, virials = (
        torch.zeros(count, *shape, dtype=torch.float64) for shape in ((), (3,), (3, 3))
    )
    blocks = center_blocks(*pairs, count, 1.5 * model.config.cutoff, 8192)
    for centers, neighbors, r in blocks:
        r = r.detach().requires_grad_(True)
        of_centers = model.energy(r, types[centers], types[neighbors])
        (gradient,) = torch.autograd.grad(of_centers.sum(), r)
        energies[centers] = of_centers.detach()
        forces += forces_from_pairs(gradient, centers, neighbors, count)
        outer = r.detach().unsqueeze(-1) * gradient.unsqueeze(-2)
        virials.index_add_(0, neighbors.flatten(), outer.flatten(0, -3))
    return energies.numpy(), forces.numpy(), virials.numpy()


def near(given, wanted, error=EXACT):
    """Assert that arrays agree to a fraction of the largest number."""
    np.testing.assert_allclose(given, wanted, rtol=0, atol=error * abs(wanted).max())
