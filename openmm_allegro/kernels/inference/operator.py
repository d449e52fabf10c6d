# SPDX-License-Identifier: MIT
"""The fused kernel as the operator ``openmm_allegro::evaluate``.

TorchForce and PythonForce call it by that name, so a serialized System works wherever
this package is imported. Where the kernel was not built, and on other devices than the
CPU, its twin in torch does the same.
"""

import ctypes
import functools
import importlib.util
import logging
import os
import platform
from pathlib import Path

import torch
from torch import Tensor

from .fold import FORMAT
from .twin import check_format
from .twin import evaluate as evaluate_in_torch

_log = logging.getLogger(__name__)
# Instruction sets from the fastest on, and the flags of /proc/cpuinfo that they need.
_BUILDS = {
    "_avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
    "_avx2": {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"},
    "_generic": set(),
}
_BUILDS["_avx512"] |= _BUILDS["_avx2"]
_SCHEMA = (
    "evaluate(Tensor positions, Tensor cell, Tensor types, Tensor offsets, "
    "Tensor neighbors, Tensor shifts, Tensor integers, Tensor constants, "
    "Tensor weights) -> (Tensor, Tensor, Tensor)"
)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel for this processor, or None where it was not built."""
    loaded = present()
    if loaded is not None and loaded.openmm_allegro_format() == FORMAT:
        return loaded
    if loaded is not None:
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


def present() -> ctypes.CDLL | None:
    """The compiled kernel for this processor, of whatever version."""
    flags = _processor_flags()
    for name, needed in _BUILDS.items():
        found = importlib.util.find_spec(f"..cpu.{name}", __package__)
        if found is None or found.origin is None or not needed <= flags:
            continue
        try:
            loaded = ctypes.CDLL(found.origin)
        except OSError as error:
            _log.warning("the fused kernel cannot be loaded: %s", error)
            continue
        loaded.openmm_allegro_evaluate.restype = None
        return loaded
    return None


def _processor_flags() -> set[str]:
    if platform.machine() not in ("x86_64", "AMD64"):
        return set()
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return set(lines[0].partition(":")[2].split()) if lines else set()


def _evaluate_on_cpu(
    positions: Tensor,
    cell: Tensor,
    types: Tensor,
    offsets: Tensor,
    neighbors: Tensor,
    shifts: Tensor,
    integers: Tensor,
    constants: Tensor,
    weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``."""
    kernel = library()
    arguments = positions, cell, types, offsets, neighbors, shifts
    if kernel is None:
        return evaluate_in_torch(*arguments, integers, constants, weights)
    check_format(int(integers[0]))
    count = positions.shape[0]
    threads = _threads(count)
    energies = torch.zeros(count, dtype=torch.float64)
    forces = torch.zeros((threads, count, 3), dtype=torch.float64)
    strain = torch.zeros((threads, 3, 3), dtype=torch.float64)
    kept = [t.contiguous() for t in (integers, constants, weights, *arguments)]
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in kept]
    kernel.openmm_allegro_evaluate(
        *pointers[:3],
        ctypes.c_long(weights.dtype == torch.float64),
        ctypes.c_long(count),
        *pointers[3:],
        ctypes.c_long(threads),
        *(ctypes.c_void_p(t.data_ptr()) for t in (energies, forces, strain)),
    )
    return energies, forces.sum(0), strain.sum(0)


def _threads(atoms: int) -> int:
    """As many as OpenMM's CPU platform is told to have, or else as torch has.

    Each has forces of its own for all atoms: no more of them than can be of use.
    """
    wanted = os.environ.get("OPENMM_CPU_THREADS", "")
    told = min(int(wanted), os.cpu_count() or 1) if wanted.isdecimal() else 0
    return max(1, min(told or torch.get_num_threads(), atoms))


@functools.cache
def register() -> torch.library.Library:
    """Make the operator known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "DEF")
    operators.define(_SCHEMA)
    operators.impl("evaluate", _evaluate_on_cpu, "CPU")
    operators.impl("evaluate", evaluate_in_torch, "CUDA")
    return operators


register()
