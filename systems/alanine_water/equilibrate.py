# SPDX-License-Identifier: MIT
"""Equilibrate the box: volume with the force field alone, then with the model.

python systems/alanine_water/equilibrate.py [--npt 25000] [--nvt 5000] [--force]
"""

import sys
from pathlib import Path

import numpy as np
import openmm
from build_box import classical_system, solute_atoms
from openmm import app, unit

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from common import (  # noqa: E402
    equilibrate,
    equilibration_parser,
    refuse_existing,
    write_box,
)

from openmm_allegro import AllegroPotential  # noqa: E402

KELVIN = 300 * unit.kelvin


def classical_npt(topology, positions, steps, threads):
    """Find positions and box at the mean volume of the second half of a run of 2 fs."""
    system = classical_system(topology)
    system.addForce(openmm.MonteCarloBarostat(1 * unit.bar, KELVIN))
    integrator = openmm.LangevinMiddleIntegrator(KELVIN, 2 / unit.picosecond, 0.002)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    properties = {"Threads": str(threads)}
    simulation = app.Simulation(topology, system, integrator, platform, properties)
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy()
    simulation.step(steps // 2)
    edges = []
    for _ in range(steps // 100):
        simulation.step(50)
        state = simulation.context.getState()
        edges.append(state.getPeriodicBoxVectors(asNumpy=True)[0, 0]._value)
    state = simulation.context.getState(positions=True, enforcePeriodicBox=True)
    last = state.getPeriodicBoxVectors(asNumpy=True)._value
    scale = np.mean(edges) / last[0, 0]
    positions = state.getPositions(asNumpy=True)._value.copy()
    for residues in molecules(topology):
        positions[residues] += (scale - 1) * positions[residues].mean(0)
    return positions * unit.nanometer, last * scale * unit.nanometer


def molecules(topology):
    """List the atoms of the solute, then of each water."""
    solute = solute_atoms(topology)
    waters = [r for r in topology.residues() if r.name == "HOH"]
    return [solute, *([a.index for a in r.atoms()] for r in waters)]


def main():
    parser = equilibration_parser(
        __doc__.splitlines()[0],
        FOLDER,
        model="alanine.safetensors",
        start="solvated",
        box="solvated.pdb",
        output="alanine_water.pdb",
    )
    parser.add_argument("--npt", type=int, default=25000, help="classical, of 2 fs")
    parser.add_argument("--nvt", type=int, default=5000, help="ML/MM, of 1 fs")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)

    pdb = app.PDBFile(str(options.solvated))
    topology = pdb.topology
    positions, box = classical_npt(
        topology, pdb.positions, options.npt, options.threads
    )
    topology.setPeriodicBoxVectors(box)
    system = AllegroPotential(options.model).create_mixed_system(
        topology, classical_system(topology), solute_atoms(topology)
    )
    state = equilibrate(
        topology, positions, system, steps=options.nvt, threads=options.threads
    )
    write_box(options.output, topology, state.getPositions())


if __name__ == "__main__":
    main()
