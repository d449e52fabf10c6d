# SPDX-License-Identifier: MIT
"""Memory that a training frees is taken again."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
FAULTS = """
import ctypes
import resource
from openmm_allegro.utils.process import keep_freed_memory
libc, array = ctypes.CDLL(None), ctypes.c_void_p()
def faults(megabytes):
    size = megabytes * 2**20
    for turn in range(20):
        if turn == 10:  # the heap has room by now, around what small objects took
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        # as torch does it, whose import takes seconds
        libc.posix_memalign(ctypes.byref(array), *map(ctypes.c_size_t, (64, size)))
        ctypes.memset(array, 1, size)
        libc.free(array)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return (after - before) * resource.getpagesize() / size / 10
print(faults(64))
keep_freed_memory()
print(faults(4), faults(64))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc")
@pytest.mark.skipif(
    HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text(),
    reason="a fault brings many pages at once here",
)
def test_freed_memory_is_taken_again():
    """An array of one size, again and again, faults in few pages.

    Without, all of a large one's come anew; those of a small one do not, and must not
    because of what was set.
    """
    command = [sys.executable, "-c", FAULTS]
    text = subprocess.run(command, capture_output=True, text=True, check=True)
    plain, *kept = map(float, text.stdout.split())
    assert plain > 0.9
    assert len(kept) == 2 and max(kept) < 0.1
