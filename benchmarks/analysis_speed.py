# SPDX-License-Identifier: MIT
"""Time and memory of g(r) and of the MSD against mdtraj's and a plain script's.

5,000 atoms × 5,000 frames of a random walk in a cube of 3.7 nm, read from a DCD file.
Each run is a process of its own, and the rivals take turns; seconds are of CPU time,
over all threads. mdtraj's compute_rdf is
called chunk by chunk too: on the whole trajectory its distances would not fit. Prints a
table and writes results/analysis_speed.json beside this file.

python benchmarks/analysis_speed.py [ions] [all] [msd] [--atoms 5000] [--frames 5000]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mdtraj
import numpy as np
from hardware import hardware

from openmm_allegro.analysis import follow, mean_square_displacement, rdf

IONS = 100
SLOW = 50  # frames of the g(r) of all atoms, which takes mdtraj 12.5 million pairs
CHUNK = 50


def stream(path, frames=None):
    """Chunks of the file, of its first `frames` frames."""
    top, read = str(path.with_suffix(".pdb")), 0
    for chunk in mdtraj.iterload(str(path), top=top, chunk=CHUNK):
        if frames is not None and read >= frames:
            return
        read += chunk.n_frames
        yield chunk


def mdtraj_rdf(path, pairs, frames=None):
    """compute_rdf of chunks, averaged; in a constant cell that is the whole's."""
    total, n = 0.0, 0
    for chunk in stream(path, frames):
        # Ten million distances at a time.
        step = max(1, 10_000_000 // len(pairs))
        for i in range(0, chunk.n_frames, step):
            part = chunk[i : i + step]
            r, g = mdtraj.compute_rdf(part, pairs, r_range=(0, 1.0), n_bins=200)
            total, n = total + g * part.n_frames, n + part.n_frames
    return r, total / n


def plain_msd(path):
    """Compute the MSD as many scripts do: in memory, a Fourier transform per atom."""
    trajectory = mdtraj.load(str(path), top=str(path.with_suffix(".pdb")))
    lengths = trajectory.unitcell_lengths[:, None]
    steps = np.diff(trajectory.xyz, axis=0)
    steps -= lengths[1:] * np.round(steps / lengths[1:])
    start = trajectory.xyz[:1]
    positions = np.concatenate([start, start + np.cumsum(steps, axis=0)])
    n = len(positions)
    msd = np.zeros(n)
    for i in range(positions.shape[1]):
        path = positions[:, i].astype(float)
        square = np.append(0.0, np.cumsum(np.sum(path**2, axis=1)))
        correlation = np.zeros(n)
        for x in range(3):
            spectrum = np.fft.fft(path[:, x], n=2 * n)
            correlation += np.fft.ifft(spectrum * spectrum.conjugate())[:n].real
        lags = np.arange(n)
        sums = square[-1] - square[lags] + square[n - lags]
        msd += (sums - 2 * correlation) / (n - lags)
    return np.arange(n), msd / positions.shape[1]


def ours_msd(path):
    paths = follow(stream(path), "all", reference=None, time_step=1.0)
    return mean_square_displacement(paths.positions)


def pairs_of_ions(path):
    atoms = mdtraj.load(str(path.with_suffix(".pdb"))).n_atoms
    grid = np.meshgrid(np.arange(IONS), np.arange(IONS, atoms // 3), indexing="ij")
    return np.stack(grid, -1).reshape(-1, 2)


def all_pairs(path):
    atoms = mdtraj.load(str(path.with_suffix(".pdb"))).n_atoms
    return np.stack(np.triu_indices(atoms, 1), axis=1).astype(np.int32)


def ours_rdf(path, selection_a, selection_b, frames=None):
    return rdf(stream(path, frames), selection_a, selection_b, r_max=1.0)


# g(r) of a hundred ions and a third of the atoms; g(r) of all atoms, of the first
# frames alone; MSD of all atoms.
RUNS = {
    "ions": {
        "ours": lambda path: ours_rdf(path, "element Na", "element O"),
        "rival": lambda path: mdtraj_rdf(path, pairs_of_ions(path)),
    },
    "all": {
        "ours": lambda path: ours_rdf(path, "all", "all", SLOW),
        "rival": lambda path: mdtraj_rdf(path, all_pairs(path), SLOW),
    },
    "msd": {"ours": ours_msd, "rival": plain_msd},
}


def write_walk(path, atoms, frames):
    """A wrapped random walk as DCD, and its first frame as PDB."""
    rng = np.random.default_rng(0)
    length = 3.7 * (atoms / 5000) ** (1 / 3)
    topology, chain = mdtraj.Topology(), None
    chain = topology.add_chain()
    for i in range(atoms):
        symbol = "Na" if i < IONS else "O" if i < atoms // 3 else "H"
        element = mdtraj.element.get_by_symbol(symbol)
        topology.add_atom(symbol, element, topology.add_residue(symbol, chain))
    xyz = np.empty((frames, atoms, 3), dtype=np.float32)
    xyz[0] = rng.random((atoms, 3)) * length
    for i in range(1, frames):
        xyz[i] = (xyz[i - 1] + rng.normal(0, 0.02, (atoms, 3))) % length
    trajectory = mdtraj.Trajectory(
        xyz,
        topology,
        unitcell_lengths=np.full((frames, 3), length),
        unitcell_angles=np.full((frames, 3), 90.0),
    )
    trajectory.save_dcd(str(path))
    trajectory[0].save_pdb(str(path.with_suffix(".pdb")))


def measure(name, side, path):
    """CPU seconds, peak memory in MB and curve of a run in a process of its own."""
    command = [sys.executable, __file__, "--run", name, side, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # The reader of DCD files prints too.
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[0])


def memory(key):
    """VmRSS or VmHWM in MB; getrusage would count what the parent held."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def run_one(name, side, path):
    # What the imports hold is no part of it.
    before, begun = memory("VmRSS"), time.process_time()
    _, curve = RUNS[name][side](Path(path))
    seconds = time.process_time() - begun
    peak = memory("VmHWM") - before
    sample = np.asarray(curve)[:200].tolist()
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "curve": sample}))


def main(options):
    stored = options.results
    results = json.loads(stored.read_text())["results"] if stored.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walk.dcd"
        write_walk(path, options.atoms, options.frames)
        for name in options.runs or RUNS:
            found = {"ours": [], "rival": []}
            for _ in range(options.repeats):
                for side in found:
                    found[side].append(measure(name, side, path))
            curves = [np.array(found[side][0].pop("curve")) for side in found]
            row = {
                side: {
                    key: statistics.median(run[key] for run in runs)
                    for key in ("seconds", "peak_mb")
                }
                for side, runs in found.items()
            }
            row["ratio"] = row["rival"]["seconds"] / row["ours"]["seconds"]
            row["largest_difference"] = float(np.abs(curves[0] - curves[1]).max())
            results[name] = row
            print(
                f"{name}: ours {row['ours']['seconds']:.1f} s, "
                f"{row['ours']['peak_mb']:.0f} MB; rival {row['rival']['seconds']:.1f} "
                f"s, {row['rival']['peak_mb']:.0f} MB; ratio {row['ratio']:.2f}; "
                f"curves differ by {row['largest_difference']:.2g}",
                flush=True,
            )
            row |= {"atoms": options.atoms, "repeats": options.repeats}
            row["frames"] = (
                min(SLOW, options.frames) if name == "all" else options.frames
            )
    output = {"hardware": hardware(1), "results": results}
    stored.write_text(json.dumps(output, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--atoms", type=int, default=5000)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results" / "analysis_speed.json",
    )
    options = parser.parse_args()
    if options.run:
        run_one(*options.run)
    else:
        main(options)
