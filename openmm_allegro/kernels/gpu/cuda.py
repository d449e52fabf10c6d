# SPDX-License-Identifier: MIT
"""A card of NVIDIA as a device, by its driver and NVRTC, with torch or without."""

import ctypes
import functools
import logging
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ctypes import c_uint64, c_void_p
from typing import Any

import numpy as np

from .. import header
from .cubins import compiled_source
from .device import Argument
from .driver import LIBRARY, Attribute, Code, CudaError, Driver
from .library import Kind, Products
from .nvrtc import find_nvrtc

_TENSOR_CORES = header.numbers("ALLEGRO_GPU_TENSOR_CORES")
_WATCHES = 8  # at a time
_WATCHED = 256  # bytes at most
_NO_TIMING = 2  # of an event
_DYNAMIC_SHARED_MEMORY = 8  # attribute of a kernel
_ERROR_LOG, _ERROR_LOG_SIZE = 5, 6  # options for the driver's compiler
_LOG_SIZE = 2000
_log = logging.getLogger(__name__)


def _in_context(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method run with the card's context, and then the thread's own again."""

    @functools.wraps(method)
    def wrapped(self, *arguments):
        self._driver.cuCtxPushCurrent(self._context)
        try:
            return method(self, *arguments)
        finally:
            self._driver.cuCtxPopCurrent(ctypes.byref(c_void_p()))

    return wrapped


class CudaDevice:
    """A card of NVIDIA.

    It works in the card's primary context, which torch uses too, so that buffers may be
    memory of torch's tensors.

    Parameters
    ----------
    ordinal : int
        Number of the card, as torch counts.
    stream : int
        Address of the stream in which kernels and copies run, such as
        ``torch.cuda.current_stream().cuda_stream``; 0 for the default stream.
    reclaim : callable, optional
        Called where the card's memory does not suffice, before a second try:
        ``torch.cuda.empty_cache``.
    library : str
        Name or path of the driver's library.

    Attributes
    ----------
    name : str
        Name of the card.
    capability : tuple of int
        Its compute capability.

    Raises
    ------
    ImportError
        If there is no driver.
    CudaError
        If there is no such card.
    """

    def __init__(
        self,
        ordinal: int = 0,
        stream: int = 0,
        *,
        reclaim: Callable[[], None] | None = None,
        library: str = LIBRARY,
    ):
        self._driver = driver = Driver(library)
        card = driver.get(driver.cuDeviceGet, ordinal)

        def attribute(number):
            return driver.get(driver.cuDeviceGetAttribute, number, card)

        name = ctypes.create_string_buffer(256)
        driver.cuDeviceGetName(name, len(name), card)
        self.name = name.value.decode()
        self.capability = attribute(Attribute.MAJOR), attribute(Attribute.MINOR)
        self.groups = attribute(Attribute.MULTIPROCESSORS)
        self.memory = attribute(Attribute.SHARED_MEMORY)
        self.one_space = True
        self.products = fastest_products(*self.capability)
        self.stream = stream
        self._has_pools = attribute(Attribute.MEMORY_POOLS)
        self._reclaim = reclaim
        self._owned = ExitStack()
        self._context = driver.get(driver.cuDevicePrimaryCtxRetain, card, kind=c_void_p)
        self._owned.callback(driver.cuDevicePrimaryCtxRelease, card)
        self.close = weakref.finalize(self, _close, driver, self._context, self._owned)
        self.close.atexit = False  # the driver then gives back all by itself
        self._uploads: deque[tuple[int, bytes]] = deque()  # and events that follow them
        self._owned.callback(_forget_uploads, driver, self._uploads)
        self._parameters: dict[int, tuple[np.ndarray, np.ndarray, int]] = {}
        self._watch_memory()

    @_in_context
    def _watch_memory(self) -> None:
        """Reserve memory of the host, to which the card copies without its help."""
        driver, size = self._driver, _WATCHES * _WATCHED
        self._host = driver.get(driver.cuMemAllocHost, size, kind=c_void_p)
        self._owned.callback(driver.cuMemFreeHost, self._host)
        self._free = [
            (self._host + _WATCHED * i, self._event()) for i in range(_WATCHES)
        ]
        self._pending: deque[tuple[int, int]] = deque()  # addresses and events
        for _, event in self._free:
            self._owned.callback(driver.cuEventDestroy, event)

    def _event(self) -> int:
        driver = self._driver
        return driver.get(driver.cuEventCreate, _NO_TIMING, kind=c_void_p)

    @_in_context
    def use_stream(self, stream: int) -> None:
        """Go on in another stream, after all that was queued in the last one."""
        if stream == self.stream:
            return
        event = self._event()
        self._driver.cuEventRecord(event, self.stream)
        self._driver.cuStreamWaitEvent(stream, event, 0)
        self._driver.cuEventDestroy(event)  # which the driver does once it has passed
        self.stream = stream

    @_in_context
    def allocate(self, size: int) -> int:
        """Reserve bytes, from the driver's pool if it has one."""
        try:
            return self._reserved(size)
        except MemoryError:
            if self._reclaim is None:
                raise
            self._reclaim()
            return self._reserved(size)

    def _reserved(self, size: int) -> int:
        driver, size = self._driver, max(size, 1)
        if self._has_pools:
            return driver.get(driver.cuMemAllocAsync, size, self.stream, kind=c_uint64)
        return driver.get(driver.cuMemAlloc, size, kind=c_uint64)

    @_in_context
    def release(self, buffer: int) -> None:
        """Give a buffer back once the stream has come so far."""
        if self._has_pools:
            self._driver.cuMemFreeAsync(buffer, self.stream)
        else:
            self._driver.cuMemFree(buffer)  # which waits for the card

    @_in_context
    def upload(self, buffer: int, source: int, size: int) -> None:
        """Copy bytes to the card, from a copy that is kept until they are there."""
        while self._uploads and self._has_passed(self._uploads[0][0]):
            self._driver.cuEventDestroy(self._uploads.popleft()[0])
        copy = ctypes.string_at(source, size)
        self._driver.cuMemcpyHtoDAsync(buffer, copy, size, self.stream)
        event = self._event()
        self._uploads.append((event, copy))
        self._driver.cuEventRecord(event, self.stream)

    @_in_context
    def download(self, buffer: int, target: int, size: int) -> None:
        """Copy bytes from the card, and wait for them."""
        self._driver.cuMemcpyDtoHAsync(target, buffer, size, self.stream)
        self._driver.cuStreamSynchronize(self.stream)

    @_in_context
    def watch(self, buffer: int, size: int) -> None:
        """Start to copy bytes from the card."""
        if size > _WATCHED:
            raise ValueError(
                f"expected at most {_WATCHED} bytes to watch, found {size}"
            )
        # The oldest copy gives way if none has ended: that to it ends before this one.
        slot = self._free.pop() if self._free else self._pending.popleft()
        self._pending.append(slot)
        address, event = slot
        self._driver.cuMemcpyDtoHAsync(address, buffer, size, self.stream)
        self._driver.cuEventRecord(event, self.stream)

    @_in_context
    def watched(self, target: int, size: int) -> bool:
        """Give what the last copy that has ended holds; False if none has."""
        for place in reversed(range(len(self._pending))):
            address, event = self._pending[place]
            if self._has_passed(event):
                ctypes.memmove(target, address, size)
                for _ in range(place + 1):
                    self._free.append(self._pending.popleft())
                return True
        return False

    def _has_passed(self, event: int) -> bool:
        return self._driver.cuEventQuery(event) != Code.NOT_READY

    @_in_context
    def compile(self, source: str) -> int:
        """Compile a source for this card, or take what was compiled before."""
        driver = self._driver
        nvrtc = find_nvrtc(driver.version[0])
        architecture = nvrtc.architecture(self.capability)
        compiled = compiled_source(nvrtc, source, architecture)
        log = ctypes.create_string_buffer(_LOG_SIZE)
        options = (ctypes.c_int * 2)(_ERROR_LOG, _ERROR_LOG_SIZE)
        values = (c_void_p * 2)(ctypes.addressof(log), _LOG_SIZE)
        load = driver.cuModuleLoadDataEx
        try:
            module = driver.get(load, compiled.code, 2, options, values, kind=c_void_p)
        except CudaError as error:
            raise CudaError(
                f"expected that the driver for CUDA {_dotted(driver.version)} loads a "
                f"kernel that NVRTC {_dotted(nvrtc.version)} compiled for "
                f"{architecture}, found {error}; {log.value.decode()}"
            ) from error
        self._owned.callback(driver.cuModuleUnload, module)
        for name, resources in compiled.resources().items():
            _log.debug("%s on %s: %s", name, architecture, resources)
        return module

    @_in_context
    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        """Find a kernel, and let it take as much work-group memory as it needs."""
        driver = self._driver
        found = driver.get(
            driver.cuModuleGetFunction, compiled, name.encode(), kind=c_void_p
        )
        driver.cuFuncSetAttribute(found, _DYNAMIC_SHARED_MEMORY, memory)
        blocks = driver.get(
            driver.cuOccupancyMaxActiveBlocksPerMultiprocessor, found, threads, memory
        )
        if blocks < 1:
            raise CudaError(
                f"expected that {name} with {threads} threads and {memory} bytes of "
                f"shared memory fits into a multiprocessor of {self.name}, found that "
                "it does not"
            )
        _log.debug("%s: %d work-groups a multiprocessor", name, blocks)
        return found

    @_in_context
    def launch(
        self,
        kernel: int,
        groups: int,
        threads: int,
        memory: int,
        arguments: Any,
        count: int,
    ) -> None:
        """Launch a kernel, whose arguments are read where they lie."""
        if kernel not in self._parameters:
            offsets = np.array([_offset(arguments[i].kind, i) for i in range(count)])
            addresses = np.empty_like(offsets)
            self._parameters[kernel] = offsets, addresses, addresses.ctypes.data
        offsets, addresses, array = self._parameters[kernel]
        np.add(offsets, ctypes.addressof(arguments.contents), out=addresses)
        self._driver.cuLaunchKernel(
            kernel,
            *(groups, 1, 1),
            *(threads, 1, 1),
            memory,
            self.stream,
            array,
            None,
        )


# Where the value of an argument of each kind is in the struct; a kernel reads as many
# bytes as it needs, of an int the first four.
_FIELDS = {
    Kind.BUFFER: Argument.buffer.offset,
    Kind.INT: Argument.integer.offset,
    Kind.DOUBLE: Argument.real.offset,
}


def fastest_products(major: int, minor: int) -> Products:
    """Way to multiply matrices that should be the fastest on cards of a capability."""
    has_tensor_cores = 10 * major + minor in _TENSOR_CORES
    return Products.TF32X3 if has_tensor_cores else Products.FMA


def _offset(kind: int, place: int) -> int:
    """Place of an argument's value in the array of arguments, in bytes."""
    return place * ctypes.sizeof(Argument) + _FIELDS[kind]


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _close(driver: Driver, context: int, owned: ExitStack) -> None:
    """Give back what a device owns, which kernels and copies may still use."""
    with suppress(CudaError):  # nothing can be done if the card is lost
        driver.cuCtxPushCurrent(context)
        owned.callback(driver.cuCtxSynchronize)
        try:
            owned.close()
        finally:
            driver.cuCtxPopCurrent(ctypes.byref(c_void_p()))


def _forget_uploads(driver: Driver, uploads: deque[tuple[int, bytes]]) -> None:
    while uploads:
        driver.cuEventDestroy(uploads.popleft()[0])
