# SPDX-License-Identifier: MIT
"""Draw what lammps_physics.py compares."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

LABELS = {"openmm": "OpenMM", "lammps": "LAMMPS"}


def draw(
    folder: Path, runs: Sequence[str], path: Path, density: Sequence[float]
) -> None:
    """Draw g(r), displacements, and the energy of NVE and the density of NPT.

    Parameters
    ----------
    folder : Path
        With the runs, and what ``analyze`` wrote of them.
    runs : sequence of str
        Those that are compared.
    path : Path
        The figure.
    density : sequence of float
        That of EC/EMC in OpenMM, and its error, g/cm³.
    """
    from openmm_allegro.analysis.figures.figure import COLORS, band, new_figure

    found = {
        quantity: {
            run: json.loads((folder / f"{run}-{quantity}.json").read_text())["results"]
            for run in runs
        }
        for quantity in ("rdf", "diffusion")
    }
    pairs = list(found["rdf"][runs[0]])
    with new_figure(path) as axes:
        figure = axes.figure
        figure.set_size_inches(7.0, 4.6)
        axes.remove()
        grid = figure.add_gridspec(2, 6)
        for column, pair in enumerate(pairs):
            axes = figure.add_subplot(grid[0, 2 * column : 2 * column + 2])
            for run, color in zip(runs, COLORS, strict=False):
                curve = found["rdf"][run][pair]["distribution"]
                r, g, error = (np.array(curve[k]) for k in ("r", "g", "g_error"))
                options = {"label": LABELS[run], "style": {"linewidth": 1.2}}
                band(axes, 10 * r, g, error, color, **options)
            axes.set(xlabel="$r$ (Å)", ylabel=f"$g(r)$ {pair.replace('-', '–')}")
            axes.set(xlim=(2, 6.2), ylim=(0, None))
            if not column:
                axes.legend()
        left, right = (figure.add_subplot(grid[1, 3 * i : 3 * i + 3]) for i in (0, 1))
        for run, color in zip(runs, COLORS, strict=False):
            water = found["diffusion"][run]["water, O"]
            lags, msd, error = (
                np.array(water[k]) for k in ("lag_times", "msd", "msd_error")
            )
            options = {"label": LABELS[run], "style": {"linewidth": 1.2}}
            band(left, lags, 100 * msd, 100 * error, color, **options)
        left.set(xlabel="Lag time (ps)", ylabel="Displacement² of water (Å²)")
        left.set(xlim=(0, None), ylim=(0, None))
        table = np.genfromtxt(folder / "npt" / "npt.csv", delimiter=",", names=True)
        mean, error = density
        time, densities = (
            table[next(n for n in table.dtype.names if n.startswith(start))]
            for start in ("Time", "Density")
        )
        right.axhspan(mean - error, mean + error, color=COLORS[0], alpha=0.25)
        right.axhline(mean, color=COLORS[0], linewidth=1.2)
        right.plot(time, densities, color=COLORS[1], linewidth=0.6)
        right.set(xlabel="Time (ps)", ylabel="EC/EMC, NPT (g/cm³)", xlim=(0, time[-1]))
