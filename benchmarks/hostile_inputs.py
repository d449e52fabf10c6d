# SPDX-License-Identifier: MIT
"""Good files for hostile.py, and cases that replace some of them."""

import contextlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_allegro.cli.main import main as command
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.modelfile import Model, save_model

STRUCTURES = Path(__file__).parents[1] / "tests" / "data" / "ethanol.extxyz"
TRAP = "code_ran"  # folder that code of a file makes
ABSENT = "found nothing at absent"  # a file that is read after the TOML
# Of bonds alone: nothing is compiled, and a run of it takes a moment.
PROTOCOL_OF_RUN = """
[system]
topology = "mol.pdb"
system = "mm.xml"
[[stages]]
name = "a"
steps = {steps}
report_interval = 2
checkpoint_interval = 4
velocity_interval = 2
timestep_fs = 0.1
"""
RUN = "p/1-a"


@dataclass(frozen=True)
class Case:
    """Arguments for the command, and the files that are not the good ones."""

    name: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    # what is true of an input that is accepted; None: its result has to be the same
    valid: bool | None = None
    other: bool = False  # it may be another good file
    reached: str = ""  # the error that follows when the hostile file was accepted

    def write(self, folder: Path) -> None:
        """Put the files in a folder of good ones."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


@dataclass(frozen=True)
class Inputs:
    """Folder of good files."""

    folder: Path

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


class Payload:
    """An object whose pickle makes a folder when it is read."""

    def __reduce__(self):
        return os.mkdir, (TRAP,)


def make_inputs(folder: Path) -> Inputs:
    """Make a model, structures, topologies, trajectories, a run and Systems."""
    folder.mkdir()
    config = AllegroConfig(
        ("H", "C", "O"),
        4.0,
        l_max=1,
        num_layers=1,
        num_scalar_features=4,
        num_tensor_features=2,
        two_body_width=8,
        latent_width=8,
        readout_width=8,
    )
    statistics = Statistics((8.0,) * 3, (1.0,) * 3, (-300.0,) * 3)
    model = Model(config, statistics, AllegroEnergy(config, statistics))
    save_model(model, folder / "model.safetensors")
    frames = ase.io.read(STRUCTURES, index=":4")
    for atoms in frames:
        atoms.set_cell(np.eye(3) * 20)
        atoms.pbc = True
        atoms.center()
        atoms.calc = AllegroCalculator(model)
        atoms.get_potential_energy()
    ase.io.write(folder / "mol.extxyz", frames, format="extxyz")
    _write_topologies(folder, frames[0])
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(2 * np.eye(3)))
    bonds = openmm.HarmonicBondForce()
    bonds.setUsesPeriodicBoundaryConditions(True)
    for mass in frames[0].get_masses():
        system.addParticle(mass)
    bonds.addBond(0, 1, 0.15, 1000.0)
    system.addForce(bonds)
    (folder / "mm.xml").write_text(openmm.XmlSerializer.serialize(system))
    for name, steps in (("p.toml", 8), ("longer.toml", 12)):
        (folder / name).write_text(PROTOCOL_OF_RUN.format(steps=steps))
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        arguments = ["simulate", "p.toml", "--output", "p", "--seed", "1"]
        assert command(arguments) == 0
    top = str(folder / "mol.pdb")
    trajectory = mdtraj.load(str(folder / f"{RUN}.xtc"), top=top)
    for ending in ("xtc", "dcd", "nc", "trr", "h5"):
        trajectory.save(str(folder / f"t.{ending}"))
    return Inputs(folder)


def _write_topologies(folder: Path, atoms: ase.Atoms) -> None:
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    for number, symbol in enumerate(atoms.get_chemical_symbols(), start=1):
        element = app.Element.getBySymbol(symbol)
        topology.addAtom(f"{symbol}{number}", element, residue)
    for first, second in ((0, 1), (1, 2)):
        listed = list(topology.atoms())
        topology.addBond(listed[first], listed[second])
    topology.setUnitCellDimensions([2.0, 2.0, 2.0] * unit.nanometer)
    positions = atoms.positions * unit.angstrom
    for name, writer in (("mol.pdb", app.PDBFile), ("mol.cif", app.PDBxFile)):
        with open(folder / name, "w") as file:
            writer.writeFile(topology, positions, file, keepIds=True)
    mdtraj.load(str(folder / "mol.pdb")).save(str(folder / "mol.gro"))
