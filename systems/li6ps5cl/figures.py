# SPDX-License-Identifier: MIT
"""Compare the runs of run.py with published AIMD, and draw them.

    python systems/li6ps5cl/figures.py --reference FOLDER

FOLDER holds the published curves (see README.md); without it the runs alone are
analysed. Writes ``results.json`` and the pictures beside this script.
"""

import argparse
import json
import sys
from pathlib import Path

import mdtraj
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from run import NPT, NVT, OUTPUT  # noqa: E402
from solids import block_msd, difference  # noqa: E402

from openmm_allegro.analysis import (  # noqa: E402
    Estimate,
    arrhenius,
    conductivity,
    diffusion,
    rdf,
    series_mean,
)

PAIRS = ("Li-Li", "Li-S", "Li-Cl", "P-S")
# Only Li moves on; relative to all else, which makes up for the missing charges.
FRAMEWORK = "not element Li"
CELLS = 2
BLOCKS = 3  # of a run, each longer than the published displacements
R_MAX = 0.9  # nm, in bins of the published curves
COLORS = {0: "C0", 50: "C1", 100: "C2"}
EV = 96.48533  # kJ/mol


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path)
    options = parser.parse_args()
    runs = {key: _load(f"nvt_{key[0]}K_d{key[1]}", "nvt") for key in NVT}
    results = {}
    if options.reference:
        results["g(r) at 500 K"] = _compare_rdf(runs, options.reference)
        results["MSD of Li"] = _compare_msd(runs, options.reference)
    results["diffusion"] = _diffusion(runs)
    results["lattice"] = [_lattice(kelvin, bar) for kelvin, bar in NPT]
    path = HERE / "results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(path.read_text())


def _load(name: str, stage: str) -> mdtraj.Trajectory:
    prefix = OUTPUT / name / f"2-{stage}"
    return mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")


def _compare_rdf(runs: dict, folder: Path) -> dict:
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(3, 4, sharex=True)
    results = {}
    for row, disorder in zip(axes, (0, 50, 100), strict=True):
        table = np.genfromtxt(
            folder / f"aimd_Li6PS5Cl_{disorder}p_rdf.csv", delimiter=",", names=True
        )
        r = table[table.dtype.names[0]]
        columns = table.dtype.names[1:]
        for ax, pair, column in zip(row, PAIRS, columns, strict=True):
            first, second = pair.split("-")
            found = rdf(
                runs[500, disorder],
                f"element {first}",
                f"element {second}",
                r_max=R_MAX,
                bin_width=0.005,
            )
            reference = table[column]
            n = min(len(r), len(found.g))
            np.testing.assert_allclose(10 * found.r[:n], r[:n], atol=1e-4)
            gap = difference(r[:n], found.g[:n], reference[:n])
            results[f"{pair}, {disorder} %"] = {
                "integral_A": round(gap["integral"], 4),
                "relative": round(gap["relative"], 4),
            }
            ax.plot(r, reference, color="0.5", lw=2.5, label="AIMD")
            ax.plot(r[:n], found.g[:n], color=COLORS[disorder], lw=1.2, label="Allegro")
            ax.text(
                0.97,
                0.95,
                f"{100 * gap['relative']:.1f} %",
                transform=ax.transAxes,
                ha="right",
                va="top",
            )
            if disorder == 0:
                ax.set_title(pair.replace("-", "–"))
            if disorder == 100:
                ax.set_xlabel("r (Å)")
            ax.set_xlim(1.5, 10 * R_MAX)
            ax.set_ylim(0, None)
        row[0].set_ylabel(f"g(r), {disorder} % disorder")
    axes[0, 0].legend(loc="lower right", frameon=False)
    figure.suptitle("Li6PS5Cl at 500 K; numbers: ∫|Δg| dr over ∫g dr")
    figure.savefig(HERE / "rdf.png", dpi=170)
    return results


def _compare_msd(runs: dict, folder: Path) -> dict:
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    results = {}
    for disorder in (0, 50, 100):
        table = np.loadtxt(
            folder / f"aimd_Li6PS5Cl_{disorder}p_Li_msd.csv", delimiter=",", skiprows=1
        )
        lags, msd, spread = table[:, 0] * 0.1, table[:, 1], table[:, 2]
        left.fill_between(lags, msd - spread, msd + spread, color="0.8")
        left.plot(lags, msd, "--", color=COLORS[disorder], lw=1.2)
        ours = block_msd(runs[500, disorder], "element Li", lags[-1], BLOCKS)
        results[f"500 K, {disorder} %"] = _ratio(ours, (lags, msd))
        _draw(left, ours, COLORS[disorder], f"{disorder} % disorder")
    left.set_title("500 K; dashed: AIMD, grey: spread of its runs", fontsize=10)
    lines = (folder / "aimd_msd_dft.dat").read_text().splitlines()[1:]
    table = np.array([[float(x) for x in line.split()] for line in lines if line])
    lags, msd = table[::10, 0] / 1000, table[::10, 1]
    ours = block_msd(runs[600, 50], "element Li", lags[-1], BLOCKS)
    results["600 K, 50 %"] = _ratio(ours, (lags, msd))
    right.plot(lags, msd, "--", color="0.4", label="AIMD, one run of 10 ps")
    _draw(right, ours, "C1", "Allegro, 50 % disorder")
    right.set_title("600 K", fontsize=10)
    for ax in (left, right):
        ax.set(xlabel="lag (ps)", ylabel="mean square displacement of Li (Å²)")
        ax.set(xlim=(0, None), ylim=(0, None))
        ax.legend(frameon=False)
    figure.savefig(HERE / "msd.png", dpi=170)
    return results


def _draw(ax, ours: tuple, color: str, label: str) -> None:
    lags, msd, error = ours
    ax.fill_between(lags, msd - error, msd + error, color=color, alpha=0.25, lw=0)
    ax.plot(lags, msd, color=color, lw=1.4, label=label)


def _ratio(ours: tuple, reference: tuple) -> dict:
    """Of the mean square displacements at the longest common lag and at half of it."""
    lags, msd, error = ours
    found = {}
    for lag in (reference[0][-1] / 2, reference[0][-1]):
        k = int(np.argmin(abs(lags - lag)))
        theirs = float(np.interp(lags[k], *reference))
        found[f"{lags[k]:.1f} ps"] = {
            "ours_A2": round(msd[k], 3),
            "aimd_A2": round(theirs, 3),
            "ratio": round(msd[k] / theirs, 3),
            "error": round(error[k] / theirs, 3),
        }
    return found


def _diffusion(runs: dict) -> dict:
    temperatures, estimates, results = [], [], {}
    for (kelvin, disorder), trajectory in sorted(runs.items()):
        found = diffusion(trajectory, "element Li")
        result = {
            "D_1e-5_cm2_s": round(found.coefficient * 1e5, 4),
            "error": round(found.error * 1e5, 4),
        }
        sigma = conductivity(trajectory, {"Li": 1}, kelvin, reference=FRAMEWORK)
        for name in ("einstein", "nernst_einstein"):
            estimate = getattr(sigma, name)
            result[f"conductivity_{name}_S_m"] = [
                round(float(estimate.value), 2),
                round(float(estimate.error), 2),
            ]
        results[f"{kelvin} K, {disorder} %"] = result
        if disorder == 50:
            temperatures.append(kelvin)
            estimates.append(Estimate(found.coefficient, found.error))
    line = arrhenius(
        temperatures, [e.value for e in estimates], [e.error for e in estimates]
    )
    energy, at_300 = line.activation_energy, line.at(300.0)
    results["activation_energy_eV"] = [
        round(energy.value / EV, 4),
        round(energy.error / EV, 4),
    ]
    results["chi_squared"] = round(line.chi_squared, 2)
    results["D_300K_extrapolated_1e-5_cm2_s"] = [
        round(at_300.value * 1e5, 5),
        round(at_300.error * 1e5, 5),
    ]
    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = figure.subplots()
    inverse = 1000 / np.array(temperatures)
    ax.errorbar(
        inverse,
        [e.value for e in estimates],
        [e.error for e in estimates],
        fmt="o",
        color="C1",
        capsize=3,
    )
    grid = np.linspace(inverse.min() * 0.97, inverse.max() * 1.03, 50)
    ax.plot(grid, [line.at(1000 / x).value for x in grid], color="C1", lw=1)
    ax.set_yscale("log")
    ax.set(xlabel="1000 K / T", ylabel="D of Li (cm²/s)")
    ax.set_title(
        f"50 % disorder, E = {energy.value / EV:.3f} ± {energy.error / EV:.3f} eV",
        fontsize=10,
    )
    figure.savefig(HERE / "arrhenius.png", dpi=170)
    return results


def _lattice(kelvin: float, bar: float) -> dict:
    trajectory = _load(f"npt_{kelvin}K_{bar:.0f}bar", "npt")
    edges = 10 * trajectory.unitcell_lengths.mean(axis=1) / CELLS
    found = series_mean(edges[len(edges) // 5 :])
    return {
        "temperature_K": kelvin,
        "pressure_bar": bar,
        "a_A": round(float(found.value), 4),
        "error": round(float(found.error), 4),
    }


if __name__ == "__main__":
    main()
