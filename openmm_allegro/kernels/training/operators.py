# SPDX-License-Identifier: MIT
"""Registration and arguments that the operators of the training step share."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from ..library import library


@functools.cache
def fragment() -> torch.library.Library:
    """The operators' library; one in a process."""
    return torch.library.Library("openmm_allegro", "FRAGMENT")


def define(
    schema: str,
    on_cpu: Callable[..., Tensor],
    in_torch: Callable[..., Tensor],
    empty: Callable[..., Tensor],
    backward: Callable[..., tuple],
    save: Callable[..., None],
) -> None:
    """Register an operator that can be traced and differentiated.

    Parameters
    ----------
    schema : str
    on_cpu, in_torch : callable
        What runs on the CPU, and on CUDA.
    empty : callable
        A tensor of the result's shape, for tracing.
    backward, save : callable
        Derivatives, and what they need, see ``torch.library.register_autograd``.
    """
    operators = fragment()
    operators.define(schema)
    name = schema.partition("(")[0]
    operators.impl(name, on_cpu, "CPU")
    operators.impl(name, in_torch, "CUDA")
    full = f"openmm_allegro::{name}"
    torch.library.register_fake(full, empty, lib=operators)
    torch.library.register_autograd(full, backward, setup_context=save, lib=operators)


def runs_compiled(*arrays: Tensor) -> bool:
    """Tell whether the compiled kernel takes arrays of these precisions.

    Raises
    ------
    TypeError
        If they are not of one precision.
    """
    dtypes = {a.dtype for a in arrays}
    if len(dtypes) > 1:
        raise TypeError(f"products: expected arrays of one dtype, found {dtypes}")
    return library() is not None and dtypes <= {torch.float32, torch.float64}


def threads_for(centers: int) -> int:
    """Number of threads; one is not worth its start for a few centres."""
    return max(1, min(torch.get_num_threads(), centers // 64))
