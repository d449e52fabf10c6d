# SPDX-License-Identifier: MIT
"""The fused kernel as operators ``openmm_allegro::evaluate`` and ``evaluate_atoms``.

TorchForce and PythonForce call them by these names, so a serialized System works
wherever this package is imported. ``evaluate`` is given a list of pairs. Where the
kernel was not built, and on other devices than the CPU, its twin in torch does the
same. ``evaluate_atoms`` keeps a list on a card, see ``on_card``.
"""

import functools

import torch
from torch import Tensor

from ..library import library
from . import on_card
from .arguments import check_arguments
from .compiled import evaluate, number_of_threads
from .program import FORMER, Program, from_former
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
    operators.define(on_card.SCHEMA)
    for key in ("CPU", "CUDA"):  # a test may have the processor play a card
        operators.impl("evaluate_atoms", on_card.evaluate_atoms, key)
    return operators


def _evaluate_on_cpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``."""
    arrays = _in_present_format(*arrays)
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
    arrays = _in_present_format(*arrays)
    check_arguments(*arrays)
    return evaluate_in_torch(*arrays)


def _in_present_format(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Arguments with the program of an earlier System in the present format."""
    *atoms, integers, constants, weights = arrays
    is_former = integers.dim() == 1 and len(integers) and int(integers[0]) == FORMER
    if not is_former or constants.dim() != 1:
        return arrays
    numbers = (values.detach().cpu().numpy() for values in (integers, constants))
    program = from_former(Program(*numbers, weights))
    made = (torch.from_numpy(values).to(weights.device) for values in program[:2])
    return (*atoms, *made, weights)


def _threads(atoms: int) -> int:
    """Number of threads: OpenMM's CPU platform's, or torch's.

    Each has forces of its own for all atoms, so there are no more than atoms.
    """
    return number_of_threads(torch.get_num_threads(), largest=atoms)


register()
