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

from run import NPT, NVT, OUTPUT, nvt_name  # noqa: E402
from solids import difference, draw_band, load_run, run_msd  # noqa: E402

from openmm_allegro.analysis import (  # noqa: E402
    arrhenius,
    conductivity,
    diffusion,
    rdf,
    series_mean,
)
from openmm_allegro.units import EV_TO_KJ_PER_MOL  # noqa: E402

PAIRS = ("Li-Li", "Li-S", "Li-Cl", "P-S")
# Only Li diffuses; motion is relative to all other atoms, which carry the other charge.
FRAMEWORK = "not element Li"
CELLS = 2
BLOCKS = 2  # of a run, each longer than the published displacements
R_MAX = 0.9  # nm; the bins are those of the published curves
BOND = 2.6  # Å, beyond the P-S bond and before the next sulfur
DISORDERS = (0, 50, 100)
FIT_START = 1.0  # ps
SLOPE_FROM = 1.0  # ps
COLORS = {0: "C0", 50: "C1", 100: "C2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path)
    options = parser.parse_args()
    runs = {key: run for key in NVT if (run := _load(nvt_name(*key), "nvt"))}
    if missing := [nvt_name(*key) for key in NVT if key not in runs]:
        print("no runs yet:", ", ".join(missing))
    results = {}
    if options.reference:
        results["g(r) at 500 K"] = _compare_rdf(runs, options.reference)
        results["MSD of Li"] = _compare_msd(runs, options.reference)
    results["diffusion"] = _diffusion(runs)
    results["lattice"] = [
        _lattice(kelvin, bar, run)
        for kelvin, bar in NPT
        if (run := _load(f"npt_{kelvin}K_{bar:.0f}bar", "npt"))
    ]
    path = HERE / "results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(path.read_text())


def _load(name: str, stage: str) -> mdtraj.Trajectory | None:
    return load_run(OUTPUT / name / f"2-{stage}")


def _compare_rdf(runs: dict, folder: Path) -> dict:
    figure = Figure(figsize=(10, 9.5), layout="constrained")
    axes = figure.subplots(6, 4, sharex=True, height_ratios=(3, 1) * 3)
    results = {}
    rows = zip(axes[::2], axes[1::2], DISORDERS, strict=True)
    for row, below, disorder in rows:
        table = np.genfromtxt(
            folder / f"aimd_Li6PS5Cl_{disorder}p_rdf.csv", delimiter=",", names=True
        )
        r = table[table.dtype.names[0]]
        run = runs.get((500, disorder, "aimd"))
        panels = zip(row, below, PAIRS, table.dtype.names[1:], strict=True)
        for ax, strip, pair, column in panels:
            reference = table[column]
            ax.plot(r, reference, color="0.5", lw=2.5, label="AIMD")
            if run is not None:
                gap = _draw_rdf(ax, strip, run, pair, disorder, r, reference)
                results[f"{pair}, {disorder} %"] = gap
            ax.set(xlim=(1.5, 10 * R_MAX), ylim=(0, None))
        row[0].set_ylabel(f"g(r), {disorder} % disorder")
        row[0].legend(frameon=False, loc="lower right")
        below[0].set_ylabel("Δg")
    for top, bottom, pair in zip(axes[0], axes[-1], PAIRS, strict=True):
        top.set_title(pair.replace("-", "–"))
        bottom.set_xlabel("r (Å)")
    figure.suptitle(
        "Li6PS5Cl at 500 K in the AIMD's cell; numbers: ∫|Δg| dr over ∫g dr, "
        "and that of the halves of Allegro's run"
    )
    figure.savefig(HERE / "rdf.png", dpi=170)
    return results


def _draw_rdf(ax, strip, run, pair: str, disorder: int, r, reference) -> dict:
    """Draw one g(r) and its difference from the reference; compare the run's halves."""
    selections = [f"element {symbol}" for symbol in pair.split("-")]
    half = len(run) // 2
    whole, first, second = (
        rdf(part, *selections, r_max=R_MAX, bin_width=0.005)
        for part in (run, run[:half], run[half:])
    )
    n = min(len(r), len(whole.g))
    r, reference, g = r[:n], reference[:n], whole.g[:n]
    np.testing.assert_allclose(10 * whole.r[:n], r, atol=1e-4)
    gap = difference(r, g, reference)
    halves = difference(r, first.g[:n], second.g[:n])["relative"]
    ax.plot(r, g, color=COLORS[disorder], lw=1.2, label="Allegro")
    strip.axhline(0, color="0.7", lw=0.8)
    strip.plot(r, g - reference, color=COLORS[disorder], lw=1)
    text = f"{100 * gap['relative']:.1f} %\nhalves {100 * halves:.1f} %"
    ax.text(0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize=9)
    results = {
        "integral_A": round(gap["integral"], 4),
        "relative": round(gap["relative"], 4),
        "first_half_against_second": round(halves, 4),
    }
    if pair == "P-S":
        bond = r < BOND
        in_bond = difference(r[bond], g[bond], reference[bond])["integral"]
        part = in_bond / gap["integral"] if gap["integral"] else 0.0
        results["part_below_2.6_A"] = round(part, 3)
        for name, curve in (("bond_A", g), ("aimd_bond_A", reference)):
            weights = (r**2 * curve)[bond]
            results[name] = round(float(np.average(r[bond], weights=weights)), 4)
    return results


def _compare_msd(runs: dict, folder: Path) -> dict:
    figure = Figure(figsize=(9, 7), layout="constrained")
    *panels, last = figure.subplots(2, 2).ravel()
    results = {}
    for ax, disorder in zip(panels, DISORDERS, strict=True):
        table = np.loadtxt(
            folder / f"aimd_Li6PS5Cl_{disorder}p_Li_msd.csv", delimiter=",", skiprows=1
        )
        lags, msd, spread = table[:, 0] * 0.1, table[:, 1], table[:, 2]
        ax.fill_between(lags, msd - spread, msd + spread, color="0.85", lw=0)
        ax.plot(lags, msd, "--", color="0.4", label="AIMD, spread of its runs")
        if run := runs.get((500, disorder, "aimd")):
            ours = run_msd(run, "element Li", lags[-1], BLOCKS)
            results[f"500 K, {disorder} %"] = _ratios(ours, lags, msd, spread)
            text = "Allegro, error of two halves"
            draw_band(ax, *ours, color=COLORS[disorder], label=text)
        ax.set_title(f"500 K, {disorder} % disorder, the AIMD's cell", fontsize=10)
    lines = (folder / "aimd_msd_dft.dat").read_text().splitlines()[1:]
    table = np.array([[float(x) for x in line.split()] for line in lines if line])
    lags, msd = table[::10, 0] / 1000, table[::10, 1]
    last.plot(lags, msd, "--", color="0.4", label="AIMD, from its first frame")
    if run := runs.get((600, 50, "data")):
        ours = run_msd(run, "element Li", lags[-1], BLOCKS)
        # One origin, and a jump at the start: only slopes can be compared.
        slopes = [
            float(np.polyfit(x[x >= SLOPE_FROM], y[x >= SLOPE_FROM], 1)[0])
            for x, y in ((ours[0], ours[1]), (lags, msd))
        ]
        results["600 K, 50 %, slope from 1 to 5 ps"] = {
            "ours_A2_per_ps": round(slopes[0], 3),
            "aimd_A2_per_ps": round(slopes[1], 3),
            "ratio": round(slopes[0] / slopes[1], 3),
        }
        text = "Allegro, 50 %, all origins, error of two halves"
        draw_band(last, *ours, color="C1", label=text)
    last.set_title("600 K; the AIMD's cell and disorder are not known", fontsize=10)
    for ax in (*panels, last):
        ax.set(xlabel="lag (ps)", ylabel="mean square displacement of Li (Å²)")
        ax.set(xlim=(0, None), ylim=(0, 1.3 * ax.get_ylim()[1]))  # the legend's
        ax.legend(frameon=False)
    figure.savefig(HERE / "msd.png", dpi=170)
    return results


def _ratios(ours: tuple, lags: np.ndarray, msd: np.ndarray, spread: np.ndarray) -> dict:
    """Compare at the longest lag and half of it: ratio, distance over both errors."""
    results = {}
    for k in (len(lags) // 2, len(lags) - 1):
        np.testing.assert_allclose(ours[0][k], lags[k], rtol=1e-4)
        distance = ours[1][k] - msd[k]
        results[f"{lags[k]:.1f} ps"] = {
            "ours_A2": round(ours[1][k], 3),
            "our_error": round(ours[2][k], 3),
            "aimd_A2": round(msd[k], 3),
            "aimd_spread": round(spread[k], 3),
            "ratio": round(ours[1][k] / msd[k], 3),
            "over_both_errors": round(distance / np.hypot(ours[2][k], spread[k]), 2),
            "inside_spread": bool(abs(distance) <= spread[k]),
        }
    return results


def _diffusion(runs: dict) -> dict:
    fitted, results = {}, {}
    for (kelvin, disorder, cell), trajectory in sorted(runs.items()):
        d = diffusion(trajectory, "element Li", fit_start=FIT_START)
        sigma = conductivity(
            trajectory,
            {"Li": 1},
            kelvin,
            reference=FRAMEWORK,
            fit_start=FIT_START,
            max_lag=float(d.lag_times[-1]),
            n_blocks=4,  # each longer than a fifth of the run, the longest lag
        )
        results[f"{kelvin} K, {disorder} %, cell of the {cell}"] = {
            "D_1e-5_cm2_s": _rounded(d.coefficient * 1e5, d.error * 1e5),
            "conductivity_einstein_S_m": _rounded(*sigma.einstein),
            "conductivity_nernst_einstein_S_m": _rounded(*sigma.nernst_einstein),
        }
        if (disorder, cell) == (50, "data"):
            fitted[kelvin] = d.coefficient, d.error
    if len(fitted) < 3:
        return results
    temperatures = list(fitted)
    values, errors = np.transpose(list(fitted.values()))
    line = arrhenius(temperatures, values, errors)
    energy, at_300 = line.activation_energy, line.at(300.0)
    # Errors of single short runs are too small; the residuals show by what factor.
    scale = max(1.0, np.sqrt(line.chi_squared / (len(fitted) - 2)))
    value, error = (
        energy.value / EV_TO_KJ_PER_MOL,
        scale * energy.error / EV_TO_KJ_PER_MOL,
    )
    results["activation_energy_eV"] = _rounded(value, error)
    results["chi_squared"] = round(line.chi_squared, 2)
    results["errors_of_the_line_scaled_by"] = round(float(scale), 2)
    results["D_300K_extrapolated_1e-5_cm2_s"] = _rounded(
        1e5 * at_300.value, 1e5 * scale * at_300.error
    )
    figure = Figure(figsize=(5, 4.3), layout="constrained")
    ax = figure.subplots()
    inverse = 1000 / np.array(temperatures)
    ax.errorbar(inverse, values, scale * errors, fmt="o", color="C1", capsize=3)
    grid = np.linspace(inverse.min() * 0.97, inverse.max() * 1.03, 50)
    ax.plot(grid, [line.at(1000 / x).value for x in grid], color="C1", lw=1)
    ax.set_yscale("log")
    ax.set(xlabel="1000 K / T", ylabel="D of Li (cm²/s)")
    above = ax.secondary_xaxis("top")
    above.set_xticks(inverse, [str(kelvin) for kelvin in temperatures])
    above.set_xlabel("T (K)")
    text = f"50 % disorder, the data's cell\nE = {value:.3f} ± {error:.3f} eV"
    text += f"\nerrors of single runs times {scale:.1f}"
    ax.text(0.04, 0.05, text, transform=ax.transAxes, fontsize=9)
    figure.savefig(HERE / "arrhenius.png", dpi=170)
    return results


def _rounded(value: float, error: float) -> list[float]:
    """Round a value and its error to two digits of the error."""
    digits = 1 - int(np.floor(np.log10(error))) if error > 0 else 4
    return [round(float(value), digits), round(float(error), digits)]


def _lattice(kelvin: float, bar: float, trajectory: mdtraj.Trajectory) -> dict:
    edges = 10 * trajectory.unitcell_lengths.mean(axis=1) / CELLS
    edge = series_mean(edges[len(edges) // 5 :])
    return {
        "temperature_K": kelvin,
        "pressure_bar": bar,
        "a_A": round(float(edge.value), 4),
        "error": round(float(edge.error), 4),
    }


if __name__ == "__main__":
    main()
