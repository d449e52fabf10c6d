# SPDX-License-Identifier: MIT
"""Quench a melt of 192 atoms with a model, and print what the glass is made of.

    python systems/li3po4/glass.py --model systems/li3po4/dft/model.safetensors

A random packing (amorphous.py) melts at 3000 K with the model of the teacher's labels,
``--melt-ps``, then with the model, ``--remelt-ps``, and is quenched to 600 K, ``--ps``.
Printed from the second half of the last stage: neighbours O of P and the mean length
of P-O within 2.2 Å, angles O-P-O and P-O-O within 2.5 Å, and the mean square
displacement of Li. Finished stages are kept.
"""

import argparse
import json
import sys
from pathlib import Path

import mdtraj
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from amorphous import pack  # noqa: E402
from openmm import app  # noqa: E402
from solids import run_msd, write_pdb  # noqa: E402

from openmm_allegro import AllegroPotential  # noqa: E402
from openmm_allegro.analysis import angle_distribution, rdf  # noqa: E402
from openmm_allegro.simulate.protocol import Stage, run_protocol  # noqa: E402

TEACHER = HERE / "li3po4.safetensors"
ANGLES = {"O-P-O": ("element O", "element P", "element O")}
ANGLES |= {"P-O-O": ("element P", "element O", "element O")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=TEACHER)
    parser.add_argument("--output", type=Path, default=Path("runs/li3po4_glass"))
    parser.add_argument("--melt-ps", type=float, default=2.0)
    parser.add_argument("--remelt-ps", type=float, default=0.5)
    parser.add_argument("--ps", type=float, default=1.0)
    options = parser.parse_args()
    start = options.output / "start.pdb"
    if not start.exists():
        options.output.mkdir(parents=True, exist_ok=True)
        write_pdb(pack(24, 3), start)
    pdb = app.PDBFile(str(start))
    melt = Stage("melt", steps=round(1000 * options.melt_ps), minimize=True, **HOT)
    simulate(pdb, pdb.positions, TEACHER, [melt], options.output / "melt")
    molten = mdtraj.load(options.output / "melt/1-melt.xtc", top=start)[-1]
    stages = [
        Stage("melt", steps=round(1000 * options.remelt_ps), **HOT),
        Stage("glass", steps=round(1000 * options.ps), draw_velocities=True, **WARM),
    ]
    folder = options.output / options.model.stem
    simulate(pdb, molten.openmm_positions(0), options.model, stages, folder)
    glass = mdtraj.load(folder / "2-glass.xtc", top=start)
    print(json.dumps(measured(glass), indent=1))


HOT = {"temperature_k": 3000.0, "timestep_fs": 1.0, "friction_per_ps": 5.0}
HOT |= {"report_interval": 50}
WARM = HOT | {"temperature_k": 600.0, "report_interval": 10}


def simulate(pdb, positions, model: Path, stages: list[Stage], folder: Path) -> None:
    """Run stages, or what is left of them."""
    system = AllegroPotential(model).create_system(pdb.topology)
    run_protocol(
        *(pdb.topology, positions, system, stages, folder),
        seed=3,
        resume=(folder / "protocol.json").exists(),
        progress=False,
    )


def measured(glass: mdtraj.Trajectory) -> dict:
    """Numbers of the second half of a run, with lengths in Å."""
    old = glass[glass.n_frames // 2 :]
    p, o = (old.topology.select(f"element {e}") for e in "PO")
    pairs = np.array([(i, j) for i in p for j in o])
    lengths = 10 * mdtraj.compute_distances(old, pairs)
    bonds = lengths[lengths < 2.2]
    peak = rdf(old, "element P", "element O", r_max=0.6, bin_width=0.002)
    found = {
        "atoms": glass.n_atoms,
        "ps": round(float(glass.time[-1]), 2),
        "O_within_2.2_A_of_P": round(len(bonds) / old.n_frames / len(p), 3),
        "P_with_four_O": round(
            float(np.mean((lengths.reshape(-1, len(p), len(o)) < 2.2).sum(2) == 4)), 3
        ),
        "mean_P-O_A": round(float(bonds.mean()), 3),
        "peak_of_g_P-O_A": round(10 * float(peak.r[np.argmax(peak.g)]), 2),
    }
    for name, selections in ANGLES.items():
        angles = angle_distribution(old, *selections, 0.25)
        weights = angles.density / angles.density.sum()
        mean = float((weights * angles.angle).sum())
        found[f"mean_angle_{name}_deg"] = round(mean, 1)
        found[f"angles_{name}_a_frame"] = round(angles.n_angles / old.n_frames, 1)
    lag = 0.4 * float(glass.time[-1] - glass.time[0])
    _, msd, _ = run_msd(glass, "element Li", lag, 1)
    found[f"MSD_of_Li_at_{lag:.2f}_ps_A2"] = round(float(msd[-1]), 3)
    return found


if __name__ == "__main__":
    main()
