# SPDX-License-Identifier: MIT
"""Melt, quench and run Li3PO4, with the small model and the better one.

    python systems/li3po4/run.py                    # finished runs are kept
    python systems/li3po4/run.py --model small --runs 3

Each run melts the crystal anew, as the teacher's trajectory does: 1.4 ps of Langevin
dynamics at 3000 K, an instant quench, then NVT at 600 K with a Nosé-Hoover chain, with
steps of 2 fs, as Musaelian et al. (doi:10.1038/s41467-023-36329-y) validate their
potential. ``figures.py`` compares. A longer melt goes into another folder, which
``melts.py`` reads:

    python systems/li3po4/run.py --melt-ps 10 --melt-fs 1 --settle-ps 2
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from build import build  # noqa: E402
from solids import produce, write_pdb  # noqa: E402

from openmm_allegro.simulate.protocol import Stage  # noqa: E402

OUTPUT = Path("runs/li3po4")
MODELS = {"small": "small.safetensors", "better": "li3po4.safetensors"}
MELT_PS = 1.4  # the teacher's
TIMESTEP = 2.0  # fs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, help="default: both")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--ps", type=float, default=50.0, help="of NVT in each run")
    parser.add_argument("--melt-ps", type=float, default=MELT_PS)
    parser.add_argument("--melt-fs", type=float, default=TIMESTEP, help="of a step")
    parser.add_argument(
        "--settle-ps", type=float, default=0.0, help="Langevin dynamics at 600 K first"
    )
    options = parser.parse_args()
    folder = output_of(options.melt_ps, options.melt_fs, options.settle_ps)
    names = [options.model] if options.model else list(MODELS)
    for name in names:
        if not (HERE / MODELS[name]).is_file():
            parser.error(f"expected a model at {HERE / MODELS[name]}, found nothing")
    pdb = HERE / "crystal.pdb"
    if not pdb.exists():
        write_pdb(build(), pdb)
    stages = _stages(options)
    for name in names:
        for seed in range(1, options.runs + 1):
            print(name, seed, flush=True)
            output = folder / name / f"run_{seed}"
            produce(pdb, HERE / MODELS[name], stages, output, seed=seed)


def output_of(melt_ps: float, melt_fs: float, settle_ps: float) -> Path:
    """Choose a folder, apart from that of figures.py for other melts."""
    if (melt_ps, melt_fs, settle_ps) == (MELT_PS, TIMESTEP, 0):
        return OUTPUT
    melt = f"melt_{melt_ps:g}ps_{melt_fs:g}fs_settle_{settle_ps:g}ps"
    return OUTPUT.with_name(f"{OUTPUT.name}_{melt}")


def _stages(options: argparse.Namespace) -> list[Stage]:
    melt = Stage(
        "melt",
        steps=_steps(options.melt_ps, options.melt_fs),
        temperature_k=3000.0,
        timestep_fs=options.melt_fs,
        friction_per_ps=5.0,
        report_interval=50,
        minimize=True,
    )
    settle = Stage(
        "settle",
        steps=_steps(options.settle_ps),
        temperature_k=600.0,
        timestep_fs=TIMESTEP,
        friction_per_ps=5.0,
        report_interval=50,
        draw_velocities=True,  # the quench
    )
    nvt = Stage(
        "nvt",
        steps=_steps(options.ps),
        integrator="nose-hoover",
        temperature_k=600.0,
        timestep_fs=TIMESTEP,
        friction_per_ps=12.5,  # a damping time of 40 steps
        report_interval=25,
        draw_velocities=not options.settle_ps,
    )
    return [melt, settle, nvt] if options.settle_ps else [melt, nvt]


def _steps(picoseconds: float, timestep: float = TIMESTEP) -> int:
    return round(1000 * picoseconds / timestep)


if __name__ == "__main__":
    main()
