# SPDX-License-Identifier: MIT
"""Compare glasses of longer melts, one by one, with the teacher's.

    python systems/li3po4/melts.py --teacher FOLDER

Reads the runs of ``run.py --melt-ps 10 --melt-fs 1 --settle-ps 2`` and writes
``melts.json``: for each run the difference of g(r) up to 4.85 Å; the number of angles
O-P-O within 2.5 Å per frame (96 if each of 16 phosphates is a tetrahedron); the mean
square displacement of Li; the potential energy relative to the crystal at rest; and the
part of P that is on the crystal's sites at the end.
"""

import argparse
import json
import sys
from pathlib import Path

import ase.io
import mdtraj
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from figures import (  # noqa: E402
    ANGLES,
    BIN,
    CRYSTAL,
    DROPPED,
    NEAR,
    R_MAX,
    SETTLED,
    SHELL,
    load_nvt,
    load_teacher,
    on_sites,
)
from run import MODELS, output_of  # noqa: E402
from solids import difference, run_msd  # noqa: E402

from openmm_allegro.analysis import (  # noqa: E402
    angle_distribution,
    rdf,
)
from openmm_allegro.interop.ase import AllegroCalculator  # noqa: E402
from openmm_allegro.units import EV_TO_KJ_PER_MOL  # noqa: E402

MELT = 10.0, 1.0, 2.0  # ps of melt, fs of a step, ps of settling
LAG = 10.0  # ps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=output_of(*MELT))
    options = parser.parse_args()
    teacher = load_teacher(options.teacher / "glass.extxyz")
    reference = rdf(
        teacher[teacher.time >= SETTLED], "all", "all", r_max=R_MAX, bin_width=BIN
    )
    rows = {}
    for name, model in MODELS.items():
        folders = sorted((options.runs / name).glob("run_*"))
        if not folders:
            continue
        crystal = ase.io.read(CRYSTAL)
        crystal.calc = AllegroCalculator(HERE / model)
        at_rest = crystal.get_potential_energy() / len(crystal)
        for folder in folders:
            if (row := _glass(folder, reference, at_rest)) is not None:
                rows[f"{name}, {folder.name}"] = row
    if not rows:
        raise SystemExit(f"expected runs in {options.runs}, found none")
    text = json.dumps(rows, indent=1) + "\n"
    (HERE / "melts.json").write_text(text)
    print(text)


def _glass(folder: Path, reference, at_rest: float) -> dict | None:
    prefix = folder / "3-nvt"
    run = load_nvt(prefix, DROPPED + LAG + 5)
    if run is None:
        return None
    old = run[run.time >= DROPPED]
    curve = rdf(old, "all", "all", r_max=R_MAX, bin_width=BIN)
    angles = angle_distribution(old, *ANGLES["O–P–O"], SHELL)
    _, msd, _ = run_msd(old, "element Li", LAG, 1)
    table = np.genfromtxt(f"{prefix}.csv", delimiter=",", names=True)
    energies = table["Potential_Energy_kJmole"][-len(old) :]  # a row a frame
    energy = energies.mean() / EV_TO_KJ_PER_MOL / run.n_atoms - at_rest
    gap = difference(reference.r, curve.g, reference.g)["relative"]
    _, p_on_sites = on_sites(run[-1], mdtraj.load(CRYSTAL))["P"]
    return {
        "ps": round(float(run.time[-1]), 1),
        "relative_difference_of_g": round(gap, 4),
        "angles_O-P-O_a_frame": round(angles.n_angles / len(old), 1),
        f"MSD_of_Li_at_{LAG:g}_ps_A2": round(float(msd[-1]), 3),
        "energy_less_crystal_at_rest_eV_per_atom": round(float(energy), 4),
        f"P_within_{NEAR:g}_A_of_crystal": round(p_on_sites, 3),
    }


if __name__ == "__main__":
    main()
