# SPDX-License-Identifier: MIT
"""Checks of what the operators that run a program are given, at each call.

The kernel follows indices in the program, the types and the pair list without looking
at them again, so that one of them out of range would end the process.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .validity import check_numbers


class _Kind(NamedTuple):
    dtypes: tuple[torch.dtype, ...]
    length: str  # the first, by name
    rest: tuple[int, ...]  # of the shape


_INTEGERS, _FLOATS = (torch.int64,), (torch.float64,)
_KINDS = {
    "positions": _Kind(_FLOATS, "N", (3,)),
    "cell": _Kind(_FLOATS, "3", (3,)),
    "types": _Kind(_INTEGERS, "N", ()),
    "offsets": _Kind(_INTEGERS, "N + 1", ()),
    "neighbors": _Kind((torch.int32,), "P", ()),
    "shifts": _Kind((torch.int8,), "P", (3,)),
    "integers": _Kind(_INTEGERS, "I", ()),
    "constants": _Kind(_FLOATS, "C", ()),
    "weights": _Kind((torch.float32, torch.float64), "W", ()),
    "seeds": _Kind(_FLOATS, "N", ()),
}
_UNSIGNED = {torch.int32: np.uint32, torch.int64: np.uint64}


def check_arguments(*arrays: Tensor) -> None:
    """Refuse arrays of other kinds, and indices that are out of range.

    Parameters
    ----------
    *arrays : Tensor
        As ``twin.evaluate``, with seeds or without. Positions, the cell and seeds may
        hold any number, NaN too.

    Raises
    ------
    ValueError
    RuntimeError
        If the program is of another format.
    """
    _check_kinds(arrays)
    positions, _, types, offsets, neighbors, _, *program = arrays[:9]
    integers, constants, weights = program
    numbers, values = (a.detach().cpu().numpy() for a in (integers, constants))
    elements = check_numbers(
        numbers, values, len(weights), weights.dtype == torch.float64
    )
    count = len(positions)
    _check_range("types", types, elements)
    _check_range("neighbors", neighbors, count)
    pairs = len(neighbors)
    bounds = int(offsets[0]), int(offsets[-1])
    if bounds != (0, pairs) or not _is_below(offsets[1:] - offsets[:-1], pairs + 1):
        raise ValueError(
            f"evaluate: expected offsets that rise from 0 to {pairs}, the number of "
            "pairs, found others"
        )


def _check_kinds(arrays: tuple[Tensor, ...]) -> None:
    device, count = arrays[0].device, arrays[0].shape[:1]
    lengths = {"3": (3,), "N": count, "P": arrays[4].shape[:1]}
    lengths["N + 1"] = tuple(n + 1 for n in count)
    for (name, kind), array in zip(_KINDS.items(), arrays):  # noqa: B905, no seeds
        if array.dtype not in kind.dtypes:
            raise ValueError(
                f"evaluate: expected {name} of {' or '.join(map(str, kind.dtypes))}, "
                f"found {array.dtype}"
            )
        if array.device != device:
            raise ValueError(
                f"evaluate: expected all arrays on one device, found {name} on "
                f"{array.device} and positions on {device}"
            )
        shape = array.shape
        # A length that nothing else tells is the array's own.
        length = lengths.get(kind.length) or shape[:1]
        if shape != length + kind.rest or not length:
            raise ValueError(
                f"evaluate: expected {name} of shape {[kind.length, *kind.rest]} for "
                f"positions of shape {list(arrays[0].shape)} and "
                f"{list(arrays[4].shape)} neighbors, found {list(shape)}"
            )
        if not array.data_ptr() and array.numel():
            raise ValueError(f"evaluate: expected {name} in memory, found it freed")


def _check_range(name: str, values: Tensor, end: int) -> None:
    if not _is_below(values, end):
        raise ValueError(
            f"evaluate: expected {name} from 0 to {end - 1}, found {int(values.min())} "
            f"to {int(values.max())}"
        )


def _is_below(values: Tensor, end: int) -> bool:
    """Tell whether all are at least 0 and below a limit."""
    if len(values) == 0:
        return True
    if values.is_cuda:
        return bool((values >= 0).all() and (values < end).all())
    # One pass instead of two: a negative number is a large one without its sign.
    return int(values.numpy().view(_UNSIGNED[values.dtype]).max()) < end
