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
from solids import difference, run_msd, topology_of  # noqa: E402

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
UNSEEN = 3.2  # ps, from which no model was trained on the teacher's frames
NEAR = 1.0  # Å, of a site of the crystal
SETTLED = 1.0  # ps after the quench, from which the teacher's frames are compared
DROPPED = 10.0  # ps of each of our runs, as in the paper
LONGEST = 20.0  # ps, of the displacements of the aged glass
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
    """NVT runs; their clocks start at the quench, as the teacher's does."""
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
    """A run whose clock starts with it; None if there is none, or less (ps)."""
    if not prefix.with_suffix(".xtc").exists():
        return None
    run = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
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
        found = rdf(trajectory, "all", "all", r_max=R_MAX, bin_width=BIN)
        curves = {"g(r)": (10 * found.r, found.g)}
        for label, selections in ANGLES.items():
            angles = angle_distribution(
                trajectory, *selections, SHELL, n_bins=ANGLE_BINS
            )
            curves[label] = (angles.angle, angles.density)
        return curves

    reference, unseen = curves(settled), curves(teacher[teacher.time >= UNSEEN])
    # How far the teacher is from itself, half of its frames against the other; and
    # below how far one run is from the mean of the others, a glass from other glasses
    first, second = curves(settled[:half]), curves(settled[half:])
    results["teacher, first half against second"] = {
        label: _rounded(difference(x, first[label][1], second[label][1]))
        for label, (x, _) in reference.items()
    }
    for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
        ax.plot(x, y, color="0.5", lw=2.5, label="teacher")
        ax.set_title(label, fontsize=10)
    for name, runs in ours.items():
        of_runs = [curves(run[run.time >= DROPPED]) for run in runs]
        young = [curves(_at_age_of(settled, run)) for run in runs]
        results[name] = {"runs": len(runs)}
        for ax, (label, (x, y)) in zip(axes, reference.items(), strict=True):
            each = np.array([found[label][1] for found in of_runs])
            mean = each.mean(0)
            others = [np.delete(each, k, 0).mean(0) for k in range(len(each))]
            as_old = np.mean([found[label][1] for found in young], axis=0)
            results[name][label] = _rounded(difference(x, mean, y)) | {
                "relative_at_the_teachers_age": round(
                    difference(x, as_old, y)["relative"], 4
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
            spread = each.std(0, ddof=1)
            ax.fill_between(
                x, mean - spread, mean + spread, color=COLORS[name], alpha=0.25, lw=0
            )
            ax.plot(
                x,
                mean,
                color=COLORS[name],
                lw=1.2,
                label=f"Allegro, {name}, {len(runs)} runs",
            )
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
    """Displacements over the teacher's length at its age, and of the aged glass."""
    settled = teacher[teacher.time >= SETTLED]
    longest = round((settled.time[-1] - settled.time[0]) / 2, 1)
    times, msd, _ = run_msd(settled, "element Li", longest, blocks=1)
    theirs_error = _scatter_of_atoms(settled, len(times) - 1)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.fill_between(times, msd - theirs_error, msd + theirs_error, color="0.85", lw=0)
    left.plot(times, msd, color="0.4", lw=2, label="teacher, one trajectory")
    results: dict = {}
    top = float(msd[-1])
    for name, runs in ours.items():
        results[name] = {}
        young = [
            run_msd(_at_age_of(settled, run), "element Li", longest, 1)[:2]
            for run in runs
        ]
        lag, mean, error, spread = _over_runs(young)
        for wanted in (longest / 2, longest):
            k = int(np.argmin(abs(lag - wanted)))
            theirs = float(np.interp(lag[k], times, msd))
            of_theirs = float(np.interp(lag[k], times, theirs_error))
            ratio = float(mean[k]) / theirs
            both = np.hypot(error[k] / mean[k], of_theirs / theirs)
            results[name][f"MSD at {lag[k]:.2f} ps, at the teacher's age"] = {
                "ours_A2": round(float(mean[k]), 3),
                "teacher_A2": round(theirs, 3),
                "teacher_error": round(of_theirs, 3),
                "ratio": round(ratio, 3),
                "error": round(float(ratio * both), 3),
                "spread_of_runs": round(float(spread[k]) / theirs, 3),
            }
        _draw(left, f"{name}, {len(runs)} runs", COLORS[name], lag, mean, spread)
        top = max(top, float((mean + spread)[-1]))
        old = [run[run.time >= DROPPED] for run in runs]
        found = [run_msd(run, "element Li", LONGEST, 1)[:2] for run in old]
        lag, mean, error, spread = _over_runs(found)
        _draw(right, f"{name}, {len(runs)} runs", COLORS[name], lag, mean, spread)
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
    """What of the glass is where it was in the crystal, at the ends of the runs."""
    sites = mdtraj.load(CRYSTAL)
    last = {"teacher": [teacher[-1]]}
    last |= {name: [run[-1] for run in runs] for name, runs in ours.items()}
    last["at random"] = _scattered(sites)
    found = {}
    for name, frames in last.items():
        of_frames = [on_sites(frame, sites) for frame in frames]
        found[name] = {}
        for element in of_frames[0]:
            rms, part = np.mean([row[element] for row in of_frames], axis=0)
            found[name][element] = {
                "rms_A": round(float(rms), 2),
                f"part_within_{NEAR:g}_A": round(float(part), 3),
            }
    return found


def _scattered(sites: mdtraj.Trajectory) -> list[mdtraj.Trajectory]:
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
    """Distance of each element's atoms from the crystal's sites, each with one.

    The atoms may have moved together, as those of P have on average: by about the
    offset of one of them from some site, whichever leaves the least distance.

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
            10 * of.xyz[0, of.topology.select(f"element {element}")]
            for of in (frame, crystal)
        )
        offsets[element] = atoms[:, None] - sites

    def after(element: str, shift: np.ndarray) -> np.ndarray:
        found = offsets[element] - shift
        return found - edges * np.round(found / edges)

    best = np.inf
    for start in (np.zeros(3), *after("P", np.zeros(3))[0]):
        shift = start
        for _ in range(5):  # until the sites are those of the moved atoms
            moved = after("P", shift)
            pairs = linear_sum_assignment((moved**2).sum(-1))
            shift = shift + moved[pairs].mean(0)
        left = (after("P", shift)[pairs] ** 2).sum()
        if left < best:
            best, best_shift = left, shift
    found = {}
    for element in offsets:
        square = (after(element, best_shift) ** 2).sum(-1)
        square = square[linear_sum_assignment(square)]
        found[element] = float(np.sqrt(square.mean())), float((square < NEAR**2).mean())
    return found


def _at_age_of(teacher: mdtraj.Trajectory, run: mdtraj.Trajectory) -> mdtraj.Trajectory:
    """Frames of a run that are as long after the quench as the teacher's."""
    return run[(run.time >= teacher.time[0]) & (run.time <= teacher.time[-1])]


def _scatter_of_atoms(trajectory: mdtraj.Trajectory, longest: int) -> np.ndarray:
    """Standard error of the MSD (Å²) from the scatter over Li, as if independent."""
    paths = follow(trajectory, "element Li", reference="all").positions
    of_atoms = [
        100 * mean_square_displacement(paths[:, [k]], max_lag=longest)[1]
        for k in range(paths.shape[1])
    ]
    return np.std(of_atoms, axis=0, ddof=1) / np.sqrt(len(of_atoms))


def _over_runs(found: list) -> tuple:
    """Lags, mean, its error and the spread of (lags, msd) of several runs."""
    curves = np.array([msd for _, msd in found])
    mean, error = block_mean(curves)
    return found[0][0], mean, error, curves.std(0, ddof=1)


def _draw(ax, name: str, color: str, lag, mean, spread) -> None:
    ax.fill_between(lag, mean - spread, mean + spread, color=color, alpha=0.2, lw=0)
    ax.plot(lag, mean, color=color, label=f"Allegro, {name}")


def _rounded(found: dict) -> dict:
    return {key: round(value, 4) for key, value in found.items()}


if __name__ == "__main__":
    main()
