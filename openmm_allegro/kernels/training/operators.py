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


def check_arrays(name: str, *arrays: Tensor) -> None:
    """Refuse arrays that are not all of one floating-point type on one device.

    Raises
    ------
    TypeError
    """
    first = arrays[0]
    dtype, device = first.dtype, first.device
    for array in arrays:
        if array.dtype is not dtype or array.device != device:
            raise TypeError(
                f"{name}: expected arrays of one dtype on one device, found {dtype} on "
                f"{device} and {array.dtype} on {array.device}"
            )
    if not dtype.is_floating_point:
        raise TypeError(
            f"{name}: expected arrays of a floating-point type, found {dtype}"
        )


def check_memory(name: str, *arrays: Tensor) -> None:
    """Refuse arrays whose memory was freed.

    Raises
    ------
    ValueError
    """
    pointers = [a.data_ptr() for a in arrays]
    if 0 in pointers and any(a.numel() for a in arrays if not a.data_ptr()):
        raise ValueError(f"{name}: expected arrays in memory, found one that was freed")


def runs_compiled(array: Tensor) -> bool:
    """Tell whether the compiled kernel takes arrays of this precision."""
    return library() is not None and array.dtype in (torch.float32, torch.float64)


def threads_for(centers: int) -> int:
    """Number of threads; one is not worth its start for a few centres."""
    return max(1, min(torch.get_num_threads(), centers // 64))
