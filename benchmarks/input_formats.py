# SPDX-License-Identifier: MIT
"""Try 14 formats of input files in simulate and analyze, and write the manual's table.

    python benchmarks/input_formats.py

writes the same atoms in each format and compares the energy of the System that
`simulate` makes of them with that of the atoms themselves, and cells and distances that
`analyze` reads. It rewrites what stands between the marks in docs/formats.md, and ends
with an error if an energy is off by more than 1e-6 of the interaction energy.
"""

import functools
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import ase
import numpy as np
import openmm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from input_files import FORMATS, Files, rings, waters, write  # noqa: E402

from openmm_allegro import load_model  # noqa: E402
from openmm_allegro.interop.ase import AllegroCalculator  # noqa: E402
from openmm_allegro.runs.run import find_runs  # noqa: E402
from openmm_allegro.runs.source import Source  # noqa: E402
from openmm_allegro.simulate.prepare import prepare  # noqa: E402
from openmm_allegro.simulate.system_config import SystemConfig  # noqa: E402
from openmm_allegro.units import EV_TO_KJ_PER_MOL  # noqa: E402

PAGE = ROOT / "docs" / "formats.md"
MODELS = ROOT / "tests" / "data" / "models"
BEGIN, END = "<!-- inputs -->", "<!-- end of inputs -->"
TOLERANCE = 1e-6
# Of options that messages ask for.
_OPTIONS = r"--(?:elements|positions|box|atom-style|frame|bonds|cell|time-step)\b"
# Files that say less than their format could, by what is replaced in them; none where
# the name of a file is left out.
LESS = {
    "PDB": (r"(?m)^(HETATM.{11})HOH(.{55}).*$", r"\1LIG\2"),
    "PDBx/mmCIF": (
        r"(?m)^(HETATM +\d+ +)[A-Z](.*)$",
        lambda match: f"{match[1]}?{match[2].replace('HOH', 'LIG')}",
    ),
    "GROMACS gro": ("SOL  ", "LIG  "),
    "GROMACS top and gro": None,
    "Amber prmtop and inpcrd": None,
    "Amber prmtop and rst7": None,
    "CHARMM psf and crd": None,
    "POSCAR": (r"\A((?:.*\n){5}).*\n", r"\1"),
    "CIF": (r"1\.0000", "0.5000"),
    "extxyz": ('pbc="T T T"', 'pbc="T T F"'),
    "LAMMPS data": ("Atoms # atomic", "Atoms"),
    "XDATCAR": None,
    "ase trajectory": None,
    "LAMMPS dump": None,
}


class Row(NamedTuple):
    """What came of a format."""

    simulate: str
    less: str
    analyze: str


def try_format(name: str, folder: Path) -> Row:
    """Write atoms in a format, and read them in simulate and analyze."""
    atoms, model = atoms_of(name)
    files = write(name, folder, atoms)
    return Row(
        outcome(lambda: _compare_energy(files, folder, atoms, model)),
        outcome(lambda: _with_less(name, files, folder, model)),
        outcome(lambda: _compare_frames(name, files, folder, atoms)),
    )


def atoms_of(name: str) -> tuple[ase.Atoms, Path]:
    """Atoms of a format, and a model of their elements."""
    if name.startswith("Amber"):
        return rings(), MODELS / "organic.safetensors"
    atoms = waters()
    if name == "XDATCAR":  # as many digits as the file has
        parts = atoms.get_scaled_positions(wrap=False)
        atoms.set_scaled_positions(parts.round(8))
    return atoms, MODELS / "water5.safetensors"


def outcome(probe) -> str:
    """Word for what a probe gives: equal, asks with the option, or the sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            probe()
    except (ValueError, OSError) as error:
        text = str(error)
        asked = re.findall(_OPTIONS, text)
        return f"asks `{asked[0]}`" if asked else _sentence(text)
    return "equal"


def energy_of(system: openmm.System, positions) -> float:
    """Energy in eV by the Reference platform."""
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    energy = context.getState(energy=True).getPotentialEnergy()
    return energy._value / EV_TO_KJ_PER_MOL


def reference(atoms: ase.Atoms, model: Path) -> tuple[float, float]:
    """Energy in eV of the atoms themselves, and the part that is interaction."""
    calculator, shifts = _calculator(model)
    atoms = atoms.copy()
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    return energy, abs(energy - sum(shifts[symbol] for symbol in atoms.symbols))


@functools.cache
def _calculator(model: Path) -> tuple[AllegroCalculator, dict[str, float]]:
    """Calculator of a model, and its energies of single atoms."""
    loaded = load_model(model)
    shifts = dict(zip(loaded.config.elements, loaded.statistics.shifts, strict=True))
    return AllegroCalculator(loaded, precision="double"), shifts


def _compare_energy(files: Files, folder: Path, atoms: ase.Atoms, model: Path) -> None:
    prepared = _prepared(files, folder, model)
    energy, interaction = reference(atoms, model)
    off = abs(energy_of(prepared.system, prepared.positions) - energy)
    assert off < TOLERANCE * interaction, (files.topology, off, interaction)


def _prepared(files: Files, folder: Path, model: Path):
    config = SystemConfig(
        files.topology,
        (str(model),),
        positions=files.positions,
        precision="double",
        backend="native",
        **files.options,
    )
    return prepare(config, folder)


def _with_less(name: str, files: Files, folder: Path, model: Path) -> None:
    """Prepare a file that says less, or one of two files alone."""
    change = LESS[name]
    if change is None:
        _prepared(Files(files.topology), folder, model)
        return
    path = folder / files.topology
    whole = path.read_text()
    text = re.sub(*change, whole)
    assert text != whole, name
    path.write_text(text)
    try:
        _prepared(files, folder, model)
    finally:
        path.write_text(whole)


def _compare_frames(name: str, files: Files, folder: Path, atoms: ase.Atoms) -> None:
    """Compare cell and distances of the last frame that `analyze` reads."""
    # Positions alone are the trajectory; a dump has the topology of another file.
    paths = [files.topology]
    if files.positions:
        paths.insert(0, files.positions)
    elif name == "LAMMPS dump":
        paths.append(write("PDB", folder, atoms).topology)
    elif name not in ("extxyz", "XDATCAR", "ase trajectory"):
        paths.append(files.topology)
    runs, _ = find_runs([str(folder / path) for path in paths])
    frames = Source(runs).frames(whole=True)
    *_, last = frames
    found = ase.Atoms(atoms.symbols, 10 * last.xyz[-1].astype(float), pbc=atoms.pbc)
    if atoms.pbc.any():
        found.set_cell(10 * last.unitcell_vectors[-1].astype(float))
    near = {"mic": bool(atoms.pbc.any())}
    expected = atoms.get_all_distances(**near)
    apart = found.get_all_distances(**near)
    np.testing.assert_allclose(apart, expected, atol=2e-5)
    symbols = [atom.element.symbol for atom in last.topology.atoms]
    assert symbols == list(atoms.symbols)
    if atoms.pbc.any():
        lengths = 10 * last.unitcell_lengths[-1]
        np.testing.assert_allclose(lengths, atoms.cell.lengths(), rtol=1e-5)
        angles = last.unitcell_angles[-1]
        np.testing.assert_allclose(angles, atoms.cell.angles(), rtol=1e-5)


def _sentence(text: str) -> str:
    """What the message of an error says to do, without names of folders."""
    return re.sub(r"\S*/", "", text).rpartition("; ")[2]


def table() -> str:
    """Rows of Markdown: format, simulate, with less in the file, analyze."""
    rows = [("format", "simulate", "with less in the file", "analyze"), ("---",) * 4]
    for name in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append((name, *try_format(name, Path(folder))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}", encoding="utf-8")
