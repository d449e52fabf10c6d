# SPDX-License-Identifier: MIT
"""Compare the speed on a processor with that of an earlier commit, in turns.

    git worktree add ../before COMMIT
    python benchmarks/before.py ../before [--rounds 15] [--cases native ...]

Each case has a process with the package of either commit, which take steps in turn, so
that a disturbance of the machine affects both. Times are processor times where the
worker gives them. Prints the quartiles of now over before, and writes
benchmarks/results/before.json. benchmarks/training.py --before does it for training.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from hardware import hardware
from peers import write_atoms, write_models
from training import commit
from worker import Worker

ROOT = Path(__file__).parents[1]
FILE = ROOT / "benchmarks" / "results" / "before.json"
# Case: worker, its first arguments, and what it is asked for.
CASES = {
    "native": ("native_worker.py", ["steps", "native", "exact", "1"], "60"),
    "native, table": ("native_worker.py", ["steps", "native", "table", "1"], "60"),
    "native, 2 threads": ("native_worker.py", ["steps", "native", "exact", "2"], "60"),
    "TorchForce": ("native_worker.py", ["steps", "torchforce", "exact", "1"], "60"),
    "plain torch": ("peers_worker.py", ["ours, plain"], "step"),
    "PythonForce": ("peers_worker.py", ["ours, PythonForce"], "step"),
}


def main() -> None:
    options = _options()
    roots = {"before": options.before.resolve(), "now": ROOT}
    content = {
        "hardware": hardware(1),
        "commits": {name: commit(root) for name, root in roots.items()},
        "now_over_before": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        files, _ = write_models("water", "l2_2layers", Path(folder), [])
        files["atoms"] = write_atoms("water", 192, Path(folder))
        for case in options.cases:
            quartiles = _compare(CASES[case], roots, files, options.rounds)
            content["now_over_before"][case] = quartiles
            shown = ", ".join(f"{value:.3f}" for value in quartiles) or "failed"
            print(f"{case}: {shown}", flush=True)
            options.results.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="a checkout of the earlier commit")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--results", type=Path, default=FILE)
    return parser.parse_args()


def _compare(case: tuple, roots: dict[str, Path], files: dict, rounds: int) -> list:
    """Quartiles of the ratio of a case's times; none if a process failed."""
    script, arguments, word = case
    threads = arguments[-1] if script == "native_worker.py" else "1"
    if script == "peers_worker.py":
        arguments = [*arguments, json.dumps(files), threads]
    workers = {
        name: Worker(
            script,
            arguments,
            {
                "OMP_NUM_THREADS": threads,
                "OPENMM_CPU_THREADS": threads,
                "PYTHONPATH": str(root),
            },
        )
        for name, root in roots.items()
    }
    ratios = []
    for number in range(rounds):
        times = {}
        for name in list(workers)[:: 1 if number % 2 else -1]:
            answer = workers[name].ask(word) if workers[name].ready else {}
            times[name] = answer.get("processor_ms", answer.get("ms"))
        if None in times.values():
            break
        ratios.append(times["now"] / times["before"])
    for worker in workers.values():
        worker.close()
    return np.quantile(ratios, [0.25, 0.5, 0.75]).tolist() if ratios else []


if __name__ == "__main__":
    main()
