# SPDX-License-Identifier: MIT
"""The fused kernel as the operator ``openmm_allegro::evaluate``.

TorchForce and PythonForce call it by that name, so a serialized System works wherever
this package is imported. Where the kernel was not built, and on other devices than the
CPU, its twin in torch does the same.
"""

import functools
import os

import torch
from torch import Tensor

from ..header import filled
from ..library import Outcome, check_outcome, library
from .arguments import check_arguments
from .twin import evaluate as evaluate_in_torch

_SCHEMA = (
    "evaluate(Tensor positions, Tensor cell, Tensor types, Tensor offsets, "
    "Tensor neighbors, Tensor shifts, Tensor integers, Tensor constants, "
    "Tensor weights) -> (Tensor, Tensor, Tensor)"
)


@functools.cache
def register() -> torch.library.Library:
    """Make the operator known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "DEF")
    operators.define(_SCHEMA)
    operators.impl("evaluate", _evaluate_on_cpu, "CPU")
    operators.impl("evaluate", _evaluate_on_gpu, "CUDA")
    return operators


def _evaluate_on_cpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``."""
    check_arguments(*arrays)
    kernels = library()
    if kernels is None:
        return evaluate_in_torch(*arrays)
    positions, cell, types, offsets, neighbors, shifts, *program = arrays
    integers, constants, weights = program
    count = positions.shape[0]
    threads = _threads(count)
    energies = torch.zeros(count, dtype=torch.float64)
    forces = torch.zeros((threads, count, 3), dtype=torch.float64)
    strain = torch.zeros((threads, 3, 3), dtype=torch.float64)
    folded = filled(
        "allegro_program",
        integers=integers.contiguous(),
        constants=constants.contiguous(),
        weights=weights.contiguous(),
        is_double=weights.dtype == torch.float64,
    )
    atoms = filled(
        "allegro_atoms",
        count=count,
        positions=positions.contiguous(),
        cell=cell.contiguous(),
        types=types.contiguous(),
        offsets=offsets.contiguous(),
        neighbors=neighbors.contiguous(),
        shifts=shifts.contiguous(),
    )
    results = filled("allegro_results", energies=energies, forces=forces, strain=strain)
    model = kernels.allegro_open(folded)
    if model is None:  # its format is known from the check
        check_outcome("evaluate", Outcome.NO_MEMORY)
    outcome = kernels.allegro_run_threads(model, atoms, threads, results)
    kernels.allegro_close(model)
    check_outcome("evaluate", outcome)
    return energies, forces.sum(0), strain.sum(0)


def _evaluate_on_gpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``."""
    check_arguments(*arrays)
    return evaluate_in_torch(*arrays)


def _threads(atoms: int) -> int:
    """Number of threads: OpenMM's CPU platform's, or torch's.

    Each has forces of its own for all atoms, so there are no more than atoms.
    """
    text = os.environ.get("OPENMM_CPU_THREADS", "")
    wanted = min(int(text), os.cpu_count() or 1) if text.isdecimal() else 0
    return max(1, min(wanted or torch.get_num_threads(), atoms))


register()
