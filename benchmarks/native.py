# SPDX-License-Identifier: MIT
"""Compare the native force with TorchForce: cost, memory, restart, equal numbers.

Aqueous NaCl (184 atoms) on OpenMM's CPU platform, each measurement in a process of its
own. Its parts:

first     processor time and memory from the start of Python to the first energy
steps     Langevin steps of both in turn: exact on one and two threads, table on one
contexts  growth of the memory over Contexts made and deleted
energies  energies with and without forces, volume moves
restart   distance of a run after a checkpoint from the same in a new Context
grid      energies and forces in double of many models, boxes, regions, committees
table     error of the two-body table, beside the bound that it logs
xml       Systems written by one OpenMM, read by the others
pairs     the pair list against vesin's in random boxes

python benchmarks/native.py [--parts first steps ...] [--quick]
    [--small PYTHON] [--openmm FOLDER ...]

Takes 8 minutes of two cores that do nothing else. Writes results/native.json beside
this file; parts that are not measured again keep their results there. --small is the
Python of an environment without torch, in which the first energy is measured as well.
--openmm are folders with other versions (pip install --target FOLDER openmm==8.6.1).
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from hardware import hardware
from worker import Worker, answer_of

RESULTS = Path(__file__).parent / "results" / "native.json"
BACKENDS = ("torchforce", "native")
# name of a row: threads, two_body
SETTINGS = {
    "1 thread": (1, "exact"),
    "2 threads": (2, "exact"),
    "1 thread, table": (1, "table"),
}


def main() -> None:
    options = _options()
    parts = {
        "first": _first,
        "steps": _steps,
        "contexts": _contexts,
        "energies": _energies,
        "restart": _restart,
        "grid": _grid,
        "table": _table,
        "xml": _xml,
        "pairs": _pairs,
    }
    file = options.results
    content = json.loads(file.read_text()) if file.exists() else {}
    content["hardware"] = hardware(2)
    for name in options.parts or parts:
        if name not in parts:
            raise SystemExit(f"expected parts of {', '.join(parts)}, found {name}")
        print(f"{name} ...", file=sys.stderr, flush=True)
        content[name] = parts[name](options)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n")
    from native_table import rows

    for row in rows(content):
        print(row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", metavar="PART")
    parser.add_argument("--quick", action="store_true", help="a trial of the script")
    parser.add_argument("--small", metavar="PYTHON")
    parser.add_argument("--openmm", nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _task(
    name: str,
    backend: str,
    *numbers: int,
    threads: int = 1,
    two_body: str = "exact",
    python: str = sys.executable,
) -> dict:
    """Run a task of native_worker.py in a process of its own."""
    script = str(Path(__file__).with_name("native_worker.py"))
    command = [python, script, name, backend, two_body, str(threads)]
    return answer_of([*command, *map(str, numbers)], _threads(threads))


def _threads(number: int) -> dict[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENMM_CPU_THREADS"), str(number))


def _first(options: argparse.Namespace) -> dict:
    rows = {backend: (backend, sys.executable) for backend in BACKENDS}
    if options.small:
        rows["native, small install"] = ("native", options.small)
    measured: dict[str, list[dict]] = {name: [] for name in rows}
    for _ in range(2 if options.quick else 7):
        for name, (backend, python) in rows.items():
            measured[name].append(_task("first", backend, python=python))
    return {name: _medians(values) for name, values in measured.items()}


def _medians(values: list[dict]) -> dict:
    """Median of each number, and all processor times."""
    if any("failed" in value for value in values):
        return next(value for value in values if "failed" in value)
    result = {key: float(np.median([v[key] for v in values])) for key in values[0]}
    result["imports_torch"] = values[0]["imports_torch"]
    return result | {"all_seconds": [v["processor_seconds"] for v in values]}


def _steps(options: argparse.Namespace) -> dict:
    """Take steps in turn, so that a disturbance of the machine affects both."""
    results = {}
    rounds, count = (2, 10) if options.quick else (15, 60)
    for name, (threads, two_body) in SETTINGS.items():
        workers = {
            backend: Worker(
                "native_worker.py",
                ["steps", backend, two_body, str(threads)],
                _threads(threads),
            )
            for backend in BACKENDS
        }
        answers: dict[str, list[dict]] = {backend: [] for backend in BACKENDS}
        for number in range(rounds):
            for backend in BACKENDS if number % 2 else BACKENDS[::-1]:
                answers[backend].append(workers[backend].ask(str(count)))
        for worker in workers.values():
            worker.close()
        results[name] = _compared(answers)
    return results


def _compared(answers: dict[str, list[dict]]) -> dict:
    result: dict = {}
    for kind in ("processor_ms", "wall_ms"):
        times = {b: np.array([a[kind] for a in answers[b]]) for b in BACKENDS}
        result[kind] = {backend: float(np.median(t)) for backend, t in times.items()}
        ratio = times["native"] / times["torchforce"]
        quartiles = np.quantile(ratio, [0.25, 0.5, 0.75])
        result[kind]["native_over_torchforce_quartiles"] = quartiles.tolist()
    return result


def _contexts(options: argparse.Namespace) -> dict:
    numbers = {"torchforce": 40, "native": 400}
    if options.quick:
        numbers = {"torchforce": 3, "native": 20}
    return {b: _task("contexts", b, number) for b, number in numbers.items()}


def _energies(options: argparse.Namespace) -> dict:
    count = 4 if options.quick else 40
    return {backend: _task("energies", backend, count) for backend in BACKENDS}


def _restart(options: argparse.Namespace) -> dict:
    count = 20 if options.quick else 200
    return {
        f"{backend}, {threads} threads": _task(
            "restart", backend, count, threads=threads
        )
        for backend in BACKENDS
        for threads in (1, 2)
    }


def _grid(options: argparse.Namespace) -> dict:
    from native_grid import grid

    return grid(quick=options.quick)


def _table(options: argparse.Namespace) -> dict:
    from native_grid import table_error

    return table_error(frames=1 if options.quick else 20)


def _xml(options: argparse.Namespace) -> dict:
    from native_xml import exchange

    return exchange([None, *options.openmm])


def _pairs(options: argparse.Namespace) -> dict:
    """Run the test's check: it ends with an error at the first pair that differs."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "plugin"))
    from test_plugin_pairs import check

    boxes = 50 if options.quick else 1500
    return {"boxes": boxes, "pairs": check(boxes, seed=1), "different": 0}


if __name__ == "__main__":
    main()
