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
from scipy.optimize import linear_sum_assignment

HERE = Path(__file__).parent
CRYSTAL = HERE / "crystal.pdb"
sys.path.insert(0, str(HERE.parent))

from run import MODELS, OUTPUT  # noqa: E402
from solids import (  # noqa: E402
    difference,
    draw_band,
    load_run,
    run_msd,
    topology_of,
)

from openmm_allegro.analysis import (  # noqa: E402
    angle_distribution,
    block_mean,
    diffusion,
    follow,
    mean_square_displacement,
    rdf,
)

R_MAX = 0.485  # nm, half of the shortest edge
BIN = 0.002  # nm
ANGLE_BINS = 180
SHELL = 0.25  # nm, of the angles, as in the paper
ANGLES = {
    "O–P–O": ("element O", "element P", "element O"),
    "P–O–O": ("element P", "element O", "element O"),
}
UNSEEN = 3.2  # ps; no model was trained on the teacher's frames after it
NEAR = 1.0  # Å from a site of the crystal
SETTLED = 1.0  # ps after the quench, where the comparison with the teacher starts
DROPPED = 10.0  # ps at the start of each of our runs, as in the paper
LONGEST = 20.0  # ps, longest lag of the aged glass
COLORS = {"small": "C0", "better": "C1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    options = parser.parse_args()
    teacher = load_teacher(options.teacher / "glass.extxyz")
    ours = {name: _runs(name) for name in MODELS}
    ours = {name: runs for name, runs in ours.items() if runs}
    if not ours:
        raise SystemExit(f"expected runs of run.py in {OUTPUT}, found none")
    results = {
        "structure": _structure(teacher, ours),
        "Li": _motion(teacher, ours),
        "memory of the crystal": _memory(teacher, ours),
    }
    path = HERE / "results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(path.read_text())


def load_teacher(path: Path) -> mdtraj.Trajectory:
    """Read the teacher's frames after the quench."""
    frames = [a for a in ase.io.read(path, ":") if a.info["src"] == "quench600K"]
    return mdtraj.Trajectory(
        np.array([a.get_positions() for a in frames]) / 10,
        mdtraj.Topology.from_openmm(topology_of(frames[0])),
        time=np.array([a.info["time_fs"] for a in frames]) / 1000,
        unitcell_lengths=[a.cell.lengths() / 10 for a in frames],
        unitcell_angles=[a.cell.angles() for a in frames],
    )


def _runs(name: str) -> list[mdtraj.Trajectory]:
    """Read the NVT runs, whose clocks start at the quench like the teacher's."""
    runs = []
    for folder in sorted((OUTPUT / name).glob("run_*")):
        run = load_nvt(folder / "2-nvt", DROPPED + LONGEST + 5)
        if run is not None:
            runs.append(run)
    if len(runs) == 1:
        print(f"{name}: one run has no spread, left out")
        return []
    return runs


def load_nvt(prefix: Path, shortest: float) -> mdtraj.Trajectory | None:
    """Read a run with its clock at 0; None if it is missing or too short (ps)."""
    run = load_run(prefix)
    if run is None:
        return None
    # The first frame is one interval after the start.
    run.time -= 2 * run.time[0] - run.time[1]
    if run.time[-1] < shortest:
        print(f"{prefix.parent}: {run.time[-1]:.1f} ps are too short, left out")
        return None
    return run


def _structure(teacher: mdtraj.Trajectory, ours: dict) -> dict:
    settled = teacher[teacher.time >= SETTLED]
    half = len(settled) // 2
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    results: dict = {}

    def curves(trajectory: mdtraj.Trajectory) -> dict:
        r, g = rdf(trajectory, "all", "all", r_max=R_MAX, bin_width=BIN)
        curves = {"g(r)": (10 * r, g)}
        for label, selections in ANGLES.items():
            angles = angle_distribution(
                trajectory, *selections, SHELL, n_bins=ANGLE_BINS
            )
            curves[label] = (angles.angle, angles.density)
        return curves

    reference, unseen = curves(settled), curves(teacher[teacher.time >= UNSEEN])
    # The difference of the teacher's two halves, for scale; below, likewise, that of
    # one run from the mean of the others, a glass from other glasses.
    first, second = curves(settled[:half]), curves(settled[half:])
    results["teacher, first half against second"] = {
        label: _rounded(difference(x, first[label][1], second[label][1]))
        for label, (x, _) in reference.items()
    }
    for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
        ax.plot(x, y, color="0.5", lw=2.5, label="teacher")
        ax.set_title(label, fontsize=10)
    for name, runs in ours.items():
        aged = [curves(run[run.time >= DROPPED]) for run in runs]
        young = [curves(_at_age_of(settled, run)) for run in runs]
        results[name] = {"runs": len(runs)}
        for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
            each = np.array([run[label][1] for run in aged])
            mean = each.mean(0)
            others = [np.delete(each, k, 0).mean(0) for k in range(len(each))]
            same_age = np.mean([run[label][1] for run in young], axis=0)
            results[name][label] = _rounded(difference(x, mean, y)) | {
                "relative_at_the_teachers_age": round(
                    difference(x, same_age, y)["relative"], 4
                ),
                "relative_to_unseen_frames": round(
                    difference(x, mean, unseen[label][1])["relative"], 4
                ),
                "relative_of_one_run_to_the_others": round(
                    np.mean(
                        [
                            difference(x, one, rest)["relative"]
                            for one, rest in zip(each, others, strict=True)
                        ]
                    ),
                    4,
                ),
            }
            text = f"Allegro, {name}, {len(runs)} runs"
            spread = each.std(0, ddof=1)
            draw_band(ax, x, mean, spread, color=COLORS[name], label=text)
    axes[0].set(xlabel="r (Å)", ylabel="g(r), all atoms", xlim=(1, 10 * R_MAX))
    for ax, limits in zip(axes[1:], ((85, 135), (25, 52)), strict=True):
        ax.set(xlabel="angle (degrees)", ylabel="density (1/degree)", xlim=limits)
    for ax in axes:
        ax.set_ylim(0, None)
    axes[0].legend(frameon=False)
    figure.suptitle(
        "Li3PO4 at 600 K; bands: spread of the runs; angles of atoms within 2.5 Å",
        fontsize=10,
    )
    figure.savefig(HERE / "structure.png", dpi=170)
    return results


def _motion(teacher: mdtraj.Trajectory, ours: dict) -> dict:
    """Compare displacements at the teacher's age, and those of the aged glass."""
    settled = teacher[teacher.time >= SETTLED]
    longest = round((settled.time[-1] - settled.time[0]) / 2, 1)
    times, msd, _ = run_msd(settled, "element Li", longest, blocks=1)
    teacher_error = _scatter_of_atoms(settled, len(times) - 1)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    low, high = msd - teacher_error, msd + teacher_error
    left.fill_between(times, low, high, color="0.85", lw=0)
    left.plot(times, msd, color="0.4", lw=2, label="teacher, one trajectory")
    results: dict = {}
    top = float(msd[-1])
    for name, runs in ours.items():
        results[name] = {}
        text = f"Allegro, {name}, {len(runs)} runs"
        young = [
            run_msd(_at_age_of(settled, run), "element Li", longest, 1)[:2]
            for run in runs
        ]
        lag, mean, error, spread = _over_runs(young)
        for wanted in (longest / 2, longest):
            k = int(np.argmin(abs(lag - wanted)))
            theirs = float(np.interp(lag[k], times, msd))
            their_error = float(np.interp(lag[k], times, teacher_error))
            ratio = float(mean[k]) / theirs
            both = np.hypot(error[k] / mean[k], their_error / theirs)
            results[name][f"MSD at {lag[k]:.2f} ps, at the teacher's age"] = {
                "ours_A2": round(float(mean[k]), 3),
                "teacher_A2": round(theirs, 3),
                "teacher_error": round(their_error, 3),
                "ratio": round(ratio, 3),
                "error": round(float(ratio * both), 3),
                "spread_of_runs": round(float(spread[k]) / theirs, 3),
            }
        draw_band(left, lag, mean, spread, color=COLORS[name], label=text)
        top = max(top, float((mean + spread)[-1]))
        old = [run[run.time >= DROPPED] for run in runs]
        lag, mean, error, spread = _over_runs(
            [run_msd(run, "element Li", LONGEST, 1)[:2] for run in old]
        )
        draw_band(right, lag, mean, spread, color=COLORS[name], label=text)
        values = [diffusion(run, "element Li").coefficient * 1e5 for run in old]
        results[name]["D_1e-5_cm2_s, from 10 ps on"] = [
            round(float(number), 4) for number in block_mean(values)
        ]
    left.set(xlim=(0, longest), ylim=(0, 1.2 * top))
    right.set(xlim=(0, LONGEST), ylim=(0, None))
    left.set_title("600 K, at the teacher's age; grey: scatter of its Li", fontsize=10)
    right.set_title("600 K, from 10 ps on; coloured: spread of the runs", fontsize=10)
    for ax in (left, right):
        ax.set(xlabel="lag (ps)", ylabel="mean square displacement of Li (Å²)")
        ax.legend(frameon=False, loc="upper left")
    figure.savefig(HERE / "msd.png", dpi=170)
    return results


def _memory(teacher: mdtraj.Trajectory, ours: dict) -> dict:
    """Measure how much of the crystal is left at the ends of the runs."""
    sites = mdtraj.load(CRYSTAL)
    last = {"teacher": [teacher[-1]]}
    last |= {name: [run[-1] for run in runs] for name, runs in ours.items()}
    last["at random"] = _scattered(sites)
    results: dict = {}
    for name, frames in last.items():
        rows = [on_sites(frame, sites) for frame in frames]
        results[name] = {}
        for element in rows[0]:
            rms, part = np.mean([row[element] for row in rows], axis=0)
            results[name][element] = {
                "rms_A": round(float(rms), 2),
                f"part_within_{NEAR:g}_A": round(float(part), 3),
            }
    return results


def _scattered(sites: mdtraj.Trajectory) -> list[mdtraj.Trajectory]:
    """Make 20 frames of atoms at random places."""
    random = np.random.default_rng(0)
    shape = (20, sites.n_atoms, 3)
    box = np.repeat(sites.unitcell_lengths, 20, axis=0)
    angles = np.full_like(box, 90.0)
    placed = random.random(shape) * box[0]
    frames = mdtraj.Trajectory(
        placed, sites.topology, unitcell_lengths=box, unitcell_angles=angles
    )
    return list(frames)


def on_sites(
    frame: mdtraj.Trajectory, crystal: mdtraj.Trajectory
) -> dict[str, tuple[float, float]]:
    """Measure the distances of each element's atoms from the crystal's sites.

    Each atom is assigned to one site. A common shift of all atoms is taken out, that of
    P on average: near the offset of one P atom from some site, whichever leaves the
    least distance.

    Parameters
    ----------
    frame, crystal : mdtraj.Trajectory
        Of one frame each, in equal orthorhombic boxes.

    Returns
    -------
    dict of element to (rms in Å, part of the atoms within ``NEAR``)
    """
    edges = 10 * crystal.unitcell_lengths[0]
    offsets = {}  # of each atom from each site
    for element in ("P", "O", "Li"):
        atoms, sites = (
            10 * one.xyz[0, one.topology.select(f"element {element}")]
            for one in (frame, crystal)
        )
        offsets[element] = atoms[:, None] - sites

    def shifted(element: str, shift: np.ndarray) -> np.ndarray:
        vectors = offsets[element] - shift
        return vectors - edges * np.round(vectors / edges)

    best = np.inf
    for start in (np.zeros(3), *shifted("P", np.zeros(3))[0]):
        shift = start
        for _ in range(5):  # until the sites are those of the shifted atoms
            vectors = shifted("P", shift)
            pairs = linear_sum_assignment((vectors**2).sum(-1))
            shift = shift + vectors[pairs].mean(0)
        total = (shifted("P", shift)[pairs] ** 2).sum()
        if total < best:
            best, best_shift = total, shift
    distances = {}
    for element in offsets:
        square = (shifted(element, best_shift) ** 2).sum(-1)
        square = square[linear_sum_assignment(square)]
        near = float((square < NEAR**2).mean())
        distances[element] = float(np.sqrt(square.mean())), near
    return distances


def _at_age_of(teacher: mdtraj.Trajectory, run: mdtraj.Trajectory) -> mdtraj.Trajectory:
    """Select the frames of a run that are as old after the quench as the teacher's."""
    return run[(run.time >= teacher.time[0]) & (run.time <= teacher.time[-1])]


def _scatter_of_atoms(trajectory: mdtraj.Trajectory, longest: int) -> np.ndarray:
    """Estimate the standard error of the MSD (Å²) as if Li were independent."""
    paths = follow(trajectory, "element Li", reference="all").positions
    curves = [
        100 * mean_square_displacement(paths[:, [k]], max_lag=longest)[1]
        for k in range(paths.shape[1])
    ]
    return np.std(curves, axis=0, ddof=1) / np.sqrt(len(curves))


def _over_runs(runs: list) -> tuple:
    """Find lags, mean, its error and the spread of (lags, msd) of several runs."""
    curves = np.array([msd for _, msd in runs])
    mean, error = block_mean(curves)
    return runs[0][0], mean, error, curves.std(0, ddof=1)


def _rounded(values: dict) -> dict:
    return {key: round(value, 4) for key, value in values.items()}


if __name__ == "__main__":
    main()
