# SPDX-License-Identifier: MIT
"""Melt, quench and run amorphous Li3PO4, with the small model and the better one.

    python systems/li3po4/run.py                    # what is done is kept
    python systems/li3po4/run.py --model small --runs 3

Each run melts the crystal anew, as the teacher's trajectory does: 1.4 ps of Langevin
dynamics at 3000 K, an instant quench, then NVT at 600 K with a Nosé-Hoover chain, with
steps of 2 fs, as Musaelian et al. (doi:10.1038/s41467-023-36329-y) validate their
potential. ``figures.py`` compares. ``--melt-ps 10`` asks what a longer melt does.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from build import build  # noqa: E402
from solids import produce, write_pdb  # noqa: E402

from openmm_allegro.protocol import Stage  # noqa: E402

OUTPUT = Path("runs/li3po4")
MODELS = {"small": "small.safetensors", "better": "li3po4.safetensors"}
STEPS_PER_PS = 500  # of 2 fs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, help="default: both")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--ps", type=float, default=50.0, help="of NVT in each run")
    parser.add_argument("--melt-ps", type=float, default=1.4)
    options = parser.parse_args()
    names = [options.model] if options.model else list(MODELS)
    for name in names:
        if not (HERE / MODELS[name]).is_file():
            parser.error(f"expected a model at {HERE / MODELS[name]}, found nothing")
    pdb = HERE / "crystal.pdb"
    if not pdb.exists():
        write_pdb(build(), pdb)
    stages = _stages(options.melt_ps, options.ps)
    for name in names:
        for seed in range(1, options.runs + 1):
            print(name, seed, flush=True)
            output = OUTPUT / name / f"run_{seed}"
            produce(pdb, HERE / MODELS[name], stages, output, seed=seed)


def _stages(melt: float, nvt: float) -> list[Stage]:
    return [
        Stage(
            "melt",
            steps=round(melt * STEPS_PER_PS),
            temperature_k=3000.0,
            timestep_fs=2.0,
            friction_per_ps=5.0,
            report_interval=50,
            minimize=True,
        ),
        Stage(
            "nvt",
            steps=round(nvt * STEPS_PER_PS),
            integrator="nose-hoover",
            temperature_k=600.0,
            timestep_fs=2.0,
            friction_per_ps=12.5,  # a damping time of 40 steps
            report_interval=25,
            draw_velocities=True,  # the quench
        ),
    ]


if __name__ == "__main__":
    main()
