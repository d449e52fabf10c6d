# SPDX-License-Identifier: MIT
"""Kill runs in LAMMPS at random moments, read what they leave, and continue them.

A protocol of a capped alanine alone in a periodic box (minimise and heat, NVE, NPT,
all with Nosé-Hoover chains or no thermostat, then Langevin) runs on two ranks. At a
random time every process of it is killed by SIGKILL, or mpirun alone, or mpirun is sent
SIGTERM. What is there is read by the functions of `analyze`, then continued by
`openmm-allegro lammps FOLDER --resume`, which is itself killed now and then, until the
protocol is complete; then the next one starts. While LAMMPS runs, --resume must refuse.

Each frame and line must be there once and in order, with its time, after every kill
and at each end. Frames up to the state that a run goes on from must be those that were
there before. Stages before the Langevin one are compared with those of an undisturbed
run. Writes results/lammps_kills.json beside this file.

python benchmarks/lammps_kills.py [--kills 40] [--seed 1] [--longest 20]
"""

import argparse
import collections
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hardware import hardware, version
from lammps_runs import descendants, program
from tqdm import tqdm
from training import commit

from openmm_allegro.lammps.plan import read_plan
from openmm_allegro.lammps.resume import resume
from openmm_allegro.runs.energies import energies_between
from openmm_allegro.runs.names import lammps_paths_of, paths_of
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

ROOT = Path(__file__).parents[1]
ALANINE = ROOT / "systems" / "alanine_water"
BOX = "CRYST1   30.000   30.000   30.000  90.00  90.00  90.00 P 1           1\n"
STEPS, INTERVAL, EVERY, TIMESTEP, RANKS = 600, 5, 50, 0.5, 2
PROTOCOL = f"""\
[system]
model = "{ALANINE / "alanine.safetensors"}"
topology = "box.pdb"
[run]
steps = {STEPS}
report_interval = {INTERVAL}
checkpoint_interval = {EVERY}
timestep_fs = {TIMESTEP}
minimize = false
[[stages]]
name = "heat"
minimize = true
integrator = "nose-hoover"
temperature_k = [100, 300]
[[stages]]
name = "nve"
ensemble = "nve"
[[stages]]
name = "npt"
ensemble = "npt"
integrator = "nose-hoover"
[[stages]]
name = "langevin"
"""
SAME = 3  # stages whose thermostats draw no random numbers
SIGNALS = ("SIGKILL to all", "SIGKILL to mpirun", "SIGTERM to mpirun")
_FORK = multiprocessing.get_context("fork")


class Contents(NamedTuple):
    """Readable contents of a stage.

    Attributes
    ----------
    frames, lines : (n,) array of int
        Their steps.
    positions : (n, atoms, 3) array
        In nm.
    table : dict of str to (n,) array
    """

    frames: np.ndarray
    lines: np.ndarray
    positions: np.ndarray
    table: dict


class Faults:
    """Kills at random moments, and counts of what was seen."""

    def __init__(self, seed: int, longest: float) -> None:
        self.draw = random.Random(seed)
        self.longest = longest
        self.moments: collections.Counter[str] = collections.Counter()
        self.counts: collections.Counter[str] = collections.Counter()
        self.differences = {"potential energy, kJ/mol": 0.0, "positions, nm": 0.0}

    def run(self, folder: Path, seconds: float | None = None) -> bool:
        """Let LAMMPS run to the end, or kill it; whether it ended by itself."""
        command = [program("mpirun"), "-np", str(RANKS), program("lmp")]
        command += ["-in", str(folder / "in.lammps"), "-log", "none"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                self._kill(process, folder)
                return False
        assert process.returncode == 0, output[-2000:]
        return True

    def _kill(self, process: subprocess.Popen, folder: Path) -> None:
        if self.draw.random() < 0.3:
            try:
                resume(folder)
            except RuntimeError:
                self.counts["--resume refused while LAMMPS ran"] += 1
            else:  # it has not opened a file yet
                self.counts["--resume before LAMMPS had begun"] += 1
        how = self.draw.choice(SIGNALS)
        number = signal.SIGTERM if "TERM" in how else signal.SIGKILL
        processes = [process.pid, *descendants(process.pid)]
        for pid in processes if how == "SIGKILL to all" else processes[:1]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        process.communicate()
        deadline = time.monotonic() + 60
        while any(map(_is_alive, processes)):
            assert time.monotonic() < deadline, f"still running after {how}"
            time.sleep(0.01)
        self.counts[how] += 1

    def resume(self, folder: Path) -> None:
        """Continue a run, after attempts to do so that are killed; check its files."""
        before = read(folder)
        while self.draw.random() < 0.5:
            attempt = _FORK.Process(target=resume, args=(folder,))
            attempt.start()
            attempt.join(self.draw.uniform(0.0, 0.2))
            if attempt.is_alive():
                os.kill(attempt.pid, signal.SIGKILL)
                self.counts["--resume killed"] += 1
            attempt.join()
            read(folder)
        resumed = resume(folder)
        after = read(folder)
        for number, (name, old) in enumerate(before.items()):
            new = after[name]
            assert not lammps_paths_of(folder / name)["part"].exists()
            step, frame = STEPS, STEPS
            if resumed.begin is not None and number >= resumed.begin.stage:
                own = number == resumed.begin.stage
                step = resumed.begin.step if own else 0
                frame = resumed.begin.last_frame if own else 0
                assert frame >= step - INTERVAL
            assert new.frames.tolist() == _up_to(frame), f"{name}: frames kept"
            assert new.lines.tolist() == _up_to(step), f"{name}: lines kept"
            n = len(new.frames)
            kept = not n or np.array_equal(new.positions, old.positions[:n])
            assert kept, f"{name}: other frames"
            self.counts["frames that were computed again"] += max(
                0, len(old.frames) - n
            )

    def note_moment(self, folder: Path) -> None:
        """Count where a run was killed."""
        moment = "before the first step"
        for name in read_plan(folder).names:
            paths = lammps_paths_of(folder / name) | paths_of(folder / name)
            if paths["restart"].exists():
                moment = f"after {name}"
            elif paths["restart_1"].exists() or paths["restart_2"].exists():
                moment = f"in {name}, after a state"
                moment += ", continued" if paths["part"].exists() else ""
            elif paths["energies"].exists():
                moment = f"in {name}, before its first state"
        self.moments[moment] += 1

    def check_end(self, folder: Path, reference: dict[str, Contents]) -> None:
        """Check that all is there once, in order, and equal where it can be."""
        contents = read(folder)
        for number, (name, stage) in enumerate(contents.items()):
            assert stage.frames.tolist() == _up_to(STEPS), f"{name}: frames"
            assert stage.lines.tolist() == _up_to(STEPS), f"{name}: lines"
            paths = lammps_paths_of(folder / name)
            assert not paths["part"].exists(), f"{name}: frames that are not joined"
            if number >= SAME:
                continue
            other = reference[name]
            energies = stage.table["potential"] - other.table["potential"]
            moved = stage.positions - other.positions
            for key, values in zip(self.differences, (energies, moved), strict=True):
                worst = float(np.abs(values).max())
                self.differences[key] = max(self.differences[key], worst)
            assert np.abs(energies).max() < 0.1 and np.abs(moved).max() < 0.01, name
            self.counts["stages compared with an undisturbed run"] += 1
            self.counts["stages with the same frames as it"] += not moved.any()


def read(folder: Path) -> dict[str, Contents]:
    """Read all stages as `analyze` does; each frame and line has to be there once."""
    contents = {}
    for name in read_plan(folder).names:
        run, everything = read_run(folder / name), Window(start=0.0)
        frames, positions = np.zeros(0, dtype=int), np.zeros((0, 1, 3))
        if run.has_frames and run.index.n_frames:
            loaded = Source([run], everything).frames().load()
            frames, positions = _steps(loaded.time), loaded.xyz
        table = {}
        if len(run.table):
            table = energies_between(run, everything)
        lines = table.get("step", np.zeros(0)).astype(int)
        for steps in (frames, lines):
            assert (np.diff(steps) == INTERVAL).all(), f"{name}: {steps}"
            assert not len(steps) or steps[0] == INTERVAL, f"{name}: {steps}"
        if table:
            assert (_steps(table["time"]) == lines).all(), f"{name}: times of lines"
        contents[name] = Contents(frames, lines, positions, table)
    return contents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40, help="at least so many")
    parser.add_argument("--longest", type=float, default=20.0, help="s until a kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results"
    )
    options = parser.parse_args()
    os.environ["LAMMPS_PLUGIN_PATH"] = _python(
        "-c",
        "from openmm_allegro.lammps.build import plugin_folder; print(plugin_folder())",
    )
    os.environ["OMP_NUM_THREADS"] = "1"
    faults, code = Faults(options.seed, options.longest), commit(ROOT)
    started, ended, killed = time.monotonic(), 0, 0
    with (
        tempfile.TemporaryDirectory() as temporary,
        tqdm(total=options.kills, unit="kill", mininterval=10) as bar,
    ):
        folder, prepared = Path(temporary) / "run", Path(temporary) / "prepared"
        _prepare(folder)
        shutil.copytree(folder, prepared)
        begun = time.monotonic()
        assert faults.run(folder)
        longest = min(options.longest, time.monotonic() - begun)
        reference = read(folder)
        while killed < options.kills:
            shutil.rmtree(folder)
            shutil.copytree(prepared, folder)
            while not faults.run(folder, faults.draw.uniform(0.0, longest)):
                killed += 1
                bar.update()
                faults.note_moment(folder)
                faults.resume(folder)
            faults.check_end(folder, reference)
            faults.resume(folder)
            assert faults.run(folder)  # nothing is left to do
            for stage in read(folder).values():
                assert stage.frames.tolist() == stage.lines.tolist() == _up_to(STEPS)
            ended += 1
    result = {
        "hardware": hardware(RANKS),
        "versions": {name: version(name) for name in ("lammps", "mpich")},
        "commit": code,
        "seed": options.seed,
        "ranks": RANKS,
        "steps_of_a_stage": STEPS,
        "steps_between_frames": INTERVAL,
        "steps_between_states": EVERY,
        "longest_s": round(longest, 1),
        "kills": killed,
        "protocols_completed": ended,
        "kills_by_moment": dict(faults.moments.most_common()),
        "counts": dict(faults.counts.most_common()),
        "largest_differences": faults.differences,
        "missing_or_repeated_frames_or_lines": 0,  # each check ends the script
        "wall_s": round(time.monotonic() - started),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "lammps_kills.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    for name, count in [*faults.moments.most_common(), *faults.counts.most_common()]:
        print(f"{name:50s}{count:6d}")
    print(f"{killed} kills, {ended} protocols completed, {faults.differences}")


def _prepare(folder: Path) -> None:
    """Write the folder of the protocol by the command."""
    inputs = folder.with_name("inputs")
    inputs.mkdir()
    (inputs / "box.pdb").write_text(BOX + (ALANINE / "solute.pdb").read_text())
    (inputs / "protocol.toml").write_text(PROTOCOL)
    what = str(inputs / "protocol.toml"), "--output", str(folder), "--seed", "3"
    _python("-m", "openmm_allegro.cli", "lammps", *what)


def _python(*arguments: str) -> str:
    """Output of Python elsewhere: here a file has the name of LAMMPS's package."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def _steps(times: np.ndarray) -> np.ndarray:
    """Steps of times in ps, which have to be those of steps."""
    steps = np.round(times / (1e-3 * TIMESTEP)).astype(int)
    assert np.allclose(times, 1e-3 * TIMESTEP * steps, rtol=1e-6), times
    return steps


def _up_to(last: int) -> list[int]:
    return list(range(INTERVAL, last + 1, INTERVAL))


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs, and is no zombie."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


if __name__ == "__main__":
    main()
