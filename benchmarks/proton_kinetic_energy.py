# SPDX-License-Identifier: MIT
"""Measure the kinetic energy of protons of aqueous NaCl, or of water, at 300 K.

Runs a ring polymer of 32 beads, or a quantum thermal bath, of systems/nacl_aq (60 H2O,
2 Na, 2 Cl) or, with --field, of its water in flexible TIP3P-FB. Runs are resumed where
they were interrupted. Writes results/proton_kinetic_energy.json beside this file; what
is not run again stays there. With --only-measure it measures what is there.

python benchmarks/proton_kinetic_energy.py --folder runs/protons [--kinds rpmd qtb]
    [--field] [--beads 32] [--steps 1600] [--bath-steps 16000] [--only-measure]
"""

import argparse
import json
from pathlib import Path

import mdtraj
import numpy as np
from hardware import hardware, use_threads
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

HERE = Path(__file__).parent
SYSTEM = HERE.parent / "systems" / "nacl_aq"
RESULTS = HERE / "results" / "proton_kinetic_energy.json"
BROKEN = 0.13  # nm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, required=True)
parser.add_argument("--kinds", nargs="+", choices=("rpmd", "qtb"), default=["rpmd"])
parser.add_argument("--field", action="store_true", help="TIP3P-FB, not the model")
parser.add_argument("--beads", type=int, default=32)
parser.add_argument("--steps", type=int, default=1600, help="of a ring, 0.25 fs")
parser.add_argument("--bath-steps", type=int, default=16_000, help="of 0.5 fs")
parser.add_argument("--friction", type=float, default=20.0, help="of a bath, 1/ps")
parser.add_argument("--start", type=float, help="first time that is measured, ps")
parser.add_argument("--only-measure", action="store_true")
options = parser.parse_args()
use_threads(1)


def water():
    """Topology, positions and System of water alone in a flexible force field."""
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    residues = modeller.topology.residues()
    modeller.delete([r for r in residues if len(list(r.atoms())) == 1])
    system = app.ForceField("tip3pfb.xml").createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.6 * unit.nanometer,
        rigidWater=False,
    )
    return modeller.topology, modeller.positions, system


def solution():
    """Topology, positions and System of aqueous NaCl by the model."""
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    system = potential.create_system(pdb.topology, backend="native", two_body="table")
    return pdb.topology, pdb.positions, system


def settings_of(kind):
    if kind == "qtb":
        settings = {"steps": options.bath_steps, "timestep": 0.5 * unit.femtosecond}
        return settings | {"friction": options.friction / unit.picosecond}
    settings = {"steps": options.steps, "timestep": 0.25 * unit.femtosecond}
    return settings | {"beads": options.beads, "bead_interval": 80}


def measure(prefix):
    """Kinetic energies by element, meV, and O-H bonds that are broken at the end."""
    found = read_run(prefix)
    measured = QUANTITIES["kinetic-energy"].measure(
        Source([found], Window(start=options.start))
    )
    result = {"picoseconds": found.simulated}
    print(prefix, f"{found.simulated:.3g} ps")
    for row in measured.rows:
        print("  ", *row)
        if row.quantity == "kinetic energy":
            result[row.item] = {"mev": row.value, "error": row.error}
    frames = mdtraj.load(found.trajectory, top=found.topology)
    pairs = np.array([[a.index, b.index] for a, b in frames.topology.bonds])
    last = mdtraj.compute_distances(frames[-1:], pairs)
    result["bonds"], result["broken"] = len(pairs), int((last > BROKEN).sum())
    print("   O-H beyond 1.3 A at the end:", result["broken"], "of", len(pairs))
    return result


options.folder.mkdir(parents=True, exist_ok=True)
results = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else {}
parts = None if options.only_measure else (water() if options.field else solution())
for kind in options.kinds:
    name = f"rpmd-{options.beads}" if kind == "rpmd" else f"qtb-{options.friction:g}"
    name = ("tip3p-fb-" if options.field else "") + name
    if parts is not None:
        run(
            *parts,
            options.folder / name,
            integrator=kind,
            temperature=300 * unit.kelvin,
            report_interval=20,
            checkpoint_interval=100,
            seed=1,
            threads=1,
            platform="CPU",
            resume=True,
            **settings_of(kind),
        )
    results[name] = measure(options.folder / name)
    content = {"results": results, "hardware": hardware(1)}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
