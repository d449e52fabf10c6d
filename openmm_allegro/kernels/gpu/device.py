# SPDX-License-Identifier: MIT
"""Devices written in Python, as the library calls them."""

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

from .. import header
from ..library import Outcome
from .library import Kind

Argument = header.structure("allegro_gpu_argument")
_Struct = header.structure("allegro_gpu_device")
_TYPES = dict(_Struct._fields_)


class Device(Protocol):
    """The functions of ``allegro_gpu_device``, which say what they do.

    Buffers, compiled sources and kernels are whole numbers other than 0. Functions that
    fail raise ``MemoryError`` where memory is too small, and else any other error.
    """

    groups: int
    memory: int
    products: int
    one_space: bool

    def allocate(self, size: int) -> int:
        """Reserve so many bytes."""

    def release(self, buffer: int) -> None:
        """Give a buffer back, after the launches that use it."""

    def upload(self, buffer: int, source: int, size: int) -> None:
        """Write the first bytes of a buffer from an address, which may change after."""

    def download(self, buffer: int, target: int, size: int) -> None:
        """Read the first bytes of a buffer to an address, and wait for them."""

    def watch(self, buffer: int, size: int) -> None:
        """Start to read the first bytes of a buffer without waiting."""

    def watched(self, target: int, size: int) -> bool:
        """Copy what the last ``watch`` that has ended read; False if there is none."""

    def compile(self, source: str) -> int:
        """Compile a source."""

    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        """Find a kernel of a compiled source."""

    def launch(
        self,
        kernel: int,
        groups: int,
        threads: int,
        memory: int,
        arguments: Any,
        count: int,
    ) -> None:
        """Launch a kernel; ``arguments`` points to so many ``allegro_gpu_argument``."""


class Bridge:
    """A device as a struct for the library, and the errors that its functions raise.

    An error cannot pass through the library, which is told that the function failed. It
    is kept, and raised when the library comes back without another way.

    Parameters
    ----------
    device : Device
    """

    def __init__(self, device: Device):
        self.device = device
        self._error: BaseException | None = None
        self.struct = _Struct(
            groups=device.groups,
            memory=device.memory,
            products=device.products,
            one_space=device.one_space,
        )
        outcomes = ("upload", "download", "watch", "launch")
        functions = {name: self._outcome(getattr(device, name)) for name in outcomes}
        functions |= {
            "allocate": self._pointer(device.allocate),
            "release": self._release,
            "watched": self._watched,
            "compile": self._pointer(lambda text: device.compile(text.decode())),
            "kernel": self._pointer(
                lambda compiled, name, *sizes: device.kernel(
                    compiled, name.decode(), *sizes
                )
            ),
        }
        for name, function in functions.items():
            setattr(self.struct, name, _TYPES[name](function))

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the library.

        Returns
        -------
        int or None
            What the function returned.

        Raises
        ------
        BaseException
            That of a function of the device, if the call failed as well. The library
            may have had another way: where the kernel of large groups does not compile,
            that of small ones may.
        """
        self._error = None
        result = function(*arguments)
        error, self._error = self._error, None
        is_pointer = function.restype is ctypes.c_void_p
        failed = result is None if is_pointer else bool(result)
        if error is not None and (failed or not isinstance(error, Exception)):
            raise error
        return result

    def _pointer(self, function: Callable[..., int]) -> Callable[..., int | None]:
        """A callback that gives a number, or NULL."""

        def callback(_, *arguments):
            try:
                return function(*arguments)
            except BaseException as error:
                self._error = error
                return None

        return callback

    def _outcome(self, function: Callable[..., None]) -> Callable[..., int]:
        """A callback that gives an outcome."""

        def callback(_, *arguments):
            try:
                function(*arguments)
            except BaseException as error:
                return self._failure(error)
            return Outcome.OK

        return callback

    def _failure(self, error: BaseException) -> int:
        self._error = error
        lacks_memory = isinstance(error, MemoryError)
        return Outcome.NO_MEMORY if lacks_memory else Outcome.REFUSED

    def _watched(self, _, target: int, size: int) -> int:
        try:
            is_there = self.device.watched(target, size)
        except BaseException as error:
            return self._failure(error)
        return Outcome.OK if is_there else Outcome.REFUSED

    def _release(self, _, buffer: int) -> None:
        try:
            self.device.release(buffer)
        except BaseException as error:
            # most often because of the error before, which says more
            self._error = self._error or error


def values(arguments: Any, count: int) -> list[int | float]:
    """Buffers and numbers that a kernel is launched with."""
    return [_value(arguments[i]) for i in range(count)]


def _value(argument: Any) -> int | float:
    if argument.kind == Kind.BUFFER:
        return argument.buffer or 0
    return argument.integer if argument.kind == Kind.INT else argument.real
