# SPDX-License-Identifier: MIT
"""Checks that three arrays are a program: no index or column in them leads outside."""

import ctypes
import functools

import numpy as np

from .. import header
from ..library import Outcome, check_outcome, library
from .program import Header, Program, check_format, unpack

# Numbers of a header that the twin in torch makes arrays of, where no kernel checks it.
_LARGEST = 2**20
_KINDS = ("int64",), ("float64",), ("float32", "float64")


def check_program(
    integers: np.ndarray, constants: np.ndarray, weights: np.ndarray
) -> int:
    """Refuse arrays that are no program, and return the number of its elements.

    The compiled kernels look at each index, since they follow them blindly. Where they
    were not built, the twin in torch runs the program and looks at each index itself;
    so only lengths of arrays are compared then.

    Parameters
    ----------
    integers : ndarray, int64
    constants : ndarray, float64
    weights : ndarray, float32 or float64
        Of these only the number and the precision matter.

    Raises
    ------
    ValueError
    RuntimeError
        As ``program.check_format``.
    """
    for array, names in zip((integers, constants, weights), _KINDS, strict=True):
        if array.ndim != 1 or array.dtype.name not in names:
            raise _damaged(
                f"arrays of one axis of {' or '.join(names)}, found {array.ndim} of "
                f"{array.dtype}"
            )
    is_double = weights.dtype == np.float64
    return check_numbers(integers, constants, len(weights), is_double)


def check_numbers(
    integers: np.ndarray, constants: np.ndarray, weights: int, is_double: bool
) -> int:
    """Check a program whose arrays have the right types; see ``check_program``.

    Parameters
    ----------
    integers, constants : ndarray
    weights : int
        Number of the weights.
    is_double : bool
        Whether these are double.
    """
    # One that was checked before is only compared, whole, with what was checked.
    return _check(integers.tobytes(), constants.tobytes(), weights, is_double)


@functools.lru_cache(maxsize=32)
def _check(numbers: bytes, values: bytes, weights: int, is_double: bool) -> int:
    integers, constants = np.frombuffer(numbers, np.int64), np.frombuffer(values)
    kernels = library()
    if kernels is None:
        _check_lengths(integers, constants)
    else:
        program = header.structure("allegro_program")(
            integers.ctypes.data, constants.ctypes.data, None, is_double
        )
        message = ctypes.create_string_buffer(300)
        lengths = len(integers), len(constants), weights
        outcome = kernels.allegro_check(program, *lengths, message, len(message))
        check_outcome("evaluate", outcome)
        if outcome == Outcome.OTHER_FORMAT:
            check_format(int(integers[0]))
        if outcome != Outcome.OK:
            raise _damaged(message.value.decode())
    return int(integers[Header._fields.index("types")])


def _check_lengths(integers: np.ndarray, constants: np.ndarray) -> None:
    if len(integers) < len(Header._fields):
        raise _damaged(f"a header, found {len(integers)} integers")
    check_format(int(integers[0]))
    head = Header(*integers[: len(Header._fields)].tolist())
    for name, value in head._asdict().items():
        if name != "table" and not 0 <= value <= _LARGEST:
            raise _damaged(f"{name} from 0 to {_LARGEST}, found {value}")
    try:
        parts = unpack(Program(integers, constants, np.empty(0)))
    except ValueError as error:
        raise _damaged(f"arrays of its lengths, found {error}") from error
    for layer, _ in parts.layers:
        if not 0 <= layer.dim_in * layer.dim_out <= _LARGEST:
            raise _damaged(f"layers of its components, found {layer}")


def _damaged(reason: str) -> ValueError:
    return ValueError(
        f"evaluate: expected a program with {reason}: it was damaged or changed; make "
        "the System or the model's file again"
    )
