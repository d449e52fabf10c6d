# SPDX-License-Identifier: MIT
"""The fused kernel as operators of torch, such as ``openmm_allegro::evaluate``.

TorchForce and PythonForce call them by their names, so a serialized System works
wherever this package is imported. ``evaluate``, ``charges`` and ``evaluate_charged``
are given a list of pairs. Where the kernel was not built, and on other devices than the
CPU, their twins in torch do the same. ``evaluate_atoms`` keeps a list on a card, see
``on_card``.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from ..library import library
from . import compiled, long_range, on_card, twin
from .arguments import check_arguments
from .compiled import number_of_threads
from .pending import completed, exact_tensors
from .program import FORMER, Program, from_former

_ATOMS = (
    "Tensor positions, Tensor cell, Tensor types, Tensor offsets, Tensor neighbors, "
    "Tensor shifts, Tensor integers, Tensor constants, Tensor weights"
)
_SCHEMAS = {
    "evaluate": f"({_ATOMS}) -> (Tensor, Tensor, Tensor)",
    "evaluate_charged": f"({_ATOMS}, Tensor seeds) -> (Tensor, Tensor, Tensor)",
    "charges": f"({_ATOMS}) -> Tensor",
}


@functools.cache
def register() -> torch.library.Library:
    """Make the operators known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "DEF")
    for name, schema in _SCHEMAS.items():
        operators.define(name + schema)
    operators.impl("evaluate", _evaluate_on_cpu, "CPU")
    operators.impl("evaluate", _evaluate_on_gpu, "CUDA")
    operators.impl("evaluate_charged", _evaluate_on_cpu, "CPU")
    operators.impl("evaluate_charged", _evaluate_on_gpu, "CUDA")
    operators.impl("charges", _charges_on_cpu, "CPU")
    operators.impl("charges", _charges_on_gpu, "CUDA")
    operators.define(on_card.SCHEMA)
    for key in ("CPU", "CUDA"):  # a test may have the processor play a card
        operators.impl("evaluate_atoms", on_card.evaluate_atoms, key)
    long_range.register()
    return operators


def _evaluate_on_cpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``, with seeds or without."""
    arrays = _checked(*arrays, on_cpu=True)
    kernels = library()
    if kernels is None:
        return twin.evaluate(*arrays)
    atoms, program, seeds = _in_numpy(*arrays)
    threads = _threads(len(atoms[0]))
    results = compiled.evaluate(kernels, program, *atoms, seeds=seeds, threads=threads)
    energies, forces, strain = map(torch.from_numpy, results)
    return energies, forces, strain


def _evaluate_on_gpu(*arrays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``twin.evaluate``, with seeds or without."""
    return twin.evaluate(*_checked(*arrays))


def _charges_on_cpu(*arrays: Tensor) -> Tensor:
    """See ``twin.charges``."""
    arrays = _checked(*arrays, on_cpu=True)
    kernels = library()
    if kernels is None:
        return twin.charges(*arrays)
    atoms, program, _ = _in_numpy(*arrays)
    threads = _threads(len(atoms[0]))
    return torch.from_numpy(compiled.charges(kernels, program, *atoms, threads=threads))


def _charges_on_gpu(*arrays: Tensor) -> Tensor:
    """See ``twin.charges``."""
    return twin.charges(*_checked(*arrays))


def _checked(*arrays: Tensor, on_cpu: bool = False) -> tuple[Tensor, ...]:
    """Arguments that are safe to run, with the program in the present format.

    On the CPU it has the table that it is to have.
    """
    arrays = _in_present_format(*arrays)
    program = (completed if on_cpu else exact_tensors)(*arrays[6:9])
    arrays = (*arrays[:6], *program, *arrays[9:])
    check_arguments(*arrays)
    return arrays


def _in_numpy(
    *arrays: Tensor,
) -> tuple[list[np.ndarray], Program, np.ndarray | None]:
    """Atoms with their pairs, the program, and seeds if there are any."""
    numbers = [array.detach().numpy() for array in arrays]
    seeds = numbers[9] if len(numbers) > 9 else None
    return numbers[:6], Program(*numbers[6:9]), seeds


def _in_present_format(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Arguments with the program of an earlier System in the present format."""
    integers, constants, weights = arrays[6:9]
    is_former = integers.dim() == 1 and len(integers) and int(integers[0]) == FORMER
    if not is_former or constants.dim() != 1:
        return arrays
    numbers = (values.detach().cpu().numpy() for values in (integers, constants))
    program = from_former(Program(*numbers, weights))
    made = (torch.from_numpy(values).to(weights.device) for values in program[:2])
    return (*arrays[:6], *made, *arrays[8:])


def _threads(atoms: int) -> int:
    """Number of threads: OpenMM's CPU platform's, or torch's.

    Each has forces of its own for all atoms, so there are no more than atoms.
    """
    return number_of_threads(torch.get_num_threads(), largest=atoms)


register()
