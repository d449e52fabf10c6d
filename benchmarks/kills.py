# SPDX-License-Identifier: MIT
"""Kill runs, trainings, reports and imports at random moments, and check their files.

A protocol of a capped alanine alone in a periodic box (minimise, heat, NVT, NVE with
velocities, NPT) runs with our force in a process that is killed by SIGKILL, or stopped
by SIGTERM, after a random time and started again with resume, until it is complete;
then the next protocol starts. Two more have biased stages, by metadynamics and by OPES,
and one has ring polymers and a quantum thermal bath. A small training is treated alike;
the report of a run and the import of a model of nequip-allegro are begun anew. After
each kill every file must be readable, as it was or whole. At each end every frame must
be present once, in order, and the stages, and the weights of the training, must equal
those of an undisturbed process to the last bit.

The protocol also runs while the clock jumps by days, with files that may not grow
beyond a random size, and in a folder that is deleted meanwhile. The first must change
nothing; the others must end with an error that says so, and then be resumed or begun
anew. Writes results/kills.json beside this file, kills_native.json with --backend
native, and kills_biased.json or kills_quantum.json where those alone are asked for.

python benchmarks/kills.py [--protocol 100] [--biased 60] [--quantum 60] [--report 40]
                           [--training 40] [--import 20] [--others 10] [--longest 10]
                           [--seed 1] [--backend native]
"""

import argparse
import collections
import functools
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

from hardware import hardware
from kills_tasks import (
    BiasedTask,
    ImportTask,
    ProtocolTask,
    QuantumTask,
    ReportTask,
    TrainingTask,
    jumping_clock,
    small_disk,
)
from tqdm import tqdm

# Exit code of a process that ended with the error that was to be expected.
EXPECTED = 7
_FORK = multiprocessing.get_context("fork")


def attempt(task, folder, seconds=None, number=signal.SIGKILL):
    """Work until the end or for some seconds; the exit code, negative of a signal."""
    process = _FORK.Process(target=_work, args=(task, folder))
    process.start()
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid, number)
        process.join(60)
        assert not process.is_alive(), f"{task.name}: not stopped by {number!r}"
    return process.exitcode


def _work(task, folder):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.dup2(nowhere, 1)
    task.work(folder)


def kill_until(task, least, draw, longest, temporary, counts, bar):
    """Kill a task at random moments until it was killed often enough, and ended."""
    reference, ended, killed = temporary / "reference", 0, 0
    started = time.monotonic()
    assert attempt(task, reference) == 0
    duration = 1.1 * (time.monotonic() - started)
    # what begins anew each time needs the chance to end
    longest = min(longest, duration) if task.is_resumed else duration
    task.check_end(reference, reference)
    while killed < least:
        folder = temporary / "killed"
        while True:
            number = draw.choice(task.signals)
            code = attempt(task, folder, draw.uniform(0.0, longest), number)
            if code == 0:
                break
            # stopped as asked: by the signal, or by a SystemExit of it
            assert code in (-number, 128 + number), f"{task.name}: exit code {code}"
            moment = f"{task.name}: {task.moment(folder)}"
            counts[moment + (", SIGTERM" if number == signal.SIGTERM else "")] += 1
            killed += 1
            bar.update()
            task.check_readable(folder)
        task.check_end(folder, reference)
        task.check_litter(folder)
        shutil.rmtree(folder)
        ended += 1
    shutil.rmtree(reference)
    return {"killed": killed, "ended": ended}


def other_faults(task, draw, longest, temporary, results, bar, least):
    """Let clocks jump, disks fill up and folders vanish; yield after each round."""
    reference, folder = temporary / "reference", temporary / "other"
    assert attempt(task, reference) == 0
    for name in ("the clock jumps", "a file cannot grow", "the folder is deleted"):
        results[name] = 0
    for _ in range(least):
        assert attempt(jumping_clock(task, draw.random()), folder) == 0
        task.check_end(folder, reference)
        shutil.rmtree(folder)
        results["the clock jumps"] += 1
        bar.update()

        code = EXPECTED
        while code == EXPECTED:  # of another size each time
            size = int(10 ** draw.uniform(3.0, 7.5))
            code = attempt(small_disk(task, size, EXPECTED), folder)
            results["a file cannot grow"] += code == EXPECTED
            task.check_readable(folder)
        assert code == 0, f"a small disk: exit code {code}"
        task.check_end(folder, reference)
        shutil.rmtree(folder)
        bar.update()

        process = _FORK.Process(
            target=_work, args=(small_disk(task, None, EXPECTED), folder)
        )
        process.start()
        process.join(draw.uniform(0.2, longest))
        shutil.rmtree(folder, ignore_errors=True)
        process.join(300)
        assert process.exitcode in (0, EXPECTED), f"exit code {process.exitcode}"
        results["the folder is deleted"] += process.exitcode == EXPECTED
        assert attempt(task, folder) == 0  # nothing that is left is in the way
        task.check_end(folder, reference)
        shutil.rmtree(folder)
        bar.update()
        yield
    shutil.rmtree(reference)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", type=int, default=100, help="least kills")
    parser.add_argument("--training", type=int, default=40)
    parser.add_argument("--report", type=int, default=40)
    parser.add_argument("--biased", type=int, default=60, help="of each bias")
    parser.add_argument("--quantum", type=int, default=60, help="of quantum nuclei")
    parser.add_argument("--import", type=int, default=20, dest="imports")
    parser.add_argument("--others", type=int, default=10, help="of each other fault")
    parser.add_argument("--longest", type=float, default=10.0, help="s until a kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--backend",
        choices=("torchforce", "pythonforce", "native"),
        default="torchforce",
        help="of the protocol's force",
    )
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results"
    )
    return parser


def main() -> None:
    parser = make_parser()
    options = parser.parse_args()
    draw = random.Random(options.seed)
    biased = dict.fromkeys(("metadynamics", "opes"), options.biased)
    least = {
        TrainingTask: options.training,
        ReportTask: options.report,
        ImportTask: options.imports,
        functools.partial(ProtocolTask, backend=options.backend): options.protocol,
        **{
            functools.partial(BiasedTask, kind=kind, backend=options.backend): number
            for kind, number in biased.items()
        },
        functools.partial(QuantumTask, backend=options.backend): options.quantum,
    }
    is_default = options.backend == parser.get_default("backend")
    name = "kills.json" if is_default else f"kills_{options.backend}.json"
    for kind, number in {
        "biased": sum(biased.values()),
        "quantum": options.quantum,
    }.items():
        if number and number == sum(least.values()) + options.others:
            name = f"kills_{kind}.json"
    counts: collections.Counter[str] = collections.Counter()
    done, others, started = {}, {}, time.monotonic()

    def write() -> None:
        result = {
            "hardware": hardware(1),
            "seed": options.seed,
            "backend": options.backend,
            "longest_s": options.longest,
            "kills": sum(counts.values()),
            "tasks": done,
            "kills_by_moment": dict(counts.most_common()),
            "other_faults": others,
            "unreadable_files": 0,  # each check ends the script
            "missing_or_repeated_frames": 0,
            "ends_with_other_bits": 0,
            "wall_s": round(time.monotonic() - started),
        }
        options.results.mkdir(parents=True, exist_ok=True)
        path = options.results / name
        path.write_text(json.dumps(result, indent=2) + "\n")

    total = sum(least.values()) + 3 * options.others
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=total, unit="fault", mininterval=10) as bar,
    ):
        temporary = Path(folder)
        for kind, number in least.items():
            if number:
                task = kind(temporary)
                done[task.name] = kill_until(
                    task, number, draw, options.longest, temporary, counts, bar
                )
                write()
        if options.others:
            # openmm-torch copies forces through files in /tmp, and aborts if it is full
            backend = "pythonforce" if is_default else options.backend
            task = ProtocolTask(temporary, backend)
            faults = other_faults(
                task, draw, options.longest, temporary, others, bar, options.others
            )
            for _ in faults:
                write()
    print(f"{'killed':40s}{'times':>6s}")
    for moment, count in [*counts.most_common(), *others.items()]:
        print(f"{moment:40s}{count:6d}")
    for task, row in done.items():
        print(f"{task}: {row['killed']} kills, {row['ended']} completed")


if __name__ == "__main__":
    main()
