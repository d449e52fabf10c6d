# SPDX-License-Identifier: MIT
"""Programs whose two-body table is made where they are computed.

A table has hundreds of times the numbers of the network that it is made of. Modules of
torch, and with them the XML of a System and its copies, hold the network and how many
intervals the table is to have. The operators complete the program once for each module;
equal ones share the table, which lives as long as one of them.
"""

import hashlib
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ..library import library
from .program import Header, Program, add_to_hash
from .table import INTERVALS, with_table
from .validity import check_numbers

if TYPE_CHECKING:
    from torch import Tensor

_POINTS, _TABLE = Header._fields.index("points"), Header._fields.index("table")
# Attribute of a module's weights: what the program was completed to.
_ATTRIBUTE = "_openmm_allegro_completed"


class _Completed:
    """A program with its table, as arrays of numpy and as tensors over them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._tensors: Program | None = None

    def tensors(self) -> Program:
        import torch

        if self._tensors is None:
            self._tensors = Program(*map(torch.from_numpy, self.program))
        return self._tensors


_known: "weakref.WeakValueDictionary[bytes, _Completed]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


def with_pending_table(program: Program, intervals: int) -> Program:
    """Note in a program without a table that it is to have one of so many intervals."""
    integers = np.array(program.integers)
    integers[_POINTS] = intervals
    return program._replace(integers=integers)


def is_pending(integers: np.ndarray) -> bool:
    """Tell from the integers of a program whether its table is yet to be made."""
    # The weights of a network are before its table, which so begins beyond 0.
    if integers.ndim != 1 or len(integers) < len(Header._fields):
        return False
    return bool(integers[_POINTS] > 0 and integers[_TABLE] == 0)


def exact(integers: np.ndarray) -> np.ndarray:
    """Integers of the program without a table."""
    integers = np.array(integers)
    integers[_POINTS] = 0
    return integers


def completed_arrays(program: Program) -> Program:
    """Complete a program of numpy's arrays, if its table is yet to be made.

    Without compiled kernels it stays without a table.

    Raises
    ------
    ValueError
        If it is no program, or the number of intervals none of ``table.INTERVALS``.
    MemoryError
        As ``table.with_table``.
    """
    return _complete(program).program if is_pending(program.integers) else program


def completed(
    integers: "Tensor", constants: "Tensor", weights: "Tensor"
) -> "tuple[Tensor, Tensor, Tensor]":
    """Complete a program of tensors on the CPU, as ``completed_arrays`` does.

    What it gives for one module's weights stays with them, so that a step only looks.
    """
    numbers = integers.detach().numpy()
    if not is_pending(numbers):
        return integers, constants, weights
    key = numbers.tobytes()
    kept: tuple[bytes, _Completed] | None = getattr(weights, _ATTRIBUTE, None)
    if kept is None or kept[0] != key:
        arrays = (values.detach().numpy() for values in (constants, weights))
        kept = key, _complete(Program(numbers, *arrays))
        setattr(weights, _ATTRIBUTE, kept)
    return tuple(kept[1].tensors())


def _complete(program: Program) -> _Completed:
    """Find the program with its table in this process, or make it."""
    intervals = int(program.integers[_POINTS])
    bare = program._replace(integers=exact(program.integers))
    is_double = program.weights.dtype == np.float64
    # The kernels follow its indices.
    check_numbers(bare.integers, bare.constants, len(bare.weights), is_double)
    if intervals not in INTERVALS:
        raise ValueError(
            "evaluate: expected a program with a two-body table of "
            f"{', '.join(map(str, INTERVALS))} intervals, found {intervals}: it was "
            "damaged or changed; make the System again"
        )
    if library() is None:
        return _Completed(bare)
    with _lock:  # others wait rather than make it, too
        key = _digest(program)
        found = _known.get(key)
        if found is None:
            found = _known[key] = _Completed(with_table(bare, intervals))
    return found


def _digest(program: Program) -> bytes:
    sha = hashlib.sha256()
    add_to_hash(sha, program)
    return sha.digest()


def exact_tensors(*program: Any) -> tuple[Any, ...]:
    """A program of tensors without its table, if that is yet to be made.

    For the twin in torch, which makes no use of tables.
    """
    import torch

    integers, *others = program
    numbers = integers.detach().cpu().numpy()
    if not is_pending(numbers):
        return program
    return torch.from_numpy(exact(numbers)).to(integers.device), *others
