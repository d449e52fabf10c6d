# SPDX-License-Identifier: MIT
"""Kernels for cards on the device that is this processor."""

from contextlib import contextmanager

import numpy as np

from openmm_allegro.kernels import header
from openmm_allegro.kernels.builds import GPU_SOURCE
from openmm_allegro.kernels.gpu.host import HostDevice
from openmm_allegro.kernels.gpu.library import Kind

_Argument = header.structure("allegro_gpu_argument")


DIALECT = (GPU_SOURCE.parent / "device" / "dialect.cc").read_text(encoding="utf-8")
DIALECT = DIALECT.removeprefix('R"DEVICE(').rstrip().removesuffix(')DEVICE"')


class Card:
    """Arrays and launches on a device."""

    def __init__(self, device):
        self.device = device
        self._buffers = []

    def buffer(self, array):
        """A buffer with the numbers of an array."""
        array = np.ascontiguousarray(array)
        handle = self.empty(array.nbytes)
        self.device.upload(handle, array.ctypes.data, array.nbytes)
        return handle

    def empty(self, size):
        self._buffers.append(Buffer(self.device.allocate(size)))
        return self._buffers[-1]

    def array(self, handle, shape, dtype):
        """What a buffer holds."""
        array = np.empty(shape, dtype)
        self.device.download(handle, array.ctypes.data, array.nbytes)
        return array

    def launch(self, compiled, name, groups, threads, arguments, memory=0):
        """Launch a kernel on buffers and numbers."""
        kernel = self.device.kernel(compiled, name, threads, memory)
        passed = (_Argument * len(arguments))(*map(_argument, arguments))
        self.device.launch(kernel, groups, threads, memory, passed, len(arguments))

    def close(self):
        for handle in self._buffers:
            self.device.release(handle)


class Buffer(int):
    """A handle, so that it is no number."""


def _argument(value):
    if isinstance(value, Buffer):
        return _Argument(Kind.BUFFER, int(value), 0, 0.0)
    if isinstance(value, float):
        return _Argument(Kind.DOUBLE, None, 0, value)
    return _Argument(Kind.INT, None, int(value), 0.0)


@contextmanager
def host_card(**options):
    """A ``Card`` on a ``HostDevice`` with options."""
    card = Card(HostDevice(**options))
    try:
        yield card
    finally:
        card.close()
