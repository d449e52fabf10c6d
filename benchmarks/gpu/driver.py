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
    """Call a function with the context of the first card, which devices work in."""
    driver, context = _driver()
    _check(driver, driver.cuCtxPushCurrent_v2(context), name)
    try:
        _check(driver, getattr(driver, name)(*arguments), name)
    finally:
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


@functools.cache
def _driver() -> tuple[ctypes.CDLL, ctypes.c_void_p]:
    driver, card, context = (
        ctypes.CDLL("libcuda.so.1"),
        ctypes.c_int(),
        ctypes.c_void_p(),
    )
    _check(driver, driver.cuInit(0), "cuInit")
    _check(driver, driver.cuDeviceGet(ctypes.byref(card), 0), "cuDeviceGet")
    retained = driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), card)
    _check(driver, retained, "cuDevicePrimaryCtxRetain")
    return driver, context


def _check(driver: ctypes.CDLL, code: int, name: str) -> None:
    if code:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"{name}: {(text.value or b'unknown').decode()} ({code})")
