# SPDX-License-Identifier: MIT
"""Steps on a device by the library's own functions, without torch or OpenMM."""

from __future__ import annotations

import ctypes
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from cases import Case, program

from openmm_allegro.kernels import header
from openmm_allegro.kernels.gpu.device import Bridge
from openmm_allegro.kernels.gpu.library import Products, gpu_library
from openmm_allegro.kernels.library import Outcome

ROOM = 4096  # bytes of a message
WAYS = {"FMA": Products.FMA, "3xTF32": Products.TF32X3}


class Results(NamedTuple):
    """What a step computes."""

    energies: np.ndarray  # [n], eV
    forces: np.ndarray  # [n, 3], eV/Å
    strain: np.ndarray  # [3, 3], eV


class Refused(RuntimeError):
    """The library refused a program or a step, and said why."""


def make_device(dry: bool):
    """The card, or a processor that plays one."""
    if dry:
        from openmm_allegro.kernels.gpu.host import HostDevice

        return HostDevice(memory=227 * 1024)
    from openmm_allegro.kernels.gpu.cuda import CudaDevice

    return CudaDevice()


class Watched:
    """A device that counts launches and waits, and can time kernels by events.

    Attributes
    ----------
    launches : Counter
        Launches of each kernel since it was cleared.
    waits : int
        Times that the host waited for the device.
    allocated : int
        Bytes that are reserved now.
    """

    def __init__(self, device: Any, clock: Any = None) -> None:
        self.device, self.clock = device, clock
        self.groups, self.memory = device.groups, device.memory
        self.products = device.products
        self.launches, self.waits, self.allocated = Counter(), 0, 0
        self._names: dict[int, str] = {}
        self._sizes: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def allocate(self, size: int) -> int:
        buffer = self.device.allocate(size)
        self._sizes[buffer] = size
        self.allocated += size
        return buffer

    def release(self, buffer: int) -> None:
        self.allocated -= self._sizes.pop(buffer, 0)
        self.device.release(buffer)

    def download(self, buffer: int, target: int, size: int) -> None:
        self.waits += 1
        self.device.download(buffer, target, size)

    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        made = self.device.kernel(compiled, name, threads, memory)
        self._names[made] = name
        return made

    def launch(self, kernel: int, *rest: Any) -> None:
        name = self._names[kernel]
        self.launches[name] += 1
        if self.clock is None:
            self.device.launch(kernel, *rest)
            return
        with self.clock.interval(name):
            self.device.launch(kernel, *rest)


def plan(folded: Any, rows: int, way: str = "FMA", memory: int = 1 << 20) -> Any:
    """Sizes of the kernels of a program; raises Refused where they do not fit."""
    options = header.filled(
        "allegro_gpu_options", rows=rows, products=int(WAYS[way]), memory=memory
    )
    sizes = header.structure("allegro_gpu_sizes")()
    message = ctypes.create_string_buffer(ROOM)
    arguments = _program(folded), options, sizes, message, ROOM
    if gpu_library().allegro_gpu_plan(*arguments) != Outcome.OK:
        raise Refused(message.value.decode())
    return sizes


def _program(folded: Any) -> Any:
    integers, constants, weights = map(np.ascontiguousarray, folded)
    return header.filled(
        "allegro_program",
        integers=integers,
        constants=constants,
        weights=weights,
        is_double=int(weights.dtype == np.float64),
    )


class Steps:
    """Models and atoms on a device.

    Parameters
    ----------
    device : Device
        ``products`` chooses among the kernels.
    case : Case
    rows : int, optional
        Rows of a group, 0 for the kernel that takes any number of rows; by default as
        many as fit.
    copies : int
        Models of a committee, all of them the same.
    skin : float
        Reach of the pair list beyond the cutoff, Å.

    Raises
    ------
    Refused
        If the library can not run the model, or not with so many rows.
    """

    def __init__(
        self,
        device: Any,
        case: Case,
        rows: int | None = None,
        copies: int = 1,
        skin: float = 1.0,
    ) -> None:
        folded, types = program(case, "single")
        one = _program(folded)
        self.programs = (type(one) * copies)(*[one] * copies)
        self.count, self.device, self.bridge = len(types), device, Bridge(device)
        self.atoms = header.filled(
            "allegro_gpu_atoms",
            count=self.count,
            members=copies,
            programs=self.programs,
            types=np.tile(types, copies),
            particles=np.arange(self.count),
            caps=0,
            ends=None,
            ratios=None,
            periodic=(1, 1, 1),
            skin=skin,
        )
        self.kept, self.message = one, ctypes.create_string_buffer(ROOM)
        self.library = gpu_library()
        tuning = header.filled(
            "allegro_gpu_tuning",
            rows={None: 0, 0: -1}.get(rows, rows),
            capacity=0,
            cells=0,
            wide_rows=0,
        )
        given = self.bridge.struct, self.atoms, tuning
        self.engine = self._call("allegro_gpu_open_tuned", *given)
        self.rows = self.library.allegro_gpu_rows(self.engine)
        if rows is not None and self.rows != rows:
            self.library.allegro_gpu_close(self.engine)
            raise Refused(f"expected groups of {rows} rows, found that {self.rows} fit")
        self.buffers = {
            name: device.allocate(8 * size)
            for name, size in {
                "positions": 3 * self.count,
                "box": 9,
                "energies": self.count,
                "forces": 3 * self.count,
                "strain": 9,
            }.items()
        }
        self.input = header.filled(
            "allegro_gpu_input",
            positions=self.buffers["positions"],
            box=self.buffers["box"],
            is_double=1,
            to_angstrom=1.0,
        )
        self.output = header.filled(
            "allegro_gpu_output",
            **{name: self.buffers[name] for name in Results._fields},
        )
        self.place(case.positions, case.cell)

    def place(self, positions: np.ndarray, cell: np.ndarray) -> None:
        """Write positions and box, Å."""
        self._upload("positions", positions)
        self._upload("box", cell)

    def poison(self) -> None:
        """Fill the results with NaN, so that what no kernel writes is seen."""
        sizes = self.count, 3 * self.count, 9
        for name, size in zip(Results._fields, sizes, strict=True):
            self._upload(name, np.full(size, np.nan))

    def step(self) -> None:
        """Queue a step."""
        self._call("allegro_gpu_step", self.engine, self.input, self.output)

    def finish(self) -> np.ndarray:
        """Wait for the last step; the counters."""
        counters = np.zeros(16, dtype=np.int32)
        self._call("allegro_gpu_finish", self.engine, counters.ctypes.data)
        return counters

    def results(self) -> Results:
        """Read the results of the last step."""
        arrays = np.zeros(self.count), np.zeros((self.count, 3)), np.zeros((3, 3))
        for name, array in zip(Results._fields, arrays, strict=True):
            self.device.download(self.buffers[name], array.ctypes.data, array.nbytes)
        return Results(*arrays)

    def close(self) -> None:
        """Give all buffers back."""
        self.library.allegro_gpu_close(self.engine)
        for buffer in self.buffers.values():
            self.device.release(buffer)

    def _upload(self, name: str, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, dtype=np.float64)
        self.device.upload(self.buffers[name], values.ctypes.data, values.nbytes)

    def _call(self, name: str, *arguments: Any) -> Any:
        self.message.value = b""
        function = getattr(self.library, name)
        result = self.bridge.call(function, *arguments, self.message, ROOM)
        is_open = name == "allegro_gpu_open_tuned"
        if result is None or (not is_open and result != Outcome.OK):
            raise Refused(self.message.value.decode() or f"{name}: outcome {result}")
        return result
