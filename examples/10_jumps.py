# SPDX-License-Identifier: MIT
"""Jumps of lithium in Li6PS5Cl at two temperatures, and their activation energies.

    python examples/10_jumps.py             # some hours on one core
    python examples/10_jumps.py --quick     # to see that it runs

Each temperature runs in a folder of its own, and a call after an interruption
continues; systems/li6ps5cl/jumps.toml does the same as a file for `simulate`. Sites are
those of a CIF. A page has D, rates and conductivity at each temperature.
"""

import argparse
from pathlib import Path

from openmm import app

from openmm_allegro import AllegroPotential, Stage
from openmm_allegro.measure.jumps import JumpsSettings
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.series import SeriesSettings
from openmm_allegro.report import report
from openmm_allegro.simulate.series import run_series

CRYSTAL = Path("systems/li6ps5cl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="0.5 ps, for tests")
    parser.add_argument("--output", type=Path, default=Path("runs/jumps"))
    options = parser.parse_args()
    steps, interval = (180, 3) if options.quick else (20_000, 16)
    pdb = app.PDBFile(str(CRYSTAL / "small_50.pdb"))
    potential = AllegroPotential(CRYSTAL / "li6ps5cl.safetensors")
    system = potential.create_system(pdb.topology, backend="native")
    run_series(
        pdb.topology,
        pdb.positions,
        system,
        {kelvin: stages(kelvin, steps, interval) for kelvin in (700.0, 1000.0)},
        options.output,
        seed=1,
        threads=1,
        resume=True,
    )
    # Cages are around 4c; in them sites are 0.18 nm apart, in pairs, and 0.23 nm.
    sites = JumpsSettings(
        sites=str(CRYSTAL / "sites.cif"), cages="Cl4c", lengths=(0.2, 0.27)
    )
    measurement = QUANTITIES["series"].measure(
        None, [str(options.output), "Li"], SeriesSettings(**vars(sites))
    )
    for row in measurement.rows:
        if row.quantity == "activation energy in eV":
            print(f"{row.item}: {row.value:.3f} ± {row.error:.3f} eV")
    measurement.plot(options.output / "lines.png")
    print(report(options.output, overwrite=True, jumps=sites))


def stages(kelvin: float, steps: int, interval: int) -> list[Stage]:
    """Heat the crystal, and let it run with a thermostat that leaves motion alone."""
    common = {"temperature_k": kelvin, "timestep_fs": 3.0, "report_interval": interval}
    return [
        Stage("equilibrate", steps // 5, friction_per_ps=5.0, **common),
        Stage("nvt", steps, integrator="nose-hoover", friction_per_ps=2.0, **common),
    ]


if __name__ == "__main__":
    main()
