# SPDX-License-Identifier: MIT
"""The compiled kernels: found, checked and loaded for this processor."""

import ctypes
import functools
import importlib.util
import logging
import platform
from pathlib import Path

from ..utils.compiler import compiled_library
from . import header
from .builds import BUILDS, FLAGS, INCLUDED, SOURCE

FORMAT = header.constant("ALLEGRO_FORMAT")
INTERFACE = header.constant("ALLEGRO_INTERFACE")
Outcome = header.enumeration("allegro_outcome")
_log = logging.getLogger(__name__)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels for this processor; None without them, which is logged."""
    loaded, obstacle = _find()
    if loaded is None:
        _log.warning(
            "%s; without it the native force cannot run, and torch takes several times "
            "longer",
            obstacle,
        )
    return loaded


def obstacle() -> str:
    """Say why there are no kernels; nothing where there are."""
    return _find()[1]


@functools.cache
def _find() -> tuple[ctypes.CDLL | None, str]:
    """The kernels, or why there are none.

    Where none were installed, or those of another version, this processor's are
    compiled on first use.
    """
    installed = next(filter(None, map(load, BUILDS)), None)
    if installed is not None and is_current(installed):
        return installed, ""
    problem = "was not built" if installed is None else "is of another version"
    try:
        loaded = _compiled()
    except (ImportError, OSError) as error:
        return None, f"the fused kernel {problem}, and cannot be compiled: {error}"
    return (loaded, "") if is_current(loaded) else (None, f"the fused kernel {problem}")


def load(build: str) -> ctypes.CDLL | None:
    """Load one of ``BUILDS``; None if it was not installed or does not run here."""
    return load_installed(f"cpu.{build}") if _runs_here(build) else None


def library_paths() -> list[Path]:
    """Files of the compiled kernels, best first, for programs that load them.

    They are those of all instruction sets that were installed, or the one that was
    compiled for this processor.

    Raises
    ------
    ImportError
        If there are none; the message says why.
    """
    loaded, problem = _find()
    if loaded is None:
        raise ImportError(problem)
    origins = [_origin(f"cpu.{build}") for build in BUILDS]
    installed = [Path(origin) for origin in origins if origin is not None]
    own = Path(loaded._name)
    return installed if own in installed else [own]


def load_installed(name: str) -> ctypes.CDLL | None:
    """Load a library that was built with the package; None if it was not."""
    origin = _origin(name)
    if origin is None:
        return None
    try:
        return ctypes.CDLL(origin)
    except OSError as error:
        _log.warning("the fused kernel cannot be loaded: %s", error)
        return None


def _origin(name: str) -> str | None:
    """Path of a library that was built with the package; None if it was not."""
    spec = importlib.util.find_spec(f"{__package__}.{name}")
    return None if spec is None else spec.origin


def check_outcome(name: str, outcome: int) -> None:
    """Raise an error where a function of the library had too little memory.

    Raises
    ------
    MemoryError
    """
    if outcome == Outcome.NO_MEMORY:
        raise MemoryError(
            f"{name}: expected more memory for the kernel, found none left; use fewer "
            "atoms or threads"
        )


def is_current(loaded: ctypes.CDLL) -> bool:
    """Declare the functions of a library if they are those of ``allegro.h``."""
    try:
        versions = loaded.allegro_format(), loaded.allegro_interface()
        header.declare(loaded)
    except AttributeError:
        return False
    return versions == (FORMAT, INTERFACE)


def _compiled() -> ctypes.CDLL:
    """The fastest build for this processor, out of the user's cache folder."""
    build = next(filter(_runs_here, BUILDS))
    path = compiled_library(
        f"kernels{build}",
        SOURCE,
        FLAGS + BUILDS[build].flags,
        included=INCLUDED,
        needed_by="the fused kernel",
    )
    return ctypes.CDLL(str(path))


def _runs_here(build: str) -> bool:
    return BUILDS[build].needs <= processor_flags()


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
