# SPDX-License-Identifier: MIT
"""Processor, memory and signals of a process that works for long."""

import contextlib
import ctypes
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

# From malloc.h of glibc, and the bytes up to which memory is kept.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT = 2**30
_KEPT_BY_OLDER = 2**25  # the most that glibc before 2.35 takes
# Message of a KeyboardInterrupt in Python, the last line of its traceback.
CONTINUES = "what was written stays; the same call with resume=True continues"


def processor_name() -> str:
    """Name of the processor as Linux has it, or its architecture."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def writers_of(paths: Iterable[Path]) -> list[int]:
    """Find the processes of this machine, and this user, that write to files.

    Returns
    -------
    list of int
        Their numbers, without that of this process; empty where there is no ``/proc``.
    """
    files = set()
    for path in paths:
        with contextlib.suppress(OSError):
            about = os.stat(path)
            files.add((about.st_dev, about.st_ino))
    processes = (path for path in Path("/proc").glob("[0-9]*") if files)
    return sorted(
        int(process.name)
        for process in processes
        if int(process.name) != os.getpid() and _writes(process, files)
    )


def _writes(process: Path, files: set[tuple[int, int]]) -> bool:
    """Tell whether a process has one of the files (device, inode) open to write."""
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # it has ended, or is somebody else's
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError, ValueError, StopIteration):
            about = os.stat(descriptor)
            if (about.st_dev, about.st_ino) not in files:
                continue
            lines = (process / "fdinfo" / descriptor.name).read_text().splitlines()
            flags = next(line.split()[1] for line in lines if line[:6] == "flags:")
            if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY:
                return True
    return False


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
    """Note signals to stop instead of raising; the function returns the first, or 0.

    SIGINT and SIGTERM do nothing else: a KeyboardInterrupt raised inside a PythonForce
    would reach us as a failure of OpenMM. Outside the main thread, where signals cannot
    be handled, the function always returns 0.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in numbers
    }
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
