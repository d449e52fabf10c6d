# SPDX-License-Identifier: MIT
"""Events and memory of a card by NVIDIA's driver, without torch."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any


class Clock:
    """Events around launches on the stream of a device.

    Parameters
    ----------
    device : CudaDevice
    """

    def __init__(self, device: Any) -> None:
        self._stream = ctypes.c_void_p(device.stream)
        self._free: list[ctypes.c_void_p] = []
        self._running: list[tuple[str, ctypes.c_void_p, ctypes.c_void_p]] = []

    @contextlib.contextmanager
    def interval(self, name: str) -> Iterator[None]:
        """Time what is launched meanwhile."""
        start, end = self._event(), self._event()
        _call("cuEventRecord", start, self._stream)
        yield
        _call("cuEventRecord", end, self._stream)
        self._running.append((name, start, end))

    def read(self) -> dict[str, float]:
        """Wait for all intervals; their milliseconds by name, sums of equal names."""
        sums: dict[str, float] = defaultdict(float)
        for name, start, end in self._running:
            _call("cuEventSynchronize", end)
            taken = ctypes.c_float()
            _call("cuEventElapsedTime", ctypes.byref(taken), start, end)
            sums[name] += taken.value
            self._free += [start, end]
        self._running.clear()
        return dict(sums)

    def _event(self) -> ctypes.c_void_p:
        if self._free:
            return self._free.pop()
        event = ctypes.c_void_p()
        _call("cuEventCreate", ctypes.byref(event), ctypes.c_uint(0))
        return event


def free_memory() -> int:
    """Bytes of the card that no program has."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    return free.value


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"{name}: {(text.value or b'unknown').decode()} ({code})")


@functools.cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")
