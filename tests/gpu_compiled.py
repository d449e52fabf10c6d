# SPDX-License-Identifier: MIT
"""Cards of NVIDIA that are not there: kernels are compiled for them, and never run."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest
from gpu_step import steps

from openmm_allegro.kernels.gpu.cuda import fastest_products
from openmm_allegro.kernels.gpu.nvrtc import Nvrtc, Resources, find_nvrtc
from openmm_allegro.kernels.inference.program import Code, unpack
from openmm_allegro.model.long_range import LongRangeSettings

# Most bytes of work-group memory of a kernel, by compute capability.
MEMORY = {80: 166_912, 89: 101_376, 90: 232_448, 100: 232_448, 120: 101_376}
REGISTERS = 65_536  # of a multiprocessor


class Kernel(NamedTuple):
    """What a work-group of a kernel takes."""

    threads: int
    memory: int  # bytes, beside the static ones of the resources
    resources: Resources

    def registers(self) -> int:
        """Registers of all threads, which come by eight."""
        return self.threads * 8 * -(-self.resources.registers // 8)


class CompilingDevice:
    """A card that can compile.

    Parameters
    ----------
    nvrtc : Nvrtc
    number : int
        Its compute capability, 90 for 9.0.
    products : int, optional
        Other products than those that it is faster with.

    Attributes
    ----------
    kernels : dict of str to Kernel
    sources : list of str
    seconds : list of float
        Processor time that each of them took.
    sizes : list of int
        Bytes of their code.
    """

    groups = 100
    one_space = True

    def __init__(self, nvrtc: Nvrtc, number: int, products: int | None = None) -> None:
        fastest = fastest_products(*divmod(number, 10))
        self.products = fastest if products is None else products
        self.memory = MEMORY[number]
        self._nvrtc, self._architecture = nvrtc, f"sm_{number}"
        self._compiled: list[dict[str, Resources]] = []
        self._buffers = 0
        self.kernels: dict[str, Kernel] = {}
        self.sources: list[str] = []
        self.seconds: list[float] = []
        self.sizes: list[int] = []

    def allocate(self, size):
        self._buffers += 1
        return self._buffers

    def release(self, buffer):
        pass

    upload = download = watch = launch = lambda self, *arguments: None

    def watched(self, target, size):
        return False

    def compile(self, source):
        start = time.process_time()
        compiled = self._nvrtc.compile(source, self._architecture)
        self.seconds.append(time.process_time() - start)
        self.sources.append(source)
        self.sizes.append(len(compiled.code))
        self._compiled.append(compiled.resources())
        return len(self._compiled)

    def kernel(self, compiled, name, threads, memory):
        resources = self._compiled[compiled - 1][name]
        self.kernels[name] = Kernel(threads, memory, resources)
        return len(self.kernels)


def compiler() -> Nvrtc:
    """NVRTC; the test is skipped only where it is not installed."""
    try:
        return find_nvrtc()
    except ImportError:
        pytest.skip("NVRTC is not installed")


def compiled_kernels(program, number, products=None, **tuning):
    """A device that compiled all kernels of a step of a program."""
    device = CompilingDevice(compiler(), number, products)
    tuning["charges"] = _charges_of(program)
    with steps([program], [0, 0], [True] * 3, device=device, **tuning):
        return device


def _charges_of(program):
    """Charges for a program that has them."""
    parts = unpack(program)
    is_charged = any(one.code == Code.CHARGE for one in parts.operations())
    start = (0.5,) * parts.header.types
    return [LongRangeSettings(start, 0.5, 0.0, True)] if is_charged else []
