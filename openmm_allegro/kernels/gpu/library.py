# SPDX-License-Identifier: MIT
"""The library that emits kernels for cards and runs their steps: found and loaded."""

import ctypes
import functools
from pathlib import Path

from ...utils.compiler import compiled_library
from .. import header
from ..builds import GPU_FLAGS, GPU_INCLUDED, GPU_SOURCE
from ..library import load_installed

INTERFACE = header.constant("ALLEGRO_GPU_INTERFACE")
Products = header.enumeration("allegro_gpu_products")
Kind = header.enumeration("allegro_gpu_kind")
Counter = header.enumeration("allegro_gpu_counter")


def gpu_library() -> ctypes.CDLL:
    """The functions of ``allegro_gpu.h``, compiled on first use if they have to be.

    Raises
    ------
    ImportError
        If they were not built and cannot be compiled; the message says what to do.
    """
    loaded, obstacle = _find()
    if loaded is None:
        raise ImportError(obstacle)
    return loaded


@functools.cache
def _find() -> tuple[ctypes.CDLL | None, str]:
    """The library, or why there is none."""
    installed = load_installed("gpu._gpu")
    if installed is not None and _is_current(installed):
        return installed, ""
    problem = "was not built" if installed is None else "is of another version"
    try:
        compiled = ctypes.CDLL(str(_compiled()))
    except (ImportError, OSError) as error:
        reason = f"the fused kernel for cards {problem}, and cannot be compiled: "
        return None, reason + str(error)
    if not _is_current(compiled):
        return None, f"the fused kernel for cards {problem}"
    return compiled, ""


def _compiled() -> Path:
    return compiled_library(
        "gpu",
        GPU_SOURCE,
        GPU_FLAGS,
        included=GPU_INCLUDED,
        needed_by="the fused kernel for cards",
    )


def _is_current(loaded: ctypes.CDLL) -> bool:
    """Declare the functions of a library if they are those of ``allegro_gpu.h``."""
    try:
        header.declare(loaded, header.GPU_PATH)
    except AttributeError:
        return False
    return loaded.allegro_gpu_interface() == INTERFACE
