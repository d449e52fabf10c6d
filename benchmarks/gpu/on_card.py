# SPDX-License-Identifier: MIT
"""Parts that run the kernels alone: no torch, no OpenMM's platforms."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cases import Case, nacl, on_processor, water
from driver import Clock, free_memory
from roofline import rates, work_of
from stepper import WAYS, Counter, Refused, Results, Steps, Watched, make_device

if TYPE_CHECKING:
    from part import Rows, Settings

ROWS = (64, 32, 16, 0)
# Times along each axis of the box of 184 or 192 atoms.
COPIES = (1, 2, 4, 8)
PACKAGES = (
    *("OpenMM-CUDA-12", "OpenMM-CUDA-13", "triton", "lightning"),
    *("nequip", "nequip-allegro", "openmmml"),
)
QUERY = (
    *("name", "driver_version", "memory.total", "clocks.sm", "clocks.mem"),
    *("clocks.max.sm", "clocks.max.mem", "power.limit", "compute_cap"),
)


def machine(settings: Settings) -> Rows:
    """Card, versions, and what torch reaches on it."""
    from hardware import hardware, version

    yield "host", hardware(len(os.sched_getaffinity(0)))
    yield "card", {} if settings.dry else _card()
    yield "tools", {"compute-sanitizer": _version("compute-sanitizer")}
    yield "packages", {name: version(name) for name in PACKAGES}
    if settings.dry:
        return
    from openmm_allegro.kernels.gpu.nvrtc import find_nvrtc

    yield "nvrtc", {"version": ".".join(map(str, find_nvrtc().version))}
    yield "ceilings", _ceilings()


def _ceilings() -> dict:
    """Rates of a copy and of products of matrices by torch, on random data."""
    import torch

    def seconds(function, count=10):
        for _ in range(3):
            function()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / count / 1000

    source = torch.empty(1 << 30, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * 4 * source.numel() / seconds(lambda: target.copy_(source))
    a, b = (torch.randn(8192, 8192, device="cuda") for _ in range(2))
    rates = {"copy_tb_per_second": copied / 1e12}
    for name, precision in (("float32", "highest"), ("tf32", "high")):
        torch.set_float32_matmul_precision(precision)
        taken = seconds(lambda: a @ b)
        rates[f"{name}_tflop_per_second"] = 2 * 8192**3 / taken / 1e12
    return rates


def _card() -> dict:
    """What NVIDIA's tool says of the first card."""
    command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    values = result.stdout.splitlines()[0].split(", ")
    return dict(zip(QUERY, values, strict=True))


def _version(tool: str) -> str | None:
    if shutil.which(tool) is None:
        return None
    result = subprocess.run([tool, "--version"], capture_output=True, text=True)
    return result.stdout.strip().splitlines()[-1]


def correct(settings: Settings) -> Rows:
    """Compare poisoned results with float64, twice, for all ways and rows."""
    cases = [nacl(1), water(1, settings.folder)]
    if not settings.dry:
        cases += [nacl(2)]
    for case in cases:
        exact, single = (on_processor(case, kind) for kind in ("double", "single"))
        for way, rows in _choices(settings):
            key = f"{_plain(case)}, {way}, {rows} rows"
            try:
                device = Watched(_chosen(settings, way))
                yield key, _errors(device, case, rows, exact, single)
            except Refused as error:
                yield key, {"refused": str(error)}


def _plain(case: Case) -> str:
    """Name of a case; of the smallest without its number of atoms."""
    return case.name.removesuffix(", 184 atoms").removesuffix(", 192 atoms")


def _choices(settings: Settings) -> list[tuple[str, int]]:
    """Products and rows, from the fastest on; 0 rows is the kernel for any number."""
    if settings.dry:
        return [("FMA", 64), ("FMA", 0)]
    packed = [(way, rows) for rows in ROWS if rows for way in WAYS]
    return [*packed, ("FMA", 0)]


def _chosen(settings: Settings, way: str):
    """A device whose fastest products are as chosen."""
    device = make_device(settings.dry)
    device.products = int(WAYS[way])
    return device


def _errors(
    device: Watched, case: Case, rows: int, exact: tuple, single: tuple
) -> dict:
    """Errors of poisoned steps, and whether two are the same to the last bit."""
    steps = Steps(device, case, rows)
    steps.step()
    steps.finish()
    results: list[Results] = []
    for _ in range(2):
        steps.poison()
        device.launches.clear()
        before = device.waits
        steps.step()
        counts = {"launches": sum(device.launches.values())}
        counts["waits"] = device.waits - before
        steps.finish()
        results.append(steps.results())
    steps.close()
    first, second = results
    error, reference = (abs(forces - exact[1]) for forces in (first.forces, single[1]))
    same = [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    return counts | {
        "finite": all(bool(np.isfinite(array).all()) for array in first),
        "same_twice": all(same),
        "force_error_rms_mev": 1000 * float(np.sqrt((error**2).mean())),
        "force_error_max_mev": 1000 * float(error.max()),
        # times the largest of the fused kernel of a processor in float32
        "force_error_of_float32": float(error.max() / reference.max()),
        "energy_error_mev_per_atom": 1000
        * float(abs((first.energies - exact[0]).mean())),
        "strain_error_mev": 1000 * float(abs(first.strain - exact[2]).max()),
        "sum_of_forces_mev": 1000 * float(abs(first.forces.sum(axis=0)).max()),
    }


def races(settings: Settings) -> Rows:
    """Let compute-sanitizer look at one step of 184 atoms."""
    tool = shutil.which("compute-sanitizer")
    if settings.dry or tool is None:
        yield "racecheck", {"left_out": "compute-sanitizer is not installed"}
        return
    for name in ("racecheck", "memcheck", "synccheck", "initcheck"):
        command = [tool, "--tool", name, "--error-exitcode", "77", sys.executable]
        command += [str(Path(__file__).with_name("one_step.py"))]
        limit = max(settings.left() - 2, 1)
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=limit
            )
        except subprocess.TimeoutExpired:
            yield name, {"stopped": f"after {limit:.0f} s"}
            return
        summary = re.findall(r"=+ (\w+ SUMMARY: .*)", result.stdout + result.stderr)
        yield name, {"exit": result.returncode, "summary": (summary or ["none"])[-1]}


def kernels(settings: Settings) -> Rows:
    """Time steps and their kernels, by size, way and rows."""
    name = "" if settings.dry else _card()["name"]
    works = {}
    for way, rows in _choices(settings):
        # The kernel for any number of rows is slow where all centres are its.
        several = COPIES[: 1 if settings.dry else 2 if rows == 0 else None]
        for copies in several:
            for case in (water(copies, settings.folder), nacl(copies)):
                if case.model not in works:  # the smallest box comes first
                    works[case.model] = work_of(case)
                key = f"{case.name}, {way}, {rows} rows"
                if settings.left() < 5 and not settings.dry:
                    yield key, {"left_out": "no time left"}
                    continue
                try:
                    numbers = _times(_chosen(settings, way), case, rows, settings)
                except Refused as error:
                    yield key, {"refused": str(error)}
                    continue
                if "us_per_atom" in numbers:
                    numbers |= rates(works[case.model], name, way, numbers)
                yield key, numbers
    if not settings.dry:
        yield "card at the end", _card()


def _times(device, case: Case, rows: int, settings: Settings) -> dict:
    """Median time of a step, by events around it, and of each kernel in it."""
    clock = None if settings.dry else Clock(device)
    watched = Watched(device, clock)
    start = time.monotonic()
    steps = Steps(watched, case, rows)
    steps.step()
    steps.finish()
    opened = time.monotonic() - start
    start = time.monotonic()
    steps.step()
    steps.finish()
    one = time.monotonic() - start
    count = 2 if settings.dry else max(3, min(20, int(0.5 / one)))
    random = np.random.default_rng(0)
    times, kernels = [], []
    for _ in range(count):
        moved = random.normal(0, 1e-3, case.positions.shape)
        steps.place(case.positions + moved, case.cell)
        steps.step()
        counters = steps.finish()
        if clock is not None:
            kernels.append(clock.read())
    watched.clock = None
    for _ in range(0 if clock is None else count):
        with clock.interval("step"):
            steps.step()
        times.append(clock.read()["step"])
    allocated = watched.allocated
    steps.close()
    numbers = {
        "atoms": len(case.symbols),
        "groups": counters[Counter.GROUPS],
        "wide": counters[Counter.WIDE],
        "bytes_per_atom": allocated / len(case.symbols),
    }
    if clock is None:
        return numbers
    ms = statistics.median(times)
    names = {name for one in kernels for name in one}
    return numbers | {
        "ms": ms,
        "spread_ms": [min(times), max(times)],
        "us_per_atom": 1000 * ms / len(case.symbols),
        "seconds_to_open": opened,
        "kernels_us": {
            name: 1000 * statistics.median(one.get(name, 0.0) for one in kernels)
            for name in sorted(names)
        },
    }


def memory(settings: Settings) -> Rows:
    """Memory of the card that steps of many atoms take, and their time."""
    for copies in (1,) if settings.dry else (8, 18):
        case = water(copies, settings.folder)
        ready = make_device(settings.dry)
        clock = None if settings.dry else Clock(ready)
        before = 0 if settings.dry else free_memory()
        device = Watched(ready)
        steps = Steps(device, case)
        for _ in range(2):
            steps.step()
            steps.finish()
        numbers = {
            "buffers_gb": device.allocated / 1e9,
            "bytes_per_atom": device.allocated / len(case.symbols),
            "finite": bool(np.isfinite(steps.results().forces).all()),
        }
        if clock is not None:
            numbers["card_gb"] = (before - free_memory()) / 1e9
            with clock.interval("step"):
                steps.step()
            numbers["ms"] = clock.read()["step"]
            numbers["us_per_atom"] = 1000 * numbers["ms"] / len(case.symbols)
        steps.close()
        yield case.name, numbers
