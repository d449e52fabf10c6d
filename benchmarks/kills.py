# SPDX-License-Identifier: MIT
"""Kill a protocol at random moments until it is complete, and check its files.

A protocol of a capped alanine alone in a periodic box (minimise, heat, NVT, NVE with
velocities, NPT) runs with our force in a process that is killed by SIGKILL after a
random time and started again with resume, until it is complete; then the next protocol
starts. After each kill every file must be readable. At each end every frame must be
present once, in order, and the stages before NPT must equal those of an undisturbed run
to the last bit (a resumed barostat starts anew, by design).
Writes results/kills.json beside this file.

python benchmarks/kills.py [--kills 120] [--longest 10] [--seed 1]
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import torch
from hardware import hardware
from mdtraj.formats import HDF5TrajectoryFile
from openmm import app
from tqdm import tqdm

from openmm_allegro import AllegroPotential
from openmm_allegro.runs.names import paths_of
from openmm_allegro.simulate.checkpoint import read_checkpoint
from openmm_allegro.simulate.protocol import Stage, run_protocol

FOLDER = Path(__file__).parents[1] / "systems" / "alanine_water"
STEPS, INTERVAL, VELOCITIES = 1000, 5, 4
COMMON = {"steps": STEPS, "report_interval": INTERVAL, "checkpoint_interval": 20}
STAGES = [
    Stage("minimise", minimize=True),
    Stage("heat", temperature_k=(100.0, 300.0), **COMMON),
    Stage("nvt", **COMMON),
    Stage("nve", ensemble="nve", velocity_interval=VELOCITIES, **COMMON),
    Stage("npt", ensemble="npt", barostat_interval=5, **COMMON),
]


def work(system: openmm.System, pdb: app.PDBFile, folder: Path) -> None:
    """Run the protocol, in the process that is to be killed."""
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        run_protocol(
            pdb.topology,
            pdb.positions,
            system,
            STAGES,
            folder,
            platform="CPU",
            threads=1,
            seed=3,
            resume=True,
            progress=False,
        )


def attempt(arguments: tuple, seconds: float | None) -> bool:
    """Run until the end or for some seconds; tell if it ended by itself."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, f"the run failed with exit code {process.exitcode}"
    return True


def killed_stage(folder: Path) -> str:
    """Name the stage that was killed, and tell if it had taken steps."""
    for number, stage in enumerate(STAGES, start=1):
        paths = paths_of(folder / f"{number}-{stage.name}")
        if not paths["record"].exists():
            return f"before {stage.name}"
        if not json.loads(paths["record"].read_text()).get("finished"):
            started = paths["checkpoint"].exists()
            return stage.name if started else f"start of {stage.name}"
    return "after the last stage"


def check_readable(folder: Path) -> None:
    """Check that every file can be read, but for those named as partial."""
    for path in folder.rglob("*"):
        if ".partial" in path.name or path.suffix in (".lock", ".parts"):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".chk":
            read_checkpoint(path)
        elif path.suffix == ".xml":
            openmm.XmlSerializer.deserialize(path.read_text())
        elif path.suffix == ".csv" and path.stat().st_size:
            np.genfromtxt(path, delimiter=",", skip_header=1)
        elif path.suffix == ".h5":
            with HDF5TrajectoryFile(str(path)) as file:
                file.read()
        elif path.suffix == ".xtc" and path.stat().st_size:
            mdtraj.load(path, top=str(path.with_suffix(".pdb")))


def check_whole(folder: Path, reference: Path) -> None:
    """Check that all frames are present once, with the bits of an undisturbed run."""
    for number, stage in enumerate(STAGES[1:], start=2):
        name = f"{number}-{stage.name}"
        paths, others = paths_of(folder / name), paths_of(reference / name)
        steps = np.arange(INTERVAL, STEPS + 1, INTERVAL)
        table = np.genfromtxt(paths["energies"], delimiter=",", skip_header=1)
        assert (table[:, 0] == steps).all(), f"{name}: lines of energies"
        times = mdtraj.load(paths["trajectory"], top=str(paths["topology"])).time
        assert np.allclose(times, steps * 5e-4), f"{name}: frames"
        if stage.velocity_interval:
            with HDF5TrajectoryFile(str(paths["velocities"])) as file:
                frames = file.read()
            expected = np.arange(VELOCITIES, STEPS + 1, VELOCITIES) * 5e-4
            assert np.allclose(frames.time, expected), f"{name}: velocities"
        if stage.ensemble != "npt":
            for kind in ("trajectory", "state"):
                same = paths[kind].read_bytes() == others[kind].read_bytes()
                assert same, f"{name}: other bits in {kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=120, help="least number")
    parser.add_argument("--longest", type=float, default=10.0, help="s until a kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results"
    )
    options = parser.parse_args()
    draw = random.Random(options.seed)
    pdb = app.PDBFile(str(FOLDER / "solute.pdb"))
    pdb.topology.setUnitCellDimensions((3, 3, 3))
    potential = AllegroPotential(FOLDER / "alanine.safetensors")
    system = potential.create_system(pdb.topology)
    counts: collections.Counter[str] = collections.Counter()
    ended, started = 0, time.monotonic()
    with (
        tempfile.TemporaryDirectory() as temporary,
        tqdm(total=options.kills, unit="kill", mininterval=10) as bar,
    ):
        reference = Path(temporary) / "reference"
        attempt((system, pdb, reference), None)
        check_whole(reference, reference)
        while sum(counts.values()) < options.kills:
            folder = Path(temporary) / "killed"
            while not attempt(
                (system, pdb, folder), draw.uniform(0.0, options.longest)
            ):
                counts[killed_stage(folder)] += 1
                bar.update()
                check_readable(folder)
            check_whole(folder, reference)
            shutil.rmtree(folder)
            ended += 1
    result = {
        "hardware": hardware(1),
        "seed": options.seed,
        "longest_s": options.longest,
        "kills": sum(counts.values()),
        "kills_by_moment": dict(counts.most_common()),
        "protocols_ended": ended,
        "unreadable_files": 0,  # each check above ends the script
        "missing_or_repeated_frames": 0,
        "stages_with_other_bits": 0,
        "wall_s": round(time.monotonic() - started),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "kills.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{'killed':24s}{'times':>6s}")
    for moment, count in counts.most_common():
        print(f"{moment:24s}{count:6d}")
    print(f"{sum(counts.values())} kills, {ended} protocols completed")


if __name__ == "__main__":
    main()
