# SPDX-License-Identifier: MIT
"""Measure time and memory of an energy + forces call by number of atoms, on the CPU.

Water at 1 g/cm³, l_max 2, two layers, 64 scalar and 32 tensor features, the native
force or the module of TorchForce with the fused kernel, pair list with its default
skin. Each size runs in a process of its own, so that its peak of memory is known: the
first call finds the pairs, three more keep them.

    python benchmarks/scaling.py [--sizes 192 1536 12288 98304 1119744]
        [--backend native]

takes 4 minutes and writes benchmarks/results/scaling.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from worker import memory_mb

FILE = Path(__file__).parent / "results" / "scaling.json"
SIZES = [192 * n**3 for n in (1, 2, 4, 8, 18)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", choices=BACKENDS, default="native")
    parser.add_argument("--results", type=Path, default=FILE)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.one, options.backend, options.threads)))
        return
    from hardware import hardware

    results = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            _write(size, Path(folder))
            command = [sys.executable, __file__, "--one", folder]
            command += ["--threads", str(options.threads)]
            command += ["--backend", options.backend]
            output = subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": str(options.threads)},
            )
            results.append(json.loads(output.stdout.splitlines()[-1]))
            row = results[-1]
            print(
                f"{size:9d} atoms  {row['seconds']:9.4f} s  "
                f"{row['us_per_atom']:7.2f} µs/atom  list {row['seconds_list']:.3f} s  "
                f"{row['peak_gb']:.2f} GB",
                flush=True,
            )
    options.results.parent.mkdir(parents=True, exist_ok=True)
    content = {"hardware": hardware(options.threads), "backend": options.backend}
    content["results"] = results
    options.results.write_text(json.dumps(content, indent=1) + "\n")


def _write(size: int, folder: Path) -> None:
    """Write model and atoms: what makes them must not count in another process."""
    from workloads import model, structure

    from openmm_allegro import save_model

    save_model(model("water", "l2_2layers"), folder / "model.safetensors")
    atoms = structure("water", size)
    positions, cell = atoms.positions / 10, atoms.cell.array / 10
    np.savez(folder / "atoms.npz", symbols=atoms.symbols, positions=positions, box=cell)


def _measure(folder: Path, backend: str, threads: int) -> dict:
    from openmm_allegro import load_model

    with np.load(folder / "atoms.npz") as atoms:
        symbols, positions, box = (atoms[k] for k in ("symbols", "positions", "box"))
    size, model = len(symbols), load_model(folder / "model.safetensors")
    call = BACKENDS[backend](model, symbols.tolist(), threads)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call(positions, box)
        times.append(time.perf_counter() - start)
    kept = sorted(times[1:])[1]
    return {
        "atoms": size,
        "seconds": kept,
        "us_per_atom": 1e6 * kept / size,
        "seconds_list": times[0] - kept,
        "peak_gb": memory_mb()["largest_resident"] / 1000,
    }


def _native(model, symbols, threads):
    from openmm_allegro.plugin.engine import Engine
    from openmm_allegro.potential.force import model_force
    from openmm_allegro.potential.options import ForceOptions

    options = ForceOptions(backend="native")
    return Engine(model_force([model], symbols, options, periodic=True), threads).run


def _torchforce(model, symbols, threads):
    import torch

    from openmm_allegro.potential.module import force_module

    torch.set_num_threads(threads)
    module = force_module(model, symbols, periodic=True)
    return lambda *arrays: module(*(torch.tensor(array) for array in arrays))


BACKENDS = {"native": _native, "torchforce": _torchforce}


if __name__ == "__main__":
    main()
