# SPDX-License-Identifier: MIT
"""Time training: this package, an earlier commit of it and nequip-allegro.

    python benchmarks/training.py MODEL FRAMES [--before CHECKOUT] [--rounds 5]
    python benchmarks/training.py MODEL FRAMES --device cuda

write benchmarks/results/training.json and training_cuda.json. ``--before`` names a
folder with another commit of this repository. Needs the extra `all`.

All variants have the same weights, frames, batches, loss (squared errors of energies
per atom and of forces) and Adam. Each runs in a process of its own, and the processes
take epochs in turn; collation is counted, the search for pairs is not. nequip's
processes keep freed memory, see peers.py. nequip's compiled model runs batches of one
frame eagerly. Our compiled step needs frames of one size and batches that fill the
epoch. "Dense" variants build the matrices of the centres, which the sparse products of
a training on a CPU do without; "graphs" is training.graphs, with its data on the GPU
and averaged weights. On a CPU, where it takes the same steps without a graph, it runs
only if --variants names it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from hardware import hardware
from peers import RESULTS, TUNED

VARIANTS = (
    "ours",
    "ours, compiled",
    "ours, dense",
    "ours, compiled, dense",
    "ours, graphs",
    "ours, before",
    "ours, compiled, before",
    "nequip eager",
    "nequip compile",
)


def main() -> None:
    options = _options()
    file = options.output
    content = {
        "hardware": hardware(max(options.threads)),
        "device": options.device,
        "model": options.model.name,
        "frames": f"{options.frames.name}[:{options.count}]",
        "commit": commit(Path(__file__).parent),
        "before_commit": options.before and commit(options.before),
        "results": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "model.ckpt"
        if any(v.startswith("nequip") for v in options.variants):
            from openmm_allegro import load_model
            from openmm_allegro.interop.nequip import export_model

            export_model(load_model(options.model), peer)
        for threads in options.threads:
            for batch in options.batches:
                key = f"batch of {batch}, {threads} threads"
                print(key, flush=True)
                content["results"][key] = _compare(batch, threads, peer, options)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--count", type=int, default=8, help="frames of an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.variants is None:
        without = ("ours, graphs",) if options.device == "cpu" else ()
        options.variants = [name for name in VARIANTS if name not in without]
    if options.output is None:
        name = "training" if options.device == "cpu" else f"training_{options.device}"
        options.output = RESULTS / f"{name}.json"
    return options


def commit(folder: Path) -> str:
    """The commit of a checkout."""
    run = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    if shutil.which("git") is None:  # on a machine that the sources were copied to
        return "unknown"
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _compare(batch: int, threads: int, peer: Path, options: argparse.Namespace) -> dict:
    """Time all variants, print a line for each, and return their numbers."""
    workers = {
        variant: _start(variant, batch, threads, peer, options)
        for variant in _chosen(batch, options)
    }
    times: dict[str, list] = {}
    for _ in range(options.rounds):
        for variant, worker in workers.items():
            if worker.poll() is None:
                print("epoch", file=worker.stdin, flush=True)
                answer = worker.stdout.readline()
                if answer:
                    times.setdefault(variant, []).append(json.loads(answer))
    results = {}
    for variant, worker in workers.items():
        worker.stdin.close()
        status = worker.wait()
        if variant not in times:
            results[variant] = {"failed": status}
            print(f"  {variant:21s} failed", flush=True)
            continue
        wall, processor = np.transpose(times[variant])
        results[variant] = {
            "samples_per_second": 1.0 / np.median(wall),
            "ms_per_sample": 1e3 * np.median(wall),
            "spread_ms": [1e3 * wall.min(), 1e3 * wall.max()],
            "processor_ms_per_sample": 1e3 * np.median(processor),
        }
    _compare_with_ours(results, "" if options.device == "cpu" else ", dense")
    return results


def _chosen(batch: int, options: argparse.Namespace) -> list[str]:
    """Variants that can run."""
    without = set()
    if options.device != "cpu":  # there is no sparse kernel
        without = {"ours", "ours, compiled", "ours, before", "ours, compiled, before"}
    if not options.before:
        without |= {"ours, before", "ours, compiled, before"}
    if batch == 1:
        without.add("nequip compile")
    return [variant for variant in options.variants if variant not in without]


def _compare_with_ours(results: dict[str, dict], dense: str) -> None:
    for variant, numbers in results.items():
        if "failed" in numbers:
            continue
        line = f"  {variant:21s} {numbers['samples_per_second']:8.2f} samples/s"
        line += f" {numbers['processor_ms_per_sample']:9.1f} ms of processor"
        for kind in ("ours", "ours, compiled"):
            base = results.get(kind + dense, {})
            # Only nequip's variants are compared with our compiled step.
            wanted = kind == "ours" or variant.startswith("nequip")
            if wanted and base is not numbers and "ms_per_sample" in base:
                ratio = numbers["ms_per_sample"] / base["ms_per_sample"]
                numbers.setdefault("times_slower_than", {})[kind + dense] = ratio
                line += f"  {ratio:6.2f} x slower than {kind}"
        print(line, flush=True)


def _start(
    variant: str, batch: int, threads: int, peer: Path, options: argparse.Namespace
) -> subprocess.Popen:
    script = Path(__file__).with_name("training_worker.py")
    arguments = [variant, options.model, options.frames, options.count, batch]
    root = options.before if variant.endswith("before") else script.parent.parent
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(
            [str(root.resolve()), os.environ.get("PYTHONPATH", "")]
        ),
    }
    worker = subprocess.Popen(
        [
            *(sys.executable, script),
            *map(str, [*arguments, peer, threads, options.device]),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment | (TUNED if variant.startswith("nequip") else {}),
    )
    worker.stdout.readline()  # ready, or ended
    return worker


if __name__ == "__main__":
    main()
