# SPDX-License-Identifier: MIT
"""Helpers that the scripts of several systems share."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import openmm
from ase.units import bar
from openmm import app, unit

from openmm_allegro import run


def refuse_existing(parser: argparse.ArgumentParser, path: Path, force: bool) -> None:
    """End with a usage error if a file exists and ``--force`` was not given."""
    if path.exists() and not force:
        parser.error(f"expected no file yet at {path}; --force replaces it")


def equilibration_parser(
    description: str, folder: Path, *, model: str, start: str, box: str, output: str
) -> argparse.ArgumentParser:
    """Make a parser with the options that equilibrations share.

    Parameters
    ----------
    description : str
    folder : Path
        Folder of the files below, which are defaults.
    model : str
        File of the model.
    start, box : str
        Option of the box to start from, without dashes, and its file.
    output : str
        File to write.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, default=folder / model)
    parser.add_argument(f"--{start}", type=Path, default=folder / box)
    parser.add_argument("--output", type=Path, default=folder / output)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--force", action="store_true", help="replace the output")
    return parser


def equilibrate(
    topology: app.Topology,
    positions: unit.Quantity,
    system: openmm.System,
    *,
    steps: int,
    threads: int,
    ensemble: str = "nvt",
    timestep: float = 1.0,
    friction: float = 5.0,
    minimize: bool = True,
) -> openmm.State:
    """Run at 300 K (and 1 bar) with seed 1 and return the last state.

    Parameters
    ----------
    topology, positions, system
    steps, threads : int
    ensemble : str
        "nvt" or "npt".
    timestep : float
        fs.
    friction : float
        1/ps.
    minimize : bool
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = run(
            topology,
            positions,
            system,
            Path(folder) / ensemble,
            steps=steps,
            ensemble=ensemble,
            timestep=timestep * unit.femtosecond,
            friction=friction / unit.picosecond,
            report_interval=min(100, steps),
            minimize=minimize,
            threads=threads,
            platform="CPU",
            seed=1,
        )
        return openmm.XmlSerializer.deserialize(paths["state"].read_text())


def write_box(path: Path, topology: app.Topology, positions: unit.Quantity) -> None:
    """Write a PDB file that keeps the residues' numbers, and print its name."""
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, positions, file, keepIds=True)
    print(path)


def virial_pressure(stress: np.ndarray) -> float:
    """Compute minus a third of the trace of a stress (eV/Å³), in bar."""
    return -np.trace(stress) / 3 / bar
