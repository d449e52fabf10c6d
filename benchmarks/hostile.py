# SPDX-License-Identifier: MIT
"""Give the command damaged and hostile files, and count what it does with them.

Some 1,500 inputs are made from a few good files, always the same ones: values of any
type in TOML, model files with flipped bytes and tricks in their headers, XML that
hides code, damaged topologies, structures, trajectories, checkpoints and records, and
arguments. Each is given to ``openmm-allegro`` in a process of its own, which may use
5 s of a processor and 4 GB of memory more than it has. Writes results/hostile.json
beside this file, and exits with 1 if an input was accepted silently, or ended in a
traceback, a crash or a hang.

python benchmarks/hostile.py [--seconds 900] [--kinds XML run] [--show]

Given kinds replace their part of the results.
"""

import argparse
import collections
import contextlib
import gc
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import torch
from hardware import hardware
from tqdm import tqdm

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from hostile_cases import KINDS
from hostile_inputs import TRAP, Case, Inputs, make_inputs

from openmm_allegro.cli.main import VERBS
from openmm_allegro.cli.main import main as command

CPU_SECONDS, MEMORY, WALL_SECONDS = 5, 4 << 30, 60
VERDICTS = (
    "refused",  # one clear line, exit status 2
    "same",  # accepted, with the meaning or the result of the good file
    "other",  # accepted as another good file, which it may be
    "unclear",  # an error that nobody has foreseen
    "accepted",  # silently, although it means nothing
    "traceback",
    "crash",
    "hang",
    "code",  # of the file has run
)
GOOD = ("refused", "same", "other")


class Trial(NamedTuple):
    """How the command ended with a case."""

    verdict: str  # empty if it was accepted
    reason: str
    seen: str = ""  # what it printed of its results


def judge(case: Case, inputs: Inputs, place: Path) -> tuple[str, str]:
    """Verdict of a case, and its reason."""
    shutil.copytree(inputs.folder, place)
    case.write(place)
    trial = attempt(case, place)
    shutil.rmtree(place)
    if trial.verdict or case.valid is not None:
        accepted = "same" if case.valid else "accepted"
        return trial.verdict or accepted, trial.reason
    words = tuple(case.arguments)
    if words not in _references:
        shutil.copytree(inputs.folder, place)
        for name, content in case.files.items():
            if not (place / name).exists():
                (place / name).write_bytes(content)
        _references[words] = attempt(Case("good", case.arguments), place).seen
        shutil.rmtree(place)
    if trial.seen == _references[words]:
        return "same", trial.reason
    return "other" if case.other else "accepted", trial.reason


_references: dict[tuple[str, ...], str] = {}


def attempt(case: Case, folder: Path) -> Trial:
    """Do what a case says in a process of its own."""
    files = {name: folder / name for name in ("out", "err")}
    sys.stdout.flush()  # or the child would print it once more
    pid = os.fork()
    if pid == 0:
        os._exit(_child(case, folder, files))
    status, seconds = _wait(pid)
    out, err = (files[n].read_text(errors="replace") for n in ("out", "err"))
    last = (err.strip().splitlines() or [""])[-1][:300]
    if (folder / TRAP).exists():
        return Trial("code", last)
    if status is None:
        return Trial("hang", f"{WALL_SECONDS} s without an end")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hung = number == signal.SIGXCPU or seconds > CPU_SECONDS
        return Trial("hang" if hung else "crash", signal.Signals(number).name)
    if "Traceback (most recent call last)" in err or "Fatal Python error" in err:
        return Trial("traceback", last)
    code = os.WEXITSTATUS(status)
    if code == 0 or (case.reached and case.reached in err):
        composition = re.findall(r"\d+ atoms.*", err)
        seen = [out, *composition, *_energies(folder)]
        return Trial("", out.strip()[-300:] or last, "\n".join(seen))
    if code != 2 or not re.search(r"(^|\n)openmm-allegro[^\n]*: error: ", err):
        return Trial("unclear", f"exit status {code}: {last}")
    if "(--debug shows where)" in last:
        return Trial("unclear", last)
    return Trial("refused", last)


def _energies(folder: Path) -> list[str]:
    """Energies and temperatures of the run that a case made, if it made one."""
    lines = [line for file in folder.rglob("*.csv") for line in file.open()]
    return [line.rpartition(",")[0] for line in lines]  # without the speed


def _child(case: Case, folder: Path, files: dict[str, Path]) -> int:
    """Run the command with limits; return its exit status."""
    for name, path in files.items():
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, {"out": 1, "err": 2}[name])
    os.chdir(folder)
    used = sum(os.times()[:2])
    limit = int(used) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        status = command([str(argument) for argument in case.arguments])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _wait(pid: int) -> tuple[int | None, float]:
    """Status of a child, None if it had to be killed, and its processor time."""
    end = time.monotonic() + WALL_SECONDS
    while time.monotonic() < end:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return status, usage.ru_utime + usage.ru_stime
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    _, _, usage = os.wait4(pid, 0)
    return None, usage.ru_utime + usage.ru_stime


def try_all(arguments: argparse.Namespace, folder: Path) -> tuple[dict, list]:
    """Counts of verdicts by kind, and the cases that were not dealt with well."""
    counts: dict[str, collections.Counter] = {}
    bad, started = [], time.monotonic()
    inputs = make_inputs(folder / "good")
    _import_all(inputs.folder)
    for kind in arguments.kinds:
        began = time.monotonic()
        counts[kind] = collections.Counter()
        cases = list(KINDS[kind](inputs, random.Random(kind)))
        for number, case in enumerate(
            tqdm(cases, desc=kind, disable=not sys.stderr.isatty())
        ):
            if time.monotonic() - started > arguments.seconds:
                counts[kind]["not tried"] += len(cases) - number
                break
            verdict, reason = judge(case, inputs, folder / "case")
            counts[kind][verdict] += 1
            if verdict not in GOOD:
                bad.append([kind, case.name, verdict, reason])
            if arguments.show or verdict not in GOOD:
                tqdm.write(f"{kind}: {case.name}: {verdict}: {reason}")
        tqdm.write(f"{kind}: {dict(counts[kind])}, {time.monotonic() - began:.0f} s")
    return counts, bad


def _import_all(folder: Path) -> None:
    """Import what the verbs need once, for all processes."""
    words = ["analyze rdf t.xtc mol.pdb C-O", "import absent.ckpt -o o.safetensors"]
    words += [*(f"{verb} --help" for verb in VERBS), "train t.toml"]
    text = '[data]\ntraining = ["absent"]\nvalidation_size = 1\n'
    text += '[model]\nelements = ["H"]\ncutoff = 4\n'
    (folder / "t.toml").write_text(text)
    nowhere = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        for line in words:
            with contextlib.suppress(SystemExit):
                command(line.split())
    gc.collect()
    gc.freeze()  # or each process would touch, and copy, all objects


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--show", action="store_true", help="print each case")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts, bad = try_all(arguments, Path(folder))
    seconds = dict.fromkeys(counts, round(time.monotonic() - started, 1))
    output = arguments.output or Path(__file__).parent / "results" / "hostile.json"
    result = {"counts": counts, "bad": bad, "seconds_with_others": seconds}
    if output.exists() and arguments.kinds != list(KINDS):
        result = merged(json.loads(output.read_text()), result)
    limits = {"cpu_s": CPU_SECONDS, "memory_bytes": MEMORY}
    result = {"hardware": hardware(1), "limits": limits} | result
    output.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print_table(result["counts"])
    return 1 if result["bad"] else 0


def merged(before: dict, now: dict) -> dict:
    """Results of some kinds, and of others as they were."""
    kept = [case for case in before["bad"] if case[0] not in now["counts"]]
    tables = {
        name: {
            k: (before[name] | now[name])[k]
            for k in KINDS
            if k in before[name] | now[name]
        }
        for name in ("counts", "seconds_with_others")
    }
    return tables | {"bad": kept + now["bad"]}


def print_table(counts: dict[str, dict[str, int]]) -> None:
    """Print the verdicts of each kind."""
    columns = [*VERDICTS, "not tried"]
    print("| kind | inputs | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    total = collections.Counter()
    for count in counts.values():
        total.update(count)
    for kind, count in [*counts.items(), ("all", total)]:
        row = [kind, sum(count.values()), *(count.get(c) or "" for c in columns)]
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    sys.exit(main())
