# SPDX-License-Identifier: MIT
"""Run all simulations of Li6PS5Cl: NVT at five temperatures and three disorders, NPT.

    python systems/li6ps5cl/run.py            # finished runs are kept, others resumed
    python systems/li6ps5cl/run.py --ps 200   # continues the runs to 200 ps

Steps of 3.125 fs, a Nosé-Hoover chain after 4 ps of Langevin dynamics, frames every
0.1 ps. Then ``figures.py`` compares and draws.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from build import AIMD_LATTICE, LATTICE, build  # noqa: E402
from solids import produce, write_pdb  # noqa: E402

from openmm_allegro.simulate.protocol import Stage  # noqa: E402

OUTPUT = Path("runs/li6ps5cl")
# Temperature (K), disorder (%), and cell: that of the data or of the published AIMD.
NVT = [
    (500, 50, "aimd"),
    (500, 0, "aimd"),
    (500, 100, "aimd"),
    (500, 50, "data"),
    (600, 50, "data"),
    (700, 50, "data"),
    (850, 50, "data"),
    (1000, 50, "data"),
]
LATTICES = {"data": LATTICE, "aimd": AIMD_LATTICE}
LABEL_PRESSURE = 12770.0  # bar; printed by pressure.py, rounded to ten
NPT = [(600, LABEL_PRESSURE)]
TIMESTEP = 3.125  # fs; the fastest vibrations, of P-S, take 55


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ps", type=float, default=16.0, help="of each NVT run")
    parser.add_argument("--npt-ps", type=float, default=12.0)
    parser.add_argument("--model", type=Path, default=HERE / "li6ps5cl.safetensors")
    options = parser.parse_args()
    if not options.model.is_file():
        parser.error(f"expected a model at {options.model}, found nothing; train first")
    for kelvin, disorder, cell in NVT:
        stages = [_equilibrate(kelvin), _nvt(kelvin, options.ps)]
        name = nvt_name(kelvin, disorder, cell)
        _produce(name, disorder, cell, stages, kelvin + disorder, options.model)
    for kelvin, bar in NPT:
        npt = Stage(
            "npt",
            steps=_steps(options.npt_ps),
            ensemble="npt",
            temperature_k=kelvin,
            timestep_fs=TIMESTEP,
            pressure_bar=bar,
            report_interval=32,
        )
        stages = [_equilibrate(kelvin), npt]
        name = f"npt_{kelvin}K_{bar:.0f}bar"
        _produce(name, 50, "data", stages, 7 + round(bar), options.model)


def nvt_name(kelvin: int, disorder: int, cell: str) -> str:
    """Name the folder of an NVT run."""
    return f"nvt_{kelvin}K_d{disorder}_{cell}"


def _steps(picoseconds: float) -> int:
    """Round to whole intervals between frames."""
    return 32 * round(picoseconds * 1000 / TIMESTEP / 32)


def _equilibrate(kelvin: float) -> Stage:
    return Stage(
        "equilibrate",
        steps=_steps(4),
        temperature_k=kelvin,
        timestep_fs=TIMESTEP,
        friction_per_ps=5.0,
        report_interval=320,
        minimize=True,
    )


def _nvt(kelvin: float, picoseconds: float) -> Stage:
    return Stage(
        "nvt",
        steps=_steps(picoseconds),
        integrator="nose-hoover",
        temperature_k=kelvin,
        timestep_fs=TIMESTEP,
        friction_per_ps=2.0,
        report_interval=32,
    )


def _produce(
    name: str, disorder: int, cell: str, stages: list, seed: int, model: Path
) -> None:
    print(name, flush=True)
    pdb = HERE / f"{cell}_{disorder}.pdb"
    if not pdb.exists():
        write_pdb(build(disorder / 100, lattice=LATTICES[cell]), pdb)
    produce(pdb, model, stages, OUTPUT / name, seed=seed, two_body="table")


if __name__ == "__main__":
    main()
