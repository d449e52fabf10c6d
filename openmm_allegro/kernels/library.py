# SPDX-License-Identifier: MIT
"""The compiled kernels: found, checked and loaded for this processor."""

import ctypes
import functools
import importlib.util
import logging
import platform
from pathlib import Path

from . import header

FORMAT = header.constant("ALLEGRO_FORMAT")
INTERFACE = header.constant("ALLEGRO_INTERFACE")
_log = logging.getLogger(__name__)
# Instruction sets from the fastest on, and the flags of /proc/cpuinfo that they need.
_AVX2 = {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"}
BUILDS = {
    "_avx512": _AVX2 | {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
    "_avx2": _AVX2,
    "_generic": set(),
}


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels for this processor; None without them, which is logged."""
    for build in BUILDS:
        loaded = load(build)
        if loaded is None:
            continue
        if is_current(loaded):
            return loaded
        _log.warning(
            "the fused kernel is of another version: install the package again; until "
            "then the network runs in plain torch, several times slower"
        )
        return None
    _log.warning(
        "the fused kernel was not built (it needs a C++ compiler when the package is "
        "installed); the network runs in plain torch, several times slower"
    )
    return None


def load(build: str) -> ctypes.CDLL | None:
    """Load one of ``BUILDS``; None if it was not built or does not run here."""
    spec = importlib.util.find_spec(f"{__package__}.cpu.{build}")
    if spec is None or spec.origin is None or not BUILDS[build] <= processor_flags():
        return None
    try:
        return ctypes.CDLL(spec.origin)
    except OSError as error:
        _log.warning("the fused kernel cannot be loaded: %s", error)
        return None


def is_current(loaded: ctypes.CDLL) -> bool:
    """Declare the functions of a library if they are those of ``allegro.h``."""
    try:
        versions = loaded.allegro_format(), loaded.allegro_interface()
        header.declare(loaded)
    except AttributeError:
        return False
    return versions == (FORMAT, INTERFACE)


@functools.cache
def processor_flags() -> set[str]:
    """Instruction sets of this processor, as Linux names them."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return set()
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return set(lines[0].partition(":")[2].split()) if lines else set()
