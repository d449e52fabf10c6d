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
# Those of benchmarks/gpu, beside some of the others.
ON_CARD = {
    "nequip AOTInductor, Triton": TUNED,
    "ours, PythonForce": {},
}
ENVIRONMENTS = VARIANTS | ON_CARD
PEERS = tuple(name for name in ENVIRONMENTS if not name.startswith("ours"))
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
            files, ours = write_models(system, name, Path(folder), variants)
            for *_, size, chosen in cases:
                key = f"{system}, {size} atoms, {name}"
                print(key, flush=True)
                files["atoms"] = write_atoms(system, size, Path(folder))
                extra = _work(system, size, ours)
                rate = content["hardware"]["matrix_rate_gflops"]
                peers = [
                    v for v in chosen if size <= LARGEST_FOR_PEERS or v not in PEERS
                ]
                rows = compare(files, peers, options.rounds, options.threads)
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


def write_models(
    system: str, name: str, folder: Path, variants: list[str], device: str = "cpu"
) -> tuple[dict[str, str], Model]:
    """Write one set of weights in each program's format; also the model itself."""
    from workloads import model

    from openmm_allegro import save_model

    ours = model(system, name)
    files = {"device": device}
    files["ours"] = str(save_model(ours, folder / "model.safetensors"))
    if any(variant in PEERS for variant in variants):
        from openmm_allegro.interop.nequip import export_model

        files["eager"] = str(export_model(ours, folder / "model.ckpt"))
        files |= _compiled(Path(files["eager"]), folder, variants, device)
    return files, ours


def _compiled(
    checkpoint: Path, folder: Path, variants: list[str], device: str
) -> dict[str, str]:
    """Compile nequip's model as variants need it, at once; without those that fail."""
    command = "import sys; from nequip.scripts.compile import main; main(sys.argv[1:])"
    modes = {
        "nequip TorchScript": ("torchscript", "pth", []),
        "nequip AOTInductor": ("aotinductor", "pt2", []),
        "nequip AOTInductor, Triton": (
            "aotinductor",
            "pt2",
            ["enable_TritonContracter"],
        ),
    }
    begun = {}
    for variant in [name for name in variants if name in modes]:
        mode, suffix, modifiers = modes[variant]
        file = folder / f"model{len(begun)}.nequip.{suffix}"
        arguments = [checkpoint, file, "--mode", mode, "--target", "ase"]
        arguments += ["--device", device]
        arguments += ["--modifiers", *modifiers] if modifiers else []
        run = [sys.executable, "-c", command, *map(str, arguments)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        begun[variant] = file, subprocess.Popen(run, **pipes)
    files = {}
    for variant, (file, process) in begun.items():
        _, error = process.communicate()
        if process.returncode:
            last = (error.strip().splitlines() or ["no reason given"])[-1]
            print(f"  {variant}: {last[:200]}")
        else:
            files[variant] = str(file)
    return files


def write_atoms(system: str, size: int, folder: Path) -> str:
    """Write a structure for all variants."""
    from workloads import structure

    atoms = structure(system, size)
    file = folder / f"{size}.npz"
    symbols, cell = list(atoms.symbols), atoms.cell.array
    np.savez(file, symbols=symbols, positions=atoms.positions, cell=cell)
    return str(file)


def _work(system: str, size: int, model: Model) -> dict[str, int]:
    """Count pairs, and what the dense layers compute for them."""
    import torch
    from flops import count
    from workloads import structure

    from openmm_allegro.kernels.inference.fold import fold
    from openmm_allegro.kernels.inference.program import unpack
    from openmm_allegro.neighbors import VerletList

    atoms = structure(system, size)
    pairs = VerletList(model.config.cutoff, 0.0)
    box = torch.tensor(atoms.cell.array), torch.ones(3, dtype=torch.bool)
    pairs(torch.tensor(atoms.positions), *box)
    dense = count(unpack(fold(model.energy, torch.float32))).linear
    number = len(pairs.neighbors)
    return {"pairs": number, "dense_flops_per_step": dense * number}


def compare(
    files: dict, variants: list[str], rounds: int, threads: int
) -> dict[str, dict]:
    """Measure variants of a case in turn."""
    peers = [v for v in variants if v in PEERS]
    ours = [v for v in variants if v not in PEERS]
    # All peers do not fit into memory side by side: one of them at a time, the first
    # with all of ours, the others with one.
    groups = [[*peers[:1], *ours], *([peer, *ours[1:2]] for peer in peers[1:])]
    times: dict[str, list[float]] = {v: [] for v in peers + ours}
    results: dict[str, dict] = {}
    names = ("OMP_NUM_THREADS", "OPENMM_CPU_THREADS")
    limits = dict.fromkeys(names, str(threads))
    for group in groups:
        workers = {
            variant: Worker(
                "peers_worker.py",
                [variant, json.dumps(files), str(threads)],
                ENVIRONMENTS[variant] | limits,
            )
            for variant in group
        }
        for _ in range(rounds):
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
