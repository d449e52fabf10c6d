# SPDX-License-Identifier: MIT
"""Compare estimators of D and of its error: 68 % of intervals should hold the truth.

- kinisi, by its own interface and with its own covariance;
- its regression with the covariance of Brownian motion;
- the best linear unbiased line, with the error of Brownian motion;
- `analysis.diffusion`: the same line, with an error from blocks of time.

On walks of known D, and on trajectories, whose pieces stand for repeats and their mean
for the truth. kinisi is not among the package's requirements (pip install kinisi);
without it, its rows are left out. Prints a table and writes
results/diffusion_estimators.json beside this file; what is not run again is kept.

python benchmarks/diffusion_estimators.py [--seeds 400] [--no-walks]
    [--trajectory NAME FILE.xtc[,FILE.xtc] TOPOLOGY.pdb SELECTION START_PS PIECE_PS]
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import mdtraj
import numpy as np
from hardware import hardware

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from analysis_helpers import langevin, make_trajectory, random_walk, two_states

from openmm_allegro.analysis import diffusion, follow, mean_square_displacement
from openmm_allegro.analysis.dynamics.linear import (
    brownian_covariance,
    linear_start,
    slope_weights,
)

BOX = 1000.0  # nm; nothing is wrapped
MOST = 200  # frames that kinisi is given: its time grows with their cube
GROUP = 12  # atoms of a group of a real trajectory


class Case(NamedTuple):
    """Paths of known D.

    Attributes
    ----------
    paths : list of (n_frames, n_atoms, 3) arrays
        In nm.
    truth : float
        D in cm²/s.
    time_step : float
        In ps.
    start : float
        Lag time in ps from which motion is diffusive, which kinisi must be told.
    """

    paths: list
    truth: float
    time_step: float
    start: float


def hopping(rng, n_frames, n_atoms, rate, jump=0.35, rattle=0.05):
    """Atoms that rattle in a cage, and hop `rate` times a frame in any direction."""
    moves = np.zeros((n_frames, n_atoms, 3))
    hops = rng.poisson(rate, moves.shape[:2])
    for k in range(hops.max()):
        arms = rng.normal(size=moves.shape)
        arms *= jump / np.linalg.norm(arms, axis=-1, keepdims=True)
        moves += np.where(hops > k, 1, 0)[..., None] * arms
    return np.cumsum(moves, axis=0) + rattle * rng.normal(size=moves.shape)


def in_pairs(rng, n_frames, n_atoms):
    """Atoms of which each two share four fifths of their motion."""
    shared = np.tile(random_walk(n_frames, n_atoms // 2, 8e-4, rng), (1, 2, 1))
    return shared + random_walk(n_frames, n_atoms, 2e-4, rng)


def two_mobilities(rng, n_frames, n_atoms):
    """Atoms that are at rest half of the time, for 50 frames on average."""
    moving = two_states(n_frames, n_atoms, 0.02, 0.02, rng)
    steps = rng.normal(size=(n_frames, n_atoms, 3)) * np.sqrt(4e-3 * moving)[..., None]
    return np.cumsum(steps, axis=0)


# Paths of a seed's generator, D in cm²/s, and where they are diffusive, in frames.
WALKS = {
    "walk, 40 atoms": (lambda rng: random_walk(200, 40, 1e-3, rng), 1e-5, 1),
    "walk, 2 atoms": (lambda rng: random_walk(200, 2, 1e-3, rng), 1e-5, 1),
    "ballistic for 4 frames, 40 atoms": (
        lambda rng: langevin(200, 40, 1e-3, 4.0, 1.0, rng)[0],
        1e-5,
        16,
    ),
    "0.02 hops a frame, 24 atoms": (
        lambda rng: hopping(rng, 200, 24, 0.02),
        0.02 * 0.35**2 / 6 * 1e-2,
        1,
    ),
    "0.02 hops a frame, 4 atoms": (
        lambda rng: hopping(rng, 200, 4, 0.02),
        0.02 * 0.35**2 / 6 * 1e-2,
        1,
    ),
    "two mobilities, 24 atoms": (lambda rng: two_mobilities(rng, 200, 24), 1e-5, 1),
    "in pairs, 40 atoms": (lambda rng: in_pairs(rng, 200, 40), 1e-5, 1),
}


def kinisi(paths, time_step, start, seed):
    """Mean and deviation in cm²/s of kinisi's posterior of D, from all lags."""
    import ase
    import scipp
    from kinisi.analyze import DiffusionAnalyzer

    frames = [
        ase.Atoms(f"Li{len(x)}", 10 * (x + BOX / 2), cell=[10 * BOX] * 3, pbc=True)
        for x in paths
    ]
    analyzer = DiffusionAnalyzer.from_ase(
        frames,
        "Li",
        time_step=scipp.scalar(time_step, unit="ps"),
        step_skip=scipp.scalar(1),
        progress=False,
    )
    analyzer.diffusion(
        scipp.scalar(start * (1 - 1e-6), unit="ps"),
        progress=False,
        random_state=np.random.RandomState(seed),
    )
    return analyzer.D.values.mean(), analyzer.D.values.std(ddof=1)


def brownian_kinisi(paths, time_step, _start, seed):
    """kinisi's regression with the Brownian covariance, from where motion diffuses."""
    import scipp
    from kinisi.diffusion import Diffusion

    lags, msd, (n_frames, n_atoms, _) = *_displacements(paths), paths.shape
    weights, _ = slope_weights(lags, n_frames)
    covariance = brownian_covariance(lags, n_frames) * (weights @ msd) ** 2 / n_atoms
    intervals = scipp.array(dims=["time interval"], values=lags * time_step, unit="ps")
    variances = np.diag(covariance).copy()
    data = scipp.DataArray(
        scipp.array(
            dims=["time interval"], values=msd, variances=variances, unit="nm**2"
        ),
        coords={
            "time interval": intervals,
            "n_samples": scipp.array(
                dims=["time interval"], values=n_atoms * (n_frames - 1) / lags
            ),
        },
    )
    fit = Diffusion(scipp.DataGroup(da=data, dimensionality=scipp.scalar(3)))
    matrix = scipp.array(dims=["i", "j"], values=covariance, unit="nm**4")
    fit.compute_covariance_matrix = lambda: matrix
    fit.bayesian_regression(
        start_dt=intervals[0],
        progress=False,
        n_walkers=16,
        n_samples=1000,
        n_burn=1000,
        random_state=np.random.RandomState(seed),
    )
    coefficients = fit.gradient.values / 600
    return coefficients.mean(), coefficients.std(ddof=1)


def brownian_line(paths, time_step, _start, _seed):
    """Best linear unbiased slope, and its error if the motion is Brownian."""
    lags, msd, (n_frames, n_atoms, _) = *_displacements(paths), paths.shape
    weights, error = slope_weights(lags, n_frames)
    value = weights @ msd / (600 * time_step)
    return value, abs(value) * error / np.sqrt(n_atoms)


def blocks(paths, time_step, _start, _seed):
    """`analysis.diffusion`."""
    cell = BOX * np.eye(3)
    trajectory = make_trajectory(paths, cell, ["Li"] * paths.shape[1])
    return diffusion(trajectory, "all", remove_drift=False, time_step=time_step)[:2]


ESTIMATORS = {
    "kinisi": kinisi,
    "kinisi, Brownian": brownian_kinisi,
    "line, Brownian": brownian_line,
    "line, blocks": blocks,
}


def _displacements(paths):
    """Lags and MSD of the diffusive part, as `diffusion` has them by default."""
    n_frames, n_atoms, _ = paths.shape
    last = max(n_frames // 5, min(10, n_frames // 2))
    lags = np.unique(np.linspace(1, last, min(last, 100)).round().astype(int))
    msd = mean_square_displacement(paths, max_lag=last)[1][lags]
    start = linear_start(lags, msd, n_frames, n_atoms)
    return lags[start:], msd[start:]


def walk_case(name, seeds):
    make, truth, start = WALKS[name]
    paths = [make(np.random.default_rng(seed)) for seed in range(seeds)]
    return Case(paths, truth, 1.0, float(start))


def read_paths(files, topology, selection):
    """Unwrapped paths of a selection in each file, and the interval of frames in ps."""
    found = [
        follow(mdtraj.load(file, top=topology), selection) for file in files.split(",")
    ]
    return [one.positions for one in found], found[0].time_step


def pieces_case(paths, interval, start, piece, group=None):
    """Pieces of `piece` ps, thinned, of all atoms or of groups of atoms.

    The truth is NaN: each estimator is held against the mean of its own repeats.
    """
    frames = round(piece / interval)
    stride = max(1, int(np.ceil(frames / MOST)))
    pieces = []
    for path in paths:
        groups = max(1, path.shape[1] // group) if group else 1
        for first in range(0, len(path) - frames + 1, frames):
            some = path[first : first + frames : stride]
            pieces += np.array_split(some, groups, axis=1)
    return Case(pieces, np.nan, interval * stride, start)


def compare_whole(paths, interval, start, piece):
    """Error of a whole trajectory by each estimator, and as its pieces scatter.

    The scatter of n pieces over the root of n is what the error of the whole should be,
    where pieces forget each other.
    """
    whole = pieces_case(paths, interval, start, min(map(len, paths)) * interval)
    parts = pieces_case(paths, interval, start, piece)
    values = [blocks(x, parts.time_step, start, 0)[0] for x in parts.paths]
    by_scatter = np.std(values, ddof=1) / np.sqrt(len(values))
    per_run = np.sqrt(len(whole.paths))
    rows = {"scatter of pieces": {"value": np.mean(values), "error": by_scatter}}
    for label, estimator in available().items():
        found = np.array([estimator(x, whole.time_step, start, 0) for x in whole.paths])
        error = np.sqrt(np.mean(found[:, 1] ** 2)) / per_run
        rows[label] = {"value": found[:, 0].mean(), "error": error}
    for label, row in rows.items():
        value, error = (1e5 * row[key] for key in ("value", "error"))
        print(f"    {label:<40}{value:14.4g} ± {error:.2g}", flush=True)
    return rows | {"pieces": len(values)}


def measure(case, estimator):
    """Coverage, errors, bias and seconds of an estimator over the repeats of a case."""
    begun = time.process_time()
    found = [
        estimator(paths, case.time_step, case.start, seed)
        for seed, paths in enumerate(case.paths)
    ]
    seconds = (time.process_time() - begun) / len(found)
    value, error = np.array(found).T
    repeats, scatter = len(value), value.std(ddof=1)
    if np.isnan(case.truth):
        # The mean follows each of the repeats that it is made of.
        outside = np.abs(value - value.mean()) / np.sqrt(1 - 1 / repeats)
    else:
        outside = np.abs(value - case.truth)
    coverage = np.mean(outside < error)
    return {
        "coverage": float(coverage),
        "uncertainty": float(np.sqrt(coverage * (1 - coverage) / repeats)),
        "error_over_scatter": float(np.sqrt(np.mean(error**2)) / scatter),
        "mean": float(value.mean()),
        "truth": None if np.isnan(case.truth) else case.truth,
        "bias_over_scatter": float((value.mean() - case.truth) / scatter),
        "scatter_over_mean": float(scatter / value.mean()),
        "seconds": seconds,
        "repeats": repeats,
    }


def available():
    """Estimators, without kinisi's where it is not installed."""
    if importlib.util.find_spec("kinisi"):
        return ESTIMATORS
    return {k: x for k, x in ESTIMATORS.items() if not k.startswith("kinisi")}


def compare(case, kinisi_seeds):
    """Print and return what each estimator makes of a case."""
    rows = {}
    for label, estimator in available().items():
        repeats = kinisi_seeds if label.startswith("kinisi") else None
        row = measure(case._replace(paths=case.paths[:repeats]), estimator)
        print(
            f"    {label:<40}{1e5 * row['mean']:14.4g}"
            f"{100 * row['coverage']:8.0f} ± {100 * row['uncertainty']:2.0f} %"
            f"{row['error_over_scatter']:15.2f}{row['bias_over_scatter']:14.2f}"
            f"{row['scatter_over_mean']:11.3f}{row['seconds']:10.4f}",
            flush=True,
        )
        rows[label] = row
    return rows


def main(options):
    stored = options.results
    results = json.loads(stored.read_text())["results"] if stored.exists() else {}

    def keep(name, rows):
        results[name] = rows
        output = {"hardware": hardware(1), "results": results}
        stored.write_text(json.dumps(output, indent=2).replace("NaN", "null") + "\n")

    print(
        f"{'':<44}{'D, 1e-5 cm²/s':>14}{'coverage':>15}{'error/scatter':>15}"
        f"{'bias/scatter':>14}{'scatter/D':>11}{'seconds':>10}"
    )
    for name in [] if options.no_walks else WALKS:
        print(name)
        keep(name, compare(walk_case(name, options.seeds), options.kinisi_seeds))
    for name, *files, start, piece in options.trajectory:
        paths, interval = read_paths(*files)
        start, piece = float(start), float(piece)
        case = pieces_case(paths, interval, start, piece, GROUP)
        label = f"{name}, {len(case.paths)} groups in pieces of {piece:g} ps"
        print(label)
        keep(label, compare(case, options.kinisi_seeds))
        length = sum(map(len, paths)) * interval
        label = f"{name}, {length:.0f} ps as a whole"
        print(label)
        keep(label, compare_whole(paths, interval, start, piece))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument(
        "--kinisi-seeds", type=int, default=40, help="kinisi takes a second each"
    )
    parser.add_argument("--no-walks", action="store_true", help="trajectories alone")
    parser.add_argument(
        "--trajectory",
        nargs=6,
        action="append",
        default=[],
        metavar=("NAME", "FILES", "TOPOLOGY", "SELECTION", "START_PS", "PIECE_PS"),
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results" / "diffusion_estimators.json",
    )
    main(parser.parse_args())
