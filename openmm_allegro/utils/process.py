# SPDX-License-Identifier: MIT
"""What a run asks of its process: a platform, threads, and what signals do."""

import contextlib
import ctypes
import platform
import signal
import threading
from collections.abc import Callable, Iterator

import openmm
import torch

# Fastest first. OpenCL is left out: openmm-torch does not run there.
_PLATFORMS = ("CUDA", "HIP", "CPU", "Reference")
# Of malloc.h of glibc, and the bytes up to which memory is kept.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT = 2**30
_KEPT_BY_OLDER = 2**25  # the most that glibc before 2.35 takes


def choose_platform(name: str | None) -> openmm.Platform:
    """An OpenMM platform by its name, or the fastest there is.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    count = openmm.Platform.getNumPlatforms()
    present = [openmm.Platform.getPlatform(i).getName() for i in range(count)]
    if name is None:
        name = next(p for p in _PLATFORMS if p in present)
    if name not in present:
        raise ValueError(f"expected a platform of {present}, found {name!r}")
    return openmm.Platform.getPlatformByName(name)


def describe_hardware(context: openmm.Context) -> dict[str, str | int]:
    """What a Context computes on, for the record of a run."""
    chosen = context.getPlatform()
    names = chosen.getPropertyNames()
    found: dict[str, str | int] = {"processor": _processor()}
    if "DeviceName" in names:
        found["device"] = chosen.getPropertyValue(context, "DeviceName")
    if "Threads" in names:
        found["threads"] = int(chosen.getPropertyValue(context, "Threads"))
    found["torch_threads"] = torch.get_num_threads()
    return found


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """As many threads for torch, and for the fused kernel, as the platform has."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let the process reuse what it frees instead of asking the kernel anew.

    glibc gives large arrays back, and a step of training takes the same ones again:
    its pages then come zeroed, one fault at a time. Where the C library is another,
    nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    # Trimming set alone would bring back the smallest threshold, with more faults.
    if mallopt(_M_MMAP_THRESHOLD, _KEPT) or mallopt(_M_MMAP_THRESHOLD, _KEPT_BY_OLDER):
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """A function that returns the number of a signal to stop that has come, or 0.

    SIGINT and SIGTERM do nothing else: a KeyboardInterrupt raised inside a PythonForce
    would reach us as a failure of OpenMM. Outside the main thread, where signals cannot
    be handled, always 0.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {
        number: signal.signal(number, lambda number, frame: seen.append(number))
        for number in numbers
    }
    try:
        yield lambda: seen[0] if seen else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _processor() -> str:
    """The processor's name as Linux has it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
