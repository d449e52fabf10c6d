# SPDX-License-Identifier: MIT
"""Check the kernels for cards on models of all kinds, without a card.

    python benchmarks/gpu/checks.py [--checks numbers races memory compiled]
        [--models nacl_aq l2_2layers ...] [--architectures 80 90]

writes benchmarks/results/gpu_checks.json after each model; what is not checked again
keeps its results there. `python benchmarks/gpu/page.py` puts them into docs/gpu.md.

numbers   the kernels on a processor that plays a card, beside the twin in float64: the
          root mean square error of forces over that of the twin in float32, for three
          sets of centres; and whether other orders of lanes and groups give the same
          numbers to the last bit
races     the same under ThreadSanitizer
memory    the same under AddressSanitizer and UndefinedBehaviorSanitizer
compiled  NVRTC for each architecture: registers, spills, shared memory, size, seconds

All of it takes an hour of one core; `numbers` are also tests (`make slow`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
from training import commit  # noqa: E402

FILE = ROOT / "benchmarks" / "results" / "gpu_checks.json"
SIZED = ("l1_1layer", "l2_2layers", "l3_3layers")
ROWS = (64, 32, 16, 0)  # of a group; 0 is the kernel for any number of rows
# Work-group memory, bytes, by compute capability.
MEMORY = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
ARCHITECTURES = (80, 89, 90, 100, 120)
SANITIZERS = {"races": "thread", "memory": "address,undefined"}
SEEDS = (0, 1, 2)
KINDS = {"FMA": "single", "3xTF32": "tf32", "double": "double"}


def main() -> None:
    options = _options()
    content = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in options.models:
        for check in options.checks:
            print(name, check, flush=True)
            function, arguments = CHECKS[check], ()
            if check == "compiled":
                arguments = (options.architectures,)
            rows = content.setdefault(name, {}).setdefault(check, {})
            for key, numbers in function(name, *arguments):
                rows[key] = numbers | {"commit": commit(ROOT)[:12]}
            FILE.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    known = names()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=known, default=known)
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument(
        "--architectures", nargs="+", type=int, default=list(ARCHITECTURES)
    )
    return parser.parse_args()


def names() -> list[str]:
    """Models by name: one of systems/, those of the speed table, those of the tests."""
    from gpu_grid import MODELS

    return ["nacl_aq", *SIZED, *MODELS]


def programs(name: str, kind: str) -> Any:
    """The program of a model in the precision of a kind, as tensors."""
    import gpu_grid

    from openmm_allegro import load_model
    from openmm_allegro.kernels.inference.fold import fold

    dtype, _ = gpu_grid.KINDS[kind]
    if name == "nacl_aq":
        model = load_model(ROOT / "systems" / "nacl_aq" / "nacl_aq.safetensors")
        return fold(model.energy, dtype)
    if name in SIZED:
        import workloads

        return fold(workloads.model("water", name).energy, dtype)
    return gpu_grid.program(name, dtype)


def largest(name: str, kind: str, memory: int) -> Any:
    """The kernels of the largest group that fits into so many bytes."""
    from gpu_grid import KINDS as CHOICES
    from gpu_network import emit
    from kernel_helpers import in_numpy

    for rows in ROWS:
        try:
            program = in_numpy(programs(name, kind))
            return emit(program, rows, CHOICES[kind][1], memory, one_space=True)
        except ValueError as error:
            problem = error
    raise problem


def numbers(name: str) -> Iterator[tuple[str, dict]]:
    """Errors on the processor that plays a card."""
    from gpu_grid import KINDS as CHOICES
    from gpu_grid import degrees_of, twin_results
    from gpu_helpers import host_card
    from gpu_network import emit, run_network, star_pairs
    from kernel_helpers import in_numpy

    for way, kind in KINDS.items():
        products = CHOICES[kind][1]
        given = in_numpy(programs(name, kind))
        chosen = [largest(name, kind, 227 * 1024)]
        if way != "3xTF32" and chosen[0].rows:  # which `wide` does not have
            chosen.append(emit(given, 0, products))
        for kernels in chosen:
            degrees = degrees_of(kernels.rows or 16)
            if kernels.rows:  # others would be those of the kernel for any number
                degrees = [degree for degree in degrees if degree <= kernels.rows]
            own, reference, same = [], [], []
            for seed in SEEDS:
                pairs = star_pairs(kernels.cutoffs, degrees, seed)
                exact, single = (
                    twin_results(name, programs(name, one), pairs)
                    for one in ("double", "single")
                )
                runs = []
                for backwards, groups in ((False, 2), (True, 3)):
                    with host_card(backwards=backwards, memory=227 * 1024) as card:
                        runs.append(run_network(card, kernels, pairs, groups=groups))
                same += [np.array_equal(*two) for two in zip(*runs, strict=True)]
                own.append((runs[0].forces - exact.forces).ravel())
                reference.append((single.forces - exact.forces).ravel())
            rms, expected = (_rms(np.concatenate(one)) for one in (own, reference))
            yield (
                f"{way}, {kernels.rows} rows",
                {
                    "force_error_ev_per_angstrom": rms,
                    "force_error_of_float32": rms / expected,
                    "same_in_any_order": all(same),
                },
            )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def sanitized(name: str, sanitizer: str) -> Iterator[tuple[str, dict]]:
    """Errors that a sanitizer finds."""
    import gpu_races
    from gpu_grid import KINDS as CHOICES
    from kernel_helpers import in_numpy

    for way in ("FMA", "3xTF32"):
        kind = KINDS[way]
        rows = min(largest(name, kind, 227 * 1024).rows, 16)
        with tempfile.TemporaryDirectory() as folder:
            (outcome,) = gpu_races.sanitize(
                in_numpy(programs(name, kind)),
                sanitizer,
                Path(folder),
                rows=rows,
                products=int(CHOICES[kind][1]),
            )
        yield f"{way}, {rows} rows", {"error": bool(outcome["error"])}


def compiled(name: str, architectures: list[int]) -> Iterator[tuple[str, dict]]:
    """What NVRTC makes of the kernels."""
    from openmm_allegro.kernels.gpu.nvrtc import find_nvrtc

    nvrtc = find_nvrtc()
    for architecture in architectures:
        for way in ("FMA", "3xTF32"):
            key = f"sm_{architecture}, {way}"
            if architecture not in nvrtc.architectures:
                yield key, {"left_out": f"NVRTC {nvrtc.version} does not know it"}
                continue
            kernels = largest(name, KINDS[way], 1024 * MEMORY[architecture])
            start = time.monotonic()
            made = nvrtc.compile(kernels.source, f"sm_{architecture}")
            seconds = time.monotonic() - start
            resources = made.resources()
            kernel = resources["network" if kernels.rows else "wide"]
            yield (
                key,
                {
                    "rows": kernels.rows,
                    "threads": int(kernels.sizes.threads or kernels.sizes.wide_threads),
                    "registers": kernel.registers,
                    "spills": sum(one.spills for one in resources.values()),
                    "shared_kb": round(
                        (kernels.sizes.memory or kernels.sizes.wide_memory) / 1024, 1
                    ),
                    "cubin_kb": round(len(made.code) / 1024),
                    "seconds": round(seconds, 1),
                },
            )


CHECKS = {
    "numbers": numbers,
    "races": lambda name: sanitized(name, SANITIZERS["races"]),
    "memory": lambda name: sanitized(name, SANITIZERS["memory"]),
    "compiled": compiled,
}


if __name__ == "__main__":
    main()
