# SPDX-License-Identifier: MIT
"""What the solid electrolytes' scripts share: topologies, runs, comparisons."""

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
from openmm import app, unit

from openmm_allegro import AllegroPotential
from openmm_allegro.analysis import block_mean, follow, mean_square_displacement
from openmm_allegro.simulate.protocol import Stage, run_protocol


def topology_of(atoms: ase.Atoms) -> app.Topology:
    """One residue for each atom, and the periodic box."""
    topology = app.Topology()
    chain = topology.addChain()
    for symbol in atoms.get_chemical_symbols():
        residue = topology.addResidue(symbol.upper(), chain)
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(np.array(atoms.cell) * unit.angstrom)
    return topology


def assemble(positions: dict[str, np.ndarray], edges: Sequence[float]) -> ase.Atoms:
    """A periodic box of atoms, element by element.

    Parameters
    ----------
    positions : dict of symbol to ndarray [n, 3]
        Å.
    edges : sequence of 3 float
        Å, of an orthorhombic cell.
    """
    symbols = [symbol for symbol, xyz in positions.items() for _ in xyz]
    everywhere = np.concatenate(list(positions.values()))
    return ase.Atoms(symbols, everywhere, cell=edges, pbc=True)


def write_pdb(atoms: ase.Atoms, path: str | Path) -> None:
    """As OpenMM writes it, which names elements without doubt."""
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
    """Run the stages, or what an earlier call left of them.

    Parameters
    ----------
    pdb, model, output : path
    stages : sequence of Stage
    seed : int
    two_body : str
        As ``AllegroPotential.create_system``.
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


def run_msd(trajectory, selection: str, longest: float, blocks: int) -> tuple:
    """Mean square displacement over all origins in Å², and its error from stretches.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
    selection : str
    longest : float
        Largest lag, ps.
    blocks : int
        Stretches of the run, each longer than that; 1 for no error, NaN.

    Returns
    -------
    lags (ps), msd (Å²), error (Å²) : ndarray

    Raises
    ------
    ValueError
        If the stretches are shorter.
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
    of_blocks = [msd(paths.positions[k : k + size]) for k in starts]
    return lags, whole, block_mean(of_blocks).error


def difference(x: np.ndarray, found: np.ndarray, reference: np.ndarray) -> dict:
    """Integrated absolute difference of two curves, and as a part of the reference's.

    Parameters
    ----------
    x, found, reference : ndarray [n]
        Equally spaced.
    """
    step = x[1] - x[0]
    area = float(np.abs(found - reference).sum() * step)
    return {"integral": area, "relative": area / float(np.abs(reference).sum() * step)}
