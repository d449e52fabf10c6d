# SPDX-License-Identifier: MIT
"""Topologies, runs and comparisons that the solid electrolytes' scripts share."""

from collections.abc import Sequence
from pathlib import Path

import ase
import mdtraj
import numpy as np
from openmm import app, unit

from openmm_allegro import AllegroPotential
from openmm_allegro.analysis import block_mean, follow, mean_square_displacement
from openmm_allegro.simulate.protocol import Stage, run_protocol


def topology_of(atoms: ase.Atoms) -> app.Topology:
    """Make a topology with one residue for each atom and the periodic box."""
    topology = app.Topology()
    chain = topology.addChain()
    for symbol in atoms.get_chemical_symbols():
        residue = topology.addResidue(symbol.upper(), chain)
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(np.array(atoms.cell) * unit.angstrom)
    return topology


def assemble(positions: dict[str, np.ndarray], cell: Sequence) -> ase.Atoms:
    """Assemble a periodic box of atoms, element by element.

    Parameters
    ----------
    positions : dict of symbol to ndarray [n, 3]
        Å.
    cell : sequence of 3 float, or ndarray [3, 3]
        Edges of an orthorhombic cell, or vectors, Å.
    """
    symbols = [symbol for symbol, xyz in positions.items() for _ in xyz]
    everywhere = np.concatenate(list(positions.values()))
    return ase.Atoms(symbols, everywhere, cell=cell, pbc=True)


def write_pdb(atoms: ase.Atoms, path: str | Path) -> None:
    """Write a PDB file by OpenMM, which names the elements unambiguously."""
    with open(path, "w") as file:
        app.PDBFile.writeFile(
            topology_of(atoms), atoms.get_positions() * unit.angstrom, file
        )


def produce(
    pdb: str | Path,
    model: str | Path,
    stages: Sequence[Stage],
    output: str | Path,
    *,
    seed: int,
    two_body: str = "exact",
) -> None:
    """Run the stages, or those that an earlier call did not finish.

    Parameters
    ----------
    pdb, model, output : path
    stages : sequence of Stage
    seed : int
    two_body : str
        As in ``AllegroPotential.create_system``.
    """
    file = app.PDBFile(str(pdb))
    system = AllegroPotential(model).create_system(file.topology, two_body=two_body)
    run_protocol(
        file.topology,
        file.positions,
        system,
        stages,
        output,
        seed=seed,
        resume=(Path(output) / "protocol.json").exists(),
        progress=False,
    )


def load_run(prefix: Path) -> mdtraj.Trajectory | None:
    """Read the trajectory of a run; None if there is none."""
    if not Path(f"{prefix}.xtc").exists():
        return None
    return mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")


def run_msd(trajectory, selection: str, longest: float, blocks: int) -> tuple:
    """Compute the mean square displacement over all origins (Å²) and its error.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
    selection : str
    longest : float
        Largest lag, ps.
    blocks : int
        Number of stretches of the run that give the error, each longer than
        ``longest``; with 1 the error is NaN.

    Returns
    -------
    lags (ps), msd (Å²), error (Å²) : ndarray

    Raises
    ------
    ValueError
        If the stretches are shorter than ``longest``.
    """
    paths = follow(trajectory, selection, reference="all")
    frames = round(longest / paths.time_step)
    size = len(paths.positions) // blocks
    if frames >= size:
        raise ValueError(
            f"expected {blocks} stretches longer than {longest} ps, found some of "
            f"{size * paths.time_step:.1f} ps"
        )

    def msd(positions: np.ndarray) -> np.ndarray:
        return 100 * mean_square_displacement(positions, max_lag=frames)[1]

    lags, whole = np.arange(frames + 1) * paths.time_step, msd(paths.positions)
    if blocks == 1:
        return lags, whole, np.full_like(lags, np.nan)
    starts = range(0, blocks * size, size)
    curves = [msd(paths.positions[k : k + size]) for k in starts]
    return lags, whole, block_mean(curves).error


def difference(x: np.ndarray, curve: np.ndarray, reference: np.ndarray) -> dict:
    """Integrate the absolute difference of two curves, also relative to the reference.

    Parameters
    ----------
    x, curve, reference : ndarray [n]
        Equally spaced.
    """
    step = x[1] - x[0]
    area = float(np.abs(curve - reference).sum() * step)
    return {"integral": area, "relative": area / float(np.abs(reference).sum() * step)}


def draw_band(ax, x, mean, spread, *, color: str, label: str) -> None:
    """Draw a curve within a band of its error or spread."""
    ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.25, lw=0)
    ax.plot(x, mean, color=color, lw=1.4, label=label)
