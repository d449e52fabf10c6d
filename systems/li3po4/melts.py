# SPDX-License-Identifier: MIT
"""Glasses of longer melts, one by one, beside the teacher's.

    python systems/li3po4/melts.py --teacher FOLDER

Reads what ``run.py --melt-ps 10 --melt-fs 1 --settle-ps 2`` left; writes
``melts.json``: for each run the difference of g(r) to 4.85 Å, angles O-P-O within
2.5 Å a frame (96 where each of 16 phosphates is a tetrahedron), the mean square
displacement of Li and the potential energy less that of the crystal at rest.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import ase.io
import mdtraj
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from figures import ANGLES, BIN, DROPPED, R_MAX, SETTLED, SHELL, load_teacher  # noqa: E402
from run import MODELS, OUTPUT  # noqa: E402
from solids import difference, run_msd  # noqa: E402

from openmm_allegro.analysis import angle_distribution, rdf  # noqa: E402
from openmm_allegro.interop.ase import AllegroCalculator  # noqa: E402
from openmm_allegro.units import EV_TO_KJ_PER_MOL  # noqa: E402

MELTS = "melt_10ps_1fs_settle_2ps"
LAG = 10.0  # ps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument(
        "--runs", type=Path, default=OUTPUT.with_name(f"{OUTPUT.name}_{MELTS}")
    )
    options = parser.parse_args()
    teacher = load_teacher(options.teacher / "glass.extxyz")
    reference = rdf(
        teacher[teacher.time >= SETTLED], "all", "all", r_max=R_MAX, bin_width=BIN
    )
    found = {}
    for name, model in MODELS.items():
        folders = sorted((options.runs / name).glob("run_*"))
        if not folders:
            continue
        crystal = ase.io.read(HERE / "crystal.pdb")
        crystal.calc = AllegroCalculator(HERE / model)
        at_rest = crystal.get_potential_energy() / len(crystal)
        for folder in folders:
            if (row := _glass(folder, reference, at_rest)) is not None:
                found[f"{name}, {folder.name}"] = row
    if not found:
        raise SystemExit(f"expected runs in {options.runs}, found none")
    text = json.dumps(found, indent=1) + "\n"
    (HERE / "melts.json").write_text(text)
    print(text)


def _glass(folder: Path, reference, at_rest: float) -> dict | None:
    prefix = folder / "3-nvt"
    if not prefix.with_suffix(".xtc").exists():
        return None
    run = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
    run.time -= 2 * run.time[0] - run.time[1]  # from the quench and settling on
    if run.time[-1] < DROPPED + LAG + 5:
        print(f"{folder}: {run.time[-1]:.1f} ps are too short, left out")
        return None
    old = run[run.time >= DROPPED]
    found = rdf(old, "all", "all", r_max=R_MAX, bin_width=BIN)
    angles = angle_distribution(old, *ANGLES["O–P–O"], SHELL)
    _, msd, _ = run_msd(old, "element Li", LAG, 1)
    with open(f"{prefix}.csv") as file:
        rows = list(csv.reader(file))
    column = rows[0].index("Potential Energy (kJ/mole)")
    energies = [float(row[column]) for row in rows[1:]][-len(old) :]  # a row a frame
    energy = np.mean(energies) / EV_TO_KJ_PER_MOL / run.n_atoms - at_rest
    gap = difference(reference.r, found.g, reference.g)["relative"]
    return {
        "ps": round(float(run.time[-1]), 1),
        "relative_difference_of_g": round(gap, 4),
        "angles_O-P-O_a_frame": round(angles.n_angles / len(old), 1),
        f"MSD_of_Li_at_{LAG:g}_ps_A2": round(float(msd[-1]), 3),
        "energy_less_crystal_at_rest_eV_per_atom": round(float(energy), 4),
    }


if __name__ == "__main__":
    main()
