# SPDX-License-Identifier: MIT
"""Time the same weights and positions through nequip, OpenMM-ML and this package.

Each variant has a process of its own. The processes take some steps in turn, so that a
disturbance of the machine affects all of them. The peers' processes keep their memory
(glibc's variables below): by default they return large tensors to the kernel after each
step and are up to three times slower.

nequip's own modes get a ready pair list and compute energy and forces. The variants in
OpenMM take Langevin steps of 0.5 fs on the CPU platform, pair lists included.

    python benchmarks/peers.py [--rounds 5]

runs the cases of the README and writes results/peers.json beside this file. It takes
15 minutes of two cores that do nothing else, and 19 GB of memory. With any of
--systems, --sizes and --models, all combinations of these run instead, for an hour or
more if all three are given in full; with --add they go to those in the file.
`python benchmarks/report.py` then fills the README's table and draws it.

Needs the extras `all` and `nequip`; AOTInductor compiles for a minute for each model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from worker import Worker
from workloads import CASES, ELEMENTS, MODELS, SIZES

if TYPE_CHECKING:
    from openmm_allegro import Model

RESULTS = Path(__file__).parent / "results"
TUNED = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "67108864",
}
VARIANTS = {
    "nequip eager": TUNED,
    "nequip TorchScript": TUNED,
    "nequip AOTInductor": TUNED,
    "OpenMM-ML nequip": TUNED,
    "ours, plain": {},
    "ours, fused": {},
    "ours, table": {},
    "ours, native": {},
    "ours, native table": {},
}
PEERS = tuple(name for name in VARIANTS if not name.startswith("ours"))
# Of the README's cases, the one that nequip's own modes run as well.
FULL_CASE = ("water", 192, "l2_2layers")
# nequip needs some 12 kB for each pair and layer, too much for larger systems
LARGEST_FOR_PEERS = 1536


def main() -> None:
    options = _options()
    file = options.results
    content = json.loads(file.read_text()) if file.exists() and options.add else {}
    content["hardware"] = _hardware(options.threads)
    content.setdefault("results", {})
    for (system, name), cases in itertools.groupby(_cases(options), lambda c: c[:2]):
        cases = list(cases)
        variants = list(dict.fromkeys(v for *_, chosen in cases for v in chosen))
        with tempfile.TemporaryDirectory() as folder:
            files, ours = _write_models(system, name, Path(folder), variants)
            for *_, size, chosen in cases:
                key = f"{system}, {size} atoms, {name}"
                print(key, flush=True)
                files["atoms"], extra = _write_atoms(system, size, ours, Path(folder))
                rate = content["hardware"]["matrix_rate_gflops"]
                rows = _compare(size, files, chosen, options)
                _derive(rows, size, extra, rate)
                _print(rows)
                content["results"][key] = rows
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", choices=ELEMENTS)
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--models", nargs="+", choices=MODELS)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--add", action="store_true", help="to the existing file")
    parser.add_argument("--results", type=Path, default=RESULTS / "peers.json")
    return parser.parse_args()


def _cases(options: argparse.Namespace) -> Iterator[tuple[str, str, int, list[str]]]:
    """Yield system, model, atoms and variants, cases of one model in a row."""
    given = options.systems, options.models, options.sizes
    if any(given):
        for system, name, size in itertools.product(
            options.systems or ELEMENTS,
            options.models or MODELS,
            options.sizes or SIZES,
        ):
            yield system, name, size, options.variants or list(VARIANTS)
        return
    for system, size, name in CASES:
        chosen = options.variants or [
            variant
            for variant in VARIANTS
            if not variant.startswith("nequip") or (system, size, name) == FULL_CASE
        ]
        yield system, name, size, chosen


def _hardware(threads: int) -> dict:
    import torch
    from hardware import hardware

    torch.set_num_threads(threads)
    a = torch.randn(2048, 2048)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    rate = 2 * 2048**3 / np.median(times) / 1e9
    return hardware(threads) | {"matrix_rate_gflops": round(rate, 1)}


def _write_models(
    system: str, name: str, folder: Path, variants: list[str]
) -> tuple[dict[str, str], Model]:
    """Write one set of weights in each program's format; also the model itself."""
    from workloads import model

    from openmm_allegro import save_model
    from openmm_allegro.interop.nequip import export_model

    ours = model(system, name)
    files = {"ours": save_model(ours, folder / "model.safetensors")}
    files["eager"] = export_model(ours, folder / "model.ckpt")
    command = "import sys; from nequip.scripts.compile import main; main(sys.argv[1:])"
    for mode, suffix in (("torchscript", "pth"), ("aotinductor", "pt2")):
        if not any(mode in variant.lower() for variant in variants):
            continue
        files[mode] = folder / f"model.nequip.{suffix}"
        arguments = [files["eager"], files[mode], "--mode", mode]
        arguments += ["--target", "ase", "--device", "cpu"]
        run = [sys.executable, "-c", command, *map(str, arguments)]
        result = subprocess.run(run, capture_output=True, text=True, check=False)
        if result.returncode:
            print(f"  {mode}: {result.stderr.strip().splitlines()[-1][:200]}")
            del files[mode]
    return {key: str(path) for key, path in files.items()}, ours


def _write_atoms(system: str, size: int, model: Model, folder: Path):
    """Write a structure for all variants; also how much there is to compute."""
    import torch
    from workloads import structure

    from openmm_allegro.kernels.inference.fold import fold
    from openmm_allegro.kernels.inference.program import Code, unpack
    from openmm_allegro.neighbors import VerletList

    atoms = structure(system, size)
    file = folder / f"{size}.npz"
    symbols, cell = list(atoms.symbols), atoms.cell.array
    np.savez(file, symbols=symbols, positions=atoms.positions, cell=cell)
    # multiply-adds of the dense layers, forward and backward, for the matrix rate
    program = unpack(fold(model.energy, torch.float32))
    linear = [op for op in program.operations() if op.code == Code.LINEAR]
    dense = sum(2 * op.depth * op.width for op in linear)
    pairs = VerletList(model.config.cutoff, 0.0)
    box = torch.tensor(cell), torch.ones(3, dtype=torch.bool)
    pairs(torch.tensor(atoms.positions), *box)
    pairs = len(pairs.neighbors)
    return str(file), {"pairs": pairs, "dense_flops_per_step": 2 * dense * pairs}


def _compare(
    size: int, files: dict, variants: list[str], options: argparse.Namespace
) -> dict[str, dict]:
    """Measure all variants of a case in turn."""
    peers = [v for v in variants if v in PEERS and size <= LARGEST_FOR_PEERS]
    ours = [v for v in variants if v not in PEERS]
    # All peers do not fit into memory side by side: one of them at a time, the first
    # with all of ours, the others with one.
    groups = [[*peers[:1], *ours], *([peer, *ours[1:2]] for peer in peers[1:])]
    times: dict[str, list[float]] = {v: [] for v in peers + ours}
    results: dict[str, dict] = {}
    names = ("OMP_NUM_THREADS", "OPENMM_CPU_THREADS")
    threads = dict.fromkeys(names, str(options.threads))
    for group in groups:
        workers = {
            variant: Worker(
                "peers_worker.py",
                [variant, json.dumps(files), str(options.threads)],
                VARIANTS[variant] | threads,
            )
            for variant in group
        }
        for _ in range(options.rounds):
            for variant, worker in workers.items():
                answer = worker.ask("step") if worker.ready else {}
                if "ms" in answer:
                    times[variant].append(answer["ms"])
        for variant, worker in workers.items():
            results.setdefault(variant, {}).update(worker.close())
    for variant, numbers in results.items():
        if times[variant]:
            median = float(np.median(times[variant]))
            spread = [min(times[variant]), max(times[variant])]
            numbers |= {"ms_per_step": median, "spread_ms": spread}
    return results


def _derive(rows: dict[str, dict], size: int, extra: dict, matrix_rate: float) -> None:
    """Add what follows from the times: per atom, ns/day, and ratios to the peers'."""
    for variant, numbers in rows.items():
        if "ms_per_step" not in numbers:
            continue
        median = numbers["ms_per_step"]
        numbers["us_per_atom"] = 1000 * median / size
        numbers["ns_per_day"] = 0.5e-6 * 86400e3 / median
        if variant in PEERS:
            continue
        rate = extra["dense_flops_per_step"] / median / 1e6
        numbers |= extra | {"percent_of_matrix_rate": 100 * rate / matrix_rate}
        for peer in ("OpenMM-ML nequip", "nequip AOTInductor"):
            if "ms_per_step" in rows.get(peer, {}):
                ratio = rows[peer]["ms_per_step"] / median
                numbers[f"times_faster_than_{peer}"] = ratio


def _print(rows: dict[str, dict]) -> None:
    for variant, numbers in rows.items():
        line = f"  {variant:20s}"
        if "ms_per_step" in numbers:
            line += f"{numbers['ms_per_step']:10.2f} ms {numbers['peak_gb']:6.2f} GB"
            if "percent_of_matrix_rate" in numbers:
                line += f" {numbers['percent_of_matrix_rate']:4.0f} % of matrix rate"
            for name, ratio in numbers.items():
                _, _, peer = name.partition("times_faster_than_")
                line += f"  {ratio:6.1f} x {peer}" if peer else ""
        else:
            line += f"  {numbers['failed']}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
