# SPDX-License-Identifier: MIT
"""The functions of NVIDIA's driver that a device needs, in one table."""

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from enum import IntEnum
from typing import Any

LIBRARY = "libcuda.so.1"
OLDEST = 12  # major version of CUDA, as that of NVRTC

_INTEGER, _HANDLE, _NUMBER = POINTER(c_int), POINTER(c_void_p), POINTER(c_uint64)
# Types of the arguments; all return a code, 0 where all went well.
FUNCTIONS = {
    "cuInit": [c_uint],
    "cuDriverGetVersion": [_INTEGER],
    "cuGetErrorName": [c_int, POINTER(c_char_p)],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuDeviceGet": [_INTEGER, c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDeviceGetAttribute": [_INTEGER, c_int, c_int],
    "cuDevicePrimaryCtxRetain": [_HANDLE, c_int],
    "cuDevicePrimaryCtxRelease_v2": [c_int],
    "cuCtxPushCurrent_v2": [c_void_p],
    "cuCtxPopCurrent_v2": [_HANDLE],
    "cuCtxSynchronize": [],
    "cuMemAlloc_v2": [_NUMBER, c_size_t],
    "cuMemFree_v2": [c_uint64],
    "cuMemAllocAsync": [_NUMBER, c_size_t, c_void_p],
    "cuMemFreeAsync": [c_uint64, c_void_p],
    "cuMemAllocHost_v2": [_HANDLE, c_size_t],
    "cuMemFreeHost": [c_void_p],
    "cuMemcpyHtoDAsync_v2": [c_uint64, c_void_p, c_size_t, c_void_p],
    "cuMemcpyDtoHAsync_v2": [c_void_p, c_uint64, c_size_t, c_void_p],
    "cuEventCreate": [_HANDLE, c_uint],
    "cuEventDestroy_v2": [c_void_p],
    "cuEventRecord": [c_void_p, c_void_p],
    "cuEventQuery": [c_void_p],
    "cuStreamSynchronize": [c_void_p],
    "cuStreamWaitEvent": [c_void_p, c_void_p, c_uint],
    "cuModuleLoadDataEx": [_HANDLE, c_char_p, c_uint, _INTEGER, _HANDLE],
    "cuModuleUnload": [c_void_p],
    "cuModuleGetFunction": [_HANDLE, c_void_p, c_char_p],
    "cuFuncSetAttribute": [c_void_p, c_int, c_int],
    "cuOccupancyMaxActiveBlocksPerMultiprocessor": [
        _INTEGER,
        c_void_p,
        c_int,
        c_size_t,
    ],
    "cuLaunchKernel": [c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p],
}


class Code(IntEnum):
    """Codes that mean something other than a fault."""

    OUT_OF_MEMORY = 2
    NOT_READY = 600


class Attribute(IntEnum):
    """Attributes of a card."""

    MULTIPROCESSORS = 16
    MAJOR = 75
    MINOR = 76
    SHARED_MEMORY = 97
    MEMORY_POOLS = 115


# Faults after which a process can no longer use the card.
_LOST = {700, 702, 709, 710, *range(714, 720)}


class CudaError(RuntimeError):
    """A function of the driver failed."""


class Driver:
    """The driver's functions, by their names without the version at the end.

    They raise ``MemoryError`` where the card's memory is too small, and ``CudaError``
    where they fail otherwise.

    Parameters
    ----------
    library : str
        Name or path of the driver's library.

    Raises
    ------
    ImportError
        If there is no driver, or one before CUDA 12.
    CudaError
        If there is no card.
    """

    def __init__(self, library: str = LIBRARY):
        try:
            loaded = ctypes.CDLL(library)
            for name, types in FUNCTIONS.items():
                function = getattr(loaded, name)
                function.argtypes, function.restype = types, c_int
                if not name.startswith("cuGetError"):
                    function.errcheck = self._check
                setattr(self, name.partition("_")[0], function)
        except (OSError, AttributeError) as error:
            raise ImportError(
                f"expected an NVIDIA driver for CUDA {OLDEST} or later, found {error}; "
                "install one from NVIDIA or from the distribution"
            ) from None
        self.cuInit(0)
        version = self.get(self.cuDriverGetVersion)
        self.version = divmod(version // 10, 100)
        if self.version[0] < OLDEST:
            raise ImportError(
                f"expected an NVIDIA driver for CUDA {OLDEST} or later, found one for "
                f"{version // 1000}.{version % 1000 // 10}; install a newer one"
            )

    def get(self, function: Any, *arguments: Any, kind: Any = c_int) -> Any:
        """The value that a function writes to its first argument."""
        value = kind()
        function(ctypes.byref(value), *arguments)
        return value.value

    def _check(self, code: int, function: Any, _) -> int:
        if code in (0, Code.NOT_READY):
            return code
        name, text = c_char_p(), c_char_p()
        self.cuGetErrorName(code, ctypes.byref(name))
        self.cuGetErrorString(code, ctypes.byref(text))
        fault = " ".join(part.decode() for part in (name.value, text.value) if part)
        message = f"{function.__name__}: expected success, found {fault or code}"
        if code == Code.OUT_OF_MEMORY:
            raise MemoryError(f"{message}; use fewer atoms, or a card with more memory")
        if code in _LOST:
            message += "; the card is lost to this process, start another one"
        raise CudaError(message)
