# SPDX-License-Identifier: MIT
"""Use multiple time steps (RESPA): long steps of the model, short steps of bonds.

The O-H bonds of water, with a period of 9 fs, limit the model's step to 0.5 fs. Here
classical bonds vibrate in its place. They are added in force group 1 and subtracted in
group 0, beside the model, so the energy does not change. (With a model on top of a
force field, the field's own bonds can be group 1.) All runs are NVE from one start;
MTSLangevinIntegrator takes the same groups.

python examples/02_multiple_time_steps.py [--ps 2.0] [--quick]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from openmm_allegro import AllegroPotential

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"
# fitted to the model's forces in this box at 300 K; nm, rad, kJ/mol
BOND = "257*(1-exp(-28.9*(r-0.09676)))^2"
ANGLE, STIFFNESS = 1.847, 330.0
# fs between evaluations of the model, and evaluations of the bonds for each of them
RUNS = ((0.5, 0), (0.75, 0), (1.0, 0), (1.0, 4), (1.5, 6), (2.0, 8))

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--ps", type=float, default=2.0, help="length of each run")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()
pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")


def make_context(step: float, substeps: int) -> openmm.Context:
    system, groups = potential.create_system(pdb.topology), [(0, 1)]
    if substeps:
        groups.append((1, substeps))
        for group, sign in ((1, 1), (0, -1)):
            bonds = openmm.CustomBondForce(f"{sign}*{BOND}")
            angles = openmm.HarmonicAngleForce()
            for bond in pdb.topology.bonds():
                bonds.addBond(bond.atom1.index, bond.atom2.index)
            for residue in pdb.topology.residues():
                if residue.name == "HOH":
                    o, h1, h2 = (atom.index for atom in residue.atoms())
                    angles.addAngle(h1, o, h2, ANGLE, sign * STIFFNESS)
            for force in (bonds, angles):
                force.setForceGroup(group)
                system.addForce(force)
    return openmm.Context(system, openmm.MTSIntegrator(step * 0.001, groups))


context = make_context(0.5, 0)
context.setPositions(pdb.positions)
context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
context.getIntegrator().step(10 if options.quick else 500)
start = context.getState(positions=True, velocities=True)
print("model / bonds   fluctuation         drift               s/ps")
for step, substeps in RUNS[2:4] if options.quick else RUNS:
    context = make_context(step, substeps)
    context.setState(start)
    totals, seconds = [], 0.0
    for _ in range(4 if options.quick else round(options.ps / 0.006)):
        seconds -= time.perf_counter()
        context.getIntegrator().step(round(6 / step))
        seconds += time.perf_counter()
        state = context.getState(energy=True)
        totals.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    mev = np.array(totals) / pdb.topology.getNumAtoms() / 0.0964853
    times = 0.006 * np.arange(len(mev))
    drift = np.polyfit(times, mev, 1)[0]
    print(
        f"{step:4.2f} / {step / max(substeps, 1):4.2f} fs  "
        f"{np.std(mev - drift * times):.4f} meV/atom  {drift:+.4f} meV/atom/ps  "
        f"{seconds / len(mev) / 0.006:.1f}"
    )
