# SPDX-License-Identifier: MIT
"""Measure time and memory of an energy + forces call by number of atoms, on the CPU.

Water at 1 g/cm³, l_max 2, two layers, 64 scalar and 32 tensor features, fused kernel,
pair list with its default skin. Each size runs in a process of its own, so that its
peak of memory is known: the first call finds the pairs, three more keep them.

    python benchmarks/scaling.py [--sizes 192 1536 12288 98304 1119744]

writes benchmarks/results/scaling.json.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

FILE = Path(__file__).parent / "results" / "scaling.json"
SIZES = [192 * n**3 for n in (1, 2, 4, 8, 18)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.one, options.threads)))
        return
    from hardware import hardware

    results = []
    for size in options.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        command += ["--threads", str(options.threads)]
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(output.stdout.splitlines()[-1]))
        row = results[-1]
        print(
            f"{size:9d} atoms  {row['seconds']:9.4f} s  "
            f"{row['us_per_atom']:7.2f} µs/atom  list {row['seconds_list']:.3f} s  "
            f"{row['peak_gb']:.2f} GB",
            flush=True,
        )
    FILE.parent.mkdir(exist_ok=True)
    content = {"hardware": hardware(options.threads), "results": results}
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def _measure(size: int, threads: int) -> dict:
    import torch
    from workloads import model, structure

    from openmm_allegro.potential.module import force_module

    torch.set_num_threads(threads)
    atoms = structure("water", size)
    module = force_module(model("water", "l2_2layers"), atoms.symbols, periodic=True)
    arguments = torch.tensor(atoms.positions / 10), torch.tensor(atoms.cell.array / 10)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        module(*arguments)
        times.append(time.perf_counter() - start)
    kept = sorted(times[1:])[1]
    return {
        "atoms": size,
        "seconds": kept,
        "us_per_atom": 1e6 * kept / size,
        "seconds_list": times[0] - kept,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if __name__ == "__main__":
    main()
