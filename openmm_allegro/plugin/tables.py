# SPDX-License-Identifier: MIT
"""Fill two-body tables of the native force from the user's cache folder."""

import ctypes
import signal
import threading
from typing import Any

import numpy as np

from ..kernels.header import structure
from ..kernels.inference.program import Program, unpack
from ..kernels.inference.table import tabulate
from ..utils.process import interruptible

_LATER = 0.1  # seconds, in which the callback has returned
_COUNT = ctypes.c_int64
_PROGRAM = ctypes.POINTER(structure("allegro_program"))
# allegro_fill_table of allegro_plugin.h
_Function = ctypes.CFUNCTYPE(_COUNT, _PROGRAM, *[_COUNT] * 5, ctypes.c_void_p)


def fill_tables_by_cache(loaded: ctypes.CDLL) -> None:
    """Let the plugin ask for tables here, where those that were kept are known."""
    address = ctypes.cast(_fill, ctypes.c_void_p)
    loaded.allegro_plugin_fill_tables_by(address)


@_Function
def _fill(
    given: Any,
    integers: int,
    constants: int,
    weights: int,
    intervals: int,
    threads: int,
    table: int,
) -> int:
    """Fill a table; 0 where the kernels are to try, and to say why they cannot."""
    filled = 1
    with interruptible() as interrupted:
        try:
            arrays = given.contents
            dtype = np.float64 if arrays.is_double else np.float32
            program = Program(
                _array(arrays.integers, np.int64, integers),
                _array(arrays.constants, np.float64, constants),
                _array(arrays.weights, dtype, weights),
            )
            head = unpack(program).header
            size = head.types**2 * intervals * 4 * head.first_width
            tabulate(program, intervals, _array(table, dtype, size), threads)
        except Exception:  # whoever calls it is no Python
            filled = 0
    if interrupted():  # raised here, a KeyboardInterrupt would be lost
        threading.Timer(_LATER, signal.raise_signal, [interrupted()]).start()
    return filled


def _array(address: int, dtype: type, count: int) -> np.ndarray:
    """An array over memory that is another's."""
    size = count * np.dtype(dtype).itemsize
    memory = (ctypes.c_char * size).from_address(address) if count else b""
    return np.frombuffer(memory, dtype)
