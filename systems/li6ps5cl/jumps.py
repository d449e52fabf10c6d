# SPDX-License-Identifier: MIT
"""Measure the jumps of Li in the runs of jumps.toml, and draw them.

    openmm-allegro simulate systems/li6ps5cl/jumps.toml --output runs/li6ps5cl_jumps \\
        --threads 1 --seed 27 --resume
    python systems/li6ps5cl/jumps.py

Writes ``jumps.json``, the rows that ``analyze series`` prints, with the rates at other
radii of the cores too, and three pictures beside this script.
"""

import argparse
import json
from pathlib import Path

from openmm_allegro.measure.measurement import amount
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.series import SeriesSettings
from openmm_allegro.measure.series_runs import read_series
from openmm_allegro.runs.source import Source

HERE = Path(__file__).parent
# Pairs of 48h sites are 0.18 nm apart, the next site of a cage 0.23 nm.
SETTINGS = {
    "sites": str(HERE / "sites.cif"),
    "cages": "Cl4c",
    "lengths": (0.2, 0.27),
}
CORES = (0.035, 0.08)  # nm, beside the default of 0.053
SHOWN = 600  # K, of the pictures of sites and of stays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/li6ps5cl_jumps"))
    options = parser.parse_args()
    series = QUANTITIES["series"]
    measurement = series.measure(
        None, [str(options.runs), "Li"], SeriesSettings(**SETTINGS, at=(300.0,))
    )
    measurement.plot(HERE / "jumps.png")
    jumps = QUANTITIES["jumps"]
    temperatures = read_series(options.runs).temperatures
    others = {}
    for one in temperatures:
        source = Source([one.run])
        if one.kelvin == SHOWN:
            made = jumps.measure(source, None, jumps.settings(**SETTINGS))
            for name, draw in made.figures.items():
                draw(HERE / f"jumps_{name}.png")
        for core in CORES:
            settings = jumps.settings(**SETTINGS, core=core)
            made = jumps.measure(source, None, settings)
            rows = [row for row in made.rows if row.quantity == "rate"]
            others[f"{one.kelvin:g} K, core {core} nm"] = {
                row.item: amount(row.value, row.error) for row in rows
            }
    content = {
        "picoseconds": {f"{x.kelvin:g} K": x.run.simulated for x in temperatures},
        "settings": SETTINGS | {"sites": "sites.cif"},
        "rows": [
            f"{row.item}: {row.quantity} {amount(row.value, row.error)} {row.unit}"
            for row in measurement.rows
        ],
        "rates_with_other_cores_per_ps": others,
        "warnings": measurement.warnings,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (HERE / "jumps.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
