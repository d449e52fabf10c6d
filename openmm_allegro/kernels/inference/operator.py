# SPDX-License-Identifier: MIT
"""The fused kernel as the operator ``openmm_allegro::evaluate``.

TorchForce and PythonForce call it by that name, so a serialized System works wherever
this package is imported. Where the kernel was not built, and on other devices than the
CPU, its twin in torch does the same.
"""

import functools

import torch
from torch import Tensor

from ..library import library
from .arguments import check_arguments
from .compiled import evaluate, number_of_threads
from .program import Program
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
    *atoms, integers, constants, weights = (a.detach().numpy() for a in arrays)
    program = Program(integers, constants, weights)
    results = evaluate(kernels, program, *atoms, threads=_threads(len(atoms[0])))
    energies, forces, strain = map(torch.from_numpy, results)
    return energies, forces, strain


def _evaluate_on_gpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``."""
    check_arguments(*arrays)
    return evaluate_in_torch(*arrays)


def _threads(atoms: int) -> int:
    """Number of threads: OpenMM's CPU platform's, or torch's.

    Each has forces of its own for all atoms, so there are no more than atoms.
    """
    return number_of_threads(torch.get_num_threads(), largest=atoms)


register()
