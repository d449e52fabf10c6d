# SPDX-License-Identifier: MIT
"""Time the same weights and positions through nequip, OpenMM-ML and this package.

Each variant has a process of its own. The processes take some steps in turn, so that a
disturbance of the machine affects all of them. The peers' processes keep their memory
(glibc's variables below): by default they return large tensors to the kernel after each
step and are up to three times slower.

nequip's own modes get a ready pair list and compute energy and forces. The variants in
OpenMM take Langevin steps of 0.5 fs on the CPU platform, pair lists included.

    python benchmarks/peers.py [--sizes 192 1536] [--models l2_2layers] [--rounds 5]

writes benchmarks/results/peers.json. Needs the extra `all`; AOTInductor compiles for a
minute for each model.
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
from workloads import ELEMENTS, MODELS

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
}
PEERS = tuple(name for name in VARIANTS if not name.startswith("ours"))
# nequip needs some 12 kB for each pair and layer, too much for larger systems
LARGEST_FOR_PEERS = 1536


def main() -> None:
    options = _options()
    file = RESULTS / "peers.json"
    content = json.loads(file.read_text()) if file.exists() and options.add else {}
    content["hardware"] = _hardware(options.threads)
    content.setdefault("results", {})
    for system in options.systems:
        for name in options.models:
            with tempfile.TemporaryDirectory() as folder:
                files = _write_models(system, name, Path(folder), options.variants)
                for size in options.sizes:
                    key = f"{system}, {size} atoms, {name}"
                    print(key, flush=True)
                    rate = content["hardware"]["matrix_rate_gflops"]
                    content["results"][key] = _compare(
                        system, size, files, rate, options
                    )
                    RESULTS.mkdir(exist_ok=True)
                    file.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", default=list(ELEMENTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[192, 1536, 12288])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--add", action="store_true", help="to the existing file")
    return parser.parse_args()


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


def _write_models(system: str, name: str, folder: Path, variants: list[str]) -> dict:
    """Write one set of weights in each program's format."""
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
    return {key: str(path) for key, path in files.items()}


def _compare(
    system: str,
    size: int,
    files: dict,
    matrix_rate: float,
    options: argparse.Namespace,
) -> dict:
    peers = [v for v in options.variants if v in PEERS and size <= LARGEST_FOR_PEERS]
    ours = [v for v in options.variants if v not in PEERS]
    # All peers do not fit into memory side by side: one of them at a time, with ours.
    groups = [[peer, *ours] for peer in peers] or [ours]
    times: dict[str, list[float]] = {v: [] for v in peers + ours}
    results: dict[str, dict] = {}
    for group in groups:
        workers = {v: _Worker(v, system, size, files, options.threads) for v in group}
        for _ in range(options.rounds):
            for variant, worker in workers.items():
                milliseconds = worker.measure() if worker.ready else None
                if milliseconds is not None:
                    times[variant].append(milliseconds)
        for variant, worker in workers.items():
            results.setdefault(variant, {}).update(worker.close())
    for variant, numbers in results.items():
        if times[variant]:
            median = float(np.median(times[variant]))
            numbers |= {
                "ms_per_step": median,
                "spread_ms": [min(times[variant]), max(times[variant])],
                "us_per_atom": 1000 * median / size,
                "ns_per_day": 0.5e-6 * 86400e3 / median,
            }
        if "ms_per_step" in numbers and "dense_flops_per_step" in numbers:
            rate = numbers["dense_flops_per_step"] / numbers["ms_per_step"] / 1e6
            numbers["percent_of_matrix_rate"] = 100 * rate / matrix_rate
    _print(results)
    return results


def _print(results: dict[str, dict]) -> None:
    """Print a line for each variant, and add the ratios to the peers' times."""
    for variant, numbers in results.items():
        line = f"  {variant:20s}"
        if "ms_per_step" in numbers:
            line += f"{numbers['ms_per_step']:10.2f} ms {numbers['peak_gb']:6.2f} GB"
            if "percent_of_matrix_rate" in numbers:
                line += f" {numbers['percent_of_matrix_rate']:4.0f} % of matrix rate"
            for peer in ("OpenMM-ML nequip", "nequip AOTInductor"):
                if variant not in PEERS and "ms_per_step" in results.get(peer, {}):
                    ratio = results[peer]["ms_per_step"] / numbers["ms_per_step"]
                    numbers[f"times_faster_than_{peer}"] = ratio
                    line += f"  {ratio:6.1f} x {peer}"
        else:
            line += f"  {numbers['failed']}"
        print(line, flush=True)


class _Worker:
    """A process with one variant, which takes steps on request."""

    def __init__(
        self, variant: str, system: str, size: int, files: dict, threads: int
    ) -> None:
        script = Path(__file__).with_name("peers_worker.py")
        arguments = [variant, system, str(size), json.dumps(files), str(threads)]
        self.process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | VARIANTS[variant] | {"OMP_NUM_THREADS": str(threads)},
        )
        self.answer = self._read()
        self.ready = "ready" in self.answer

    def measure(self) -> float | None:
        self.answer = self._ask("step")
        return self.answer.get("ms")

    def close(self) -> dict:
        if "failed" in self.answer:
            self.process.kill()
            return {"failed": self.answer["failed"]}
        answer = self._ask("end")
        self.process.wait()
        return answer

    def _ask(self, word: str) -> dict:
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"failed": "ended by the system, probably for its memory"}
        return self._read()

    def _read(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"failed": "ended by the system, probably for its memory"}


if __name__ == "__main__":
    main()
