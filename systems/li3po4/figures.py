# SPDX-License-Identifier: MIT
"""Compare the runs of run.py with the teacher's trajectory, and draw them.

    python systems/li3po4/figures.py --teacher FOLDER

FOLDER holds the teacher's ``glass.extxyz``. Writes ``results.json``, ``structure.png``
and ``msd.png`` beside this script.
"""

import argparse
import json
import sys
from pathlib import Path

import ase.io
import mdtraj
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from run import MODELS, OUTPUT  # noqa: E402
from solids import block_msd, difference, topology_of  # noqa: E402

from openmm_allegro.analysis import (  # noqa: E402
    angle_distribution,
    block_mean,
    diffusion,
    follow,
    mean_square_displacement,
    rdf,
)

R_MAX = 0.485  # nm, half of the shortest edge
BIN = 0.005  # nm
SHELL = 0.25  # nm, of the angles, as in the paper
ANGLES = {
    "O–P–O": ("element O", "element P", "element O"),
    "P–O–O": ("element P", "element O", "element O"),
}
SETTLED = 1.0  # ps after the quench, from which the teacher's frames are compared
DROPPED = 10.0  # ps of each of our runs, as in the paper
COLORS = {"small": "C0", "better": "C1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    options = parser.parse_args()
    teacher = _teacher(options.teacher / "glass.extxyz")
    ours = {name: _runs(name) for name in MODELS}
    ours = {name: runs for name, runs in ours.items() if runs}
    if not ours:
        raise SystemExit(f"expected runs of run.py in {OUTPUT}, found none")
    results = {"structure": _structure(teacher, ours), "Li": _motion(teacher, ours)}
    path = HERE / "results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(path.read_text())


def _teacher(path: Path) -> mdtraj.Trajectory:
    frames = [a for a in ase.io.read(path, ":") if a.info["src"] == "quench600K"]
    trajectory = mdtraj.Trajectory(
        np.array([a.get_positions() for a in frames]) / 10,
        mdtraj.Topology.from_openmm(topology_of(frames[0])),
        time=np.array([a.info["time_fs"] for a in frames]) / 1000,
        unitcell_lengths=[a.cell.lengths() / 10 for a in frames],
        unitcell_angles=[a.cell.angles() for a in frames],
    )
    return trajectory


def _runs(name: str) -> list[mdtraj.Trajectory]:
    runs = []
    for folder in sorted((OUTPUT / name).glob("run_*")):
        prefix = folder / "3-nvt"
        if prefix.with_suffix(".xtc").exists():
            run = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
            run = run[run.time - run.time[0] >= DROPPED]
            if len(run) > 100:
                runs.append(run)
    return runs


def _structure(teacher: mdtraj.Trajectory, ours: dict) -> dict:
    settled = teacher[teacher.time >= SETTLED]
    half = len(settled) // 2
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    results: dict = {}

    def curves(trajectory: mdtraj.Trajectory) -> dict:
        found = rdf(trajectory, "all", "all", r_max=R_MAX, bin_width=BIN)
        curves = {"g(r)": (10 * found.r, found.g)}
        for label, selections in ANGLES.items():
            angles = angle_distribution(trajectory, *selections, SHELL)
            curves[label] = (angles.angle, angles.density)
        return curves

    reference = curves(settled)
    # How far the teacher is from itself, half of its frames against the other
    first, second = curves(settled[:half]), curves(settled[half:])
    results["teacher, first half against second"] = {
        label: _rounded(difference(x, first[label][1], second[label][1]))
        for label, (x, _) in reference.items()
    }
    for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
        ax.plot(x, y, color="0.5", lw=2.5, label="teacher")
        ax.set_title(label, fontsize=10)
    for name, runs in ours.items():
        of_runs = [curves(run) for run in runs]
        results[name] = {"runs": len(runs)}
        for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
            each = np.array([found[label][1] for found in of_runs])
            mean = each.mean(0)
            results[name][label] = _rounded(difference(x, mean, y)) | {
                "relative_of_each_run": [
                    round(difference(x, one, y)["relative"], 4) for one in each
                ]
            }
            spread = each.std(0)
            ax.fill_between(
                x, mean - spread, mean + spread, color=COLORS[name], alpha=0.25, lw=0
            )
            ax.plot(x, mean, color=COLORS[name], lw=1.2, label=f"Allegro, {name}")
    axes[0].set(xlabel="r (Å)", ylabel="g(r), all atoms", xlim=(1, 10 * R_MAX))
    for ax in axes[1:]:
        ax.set(xlabel="angle (degrees)", ylabel="density (1/degree)", xlim=(20, 180))
    for ax in axes:
        ax.set_ylim(0, None)
    axes[0].legend(frameon=False)
    figure.savefig(HERE / "structure.png", dpi=170)
    return results


def _motion(teacher: mdtraj.Trajectory, ours: dict) -> dict:
    """Mean square displacements over the teacher's own length, and D of whole runs."""
    settled = teacher[teacher.time >= SETTLED]
    longest = (settled.time[-1] - settled.time[0]) / 2
    paths = follow(settled, "element Li", reference="all")
    lags, msd = mean_square_displacement(
        paths.positions, max_lag=round(longest / paths.time_step)
    )
    times, msd = lags * paths.time_step, 100 * msd
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(times, msd, color="0.4", lw=2, label="teacher, one trajectory")
    results: dict = {}
    for name, runs in ours.items():
        of_runs = [block_msd(run, "element Li", 20.0, blocks=1)[:2] for run in runs]
        lag = of_runs[0][0]
        mean, error = block_mean([found[1] for found in of_runs])
        spread = np.std([found[1] for found in of_runs], axis=0)
        results[name] = {}
        for wanted in (times[-1] / 2, times[-1]):
            k = int(np.argmin(abs(lag - wanted)))
            theirs = float(np.interp(lag[k], times, msd))
            results[name][f"MSD at {lag[k]:.2f} ps"] = {
                "ours_A2": round(float(mean[k]), 3),
                "teacher_A2": round(theirs, 3),
                "ratio": round(float(mean[k]) / theirs, 3),
                "error": round(float(error[k]) / theirs, 3),
                "spread_of_runs": round(float(spread[k]) / theirs, 3),
            }
        for ax in (left, right):
            ax.fill_between(
                lag, mean - spread, mean + spread, color=COLORS[name], alpha=0.2, lw=0
            )
            ax.plot(lag, mean, color=COLORS[name], label=f"Allegro, {name}")
        values = [diffusion(run, "element Li").coefficient * 1e5 for run in runs]
        mean_d, error_d = block_mean(values)
        results[name]["D_1e-5_cm2_s"] = [
            round(float(mean_d), 4),
            round(float(error_d), 4),
        ]
    left.set(xlim=(0, times[-1]), ylim=(0, 1.6 * msd[-1]))
    right.set(xlim=(0, None), ylim=(0, None))
    left.set_title("over the teacher's length", fontsize=10)
    right.set_title("over 20 ps; bands: spread of the runs", fontsize=10)
    for ax in (left, right):
        ax.set(xlabel="lag (ps)", ylabel="mean square displacement of Li (Å²)")
        ax.legend(frameon=False, loc="upper left")
    figure.savefig(HERE / "msd.png", dpi=170)
    return results


def _rounded(found: dict) -> dict:
    return {key: round(value, 4) for key, value in found.items()}


if __name__ == "__main__":
    main()
