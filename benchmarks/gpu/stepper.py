# SPDX-License-Identifier: MIT
"""Steps on a device by the library's own functions, without torch or OpenMM."""

from __future__ import annotations

import collections
import ctypes
from typing import Any, NamedTuple

import numpy as np
from cases import Case, program

from openmm_allegro.kernels import header
from openmm_allegro.kernels.gpu.engine import CardAtoms, Engine
from openmm_allegro.kernels.gpu.library import Counter, Products, gpu_library
from openmm_allegro.kernels.library import Outcome

ROOM = 4096  # bytes of a message
WAYS = {"FMA": Products.FMA, "3xTF32": Products.TF32X3}


class Results(NamedTuple):
    """What a step computes."""

    energies: np.ndarray  # [n], eV
    forces: np.ndarray  # [n, 3], eV/Å
    strain: np.ndarray  # [3, 3], eV


class Refused(RuntimeError):
    """Groups of a size do not fit; the message says why."""


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
        self.products, self.one_space = device.products, device.one_space
        self.launches, self.waits, self.allocated = collections.Counter(), 0, 0
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
        "allegro_gpu_options",
        rows=rows,
        products=int(WAYS[way]),
        memory=memory,
        one_space=True,
    )
    sizes = header.structure("allegro_gpu_sizes")()
    message = ctypes.create_string_buffer(ROOM)
    arrays = map(np.ascontiguousarray, folded)
    given = header.filled(
        "allegro_program",
        **dict(zip(folded._fields, arrays, strict=True)),
        is_double=int(folded.weights.dtype == np.float64),
    )
    arguments = given, options, sizes, message, ROOM
    if gpu_library().allegro_gpu_plan(*arguments) != Outcome.OK:
        raise Refused(message.value.decode())
    return sizes


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
    skin : float
        Reach of the pair list beyond the cutoff, Å.

    Raises
    ------
    Refused
        If groups of so many rows do not fit.
    """

    def __init__(
        self, device: Any, case: Case, rows: int | None = None, skin: float = 1.0
    ) -> None:
        folded, types = program(case, "single")
        self.count, self.device = len(types), device
        atoms = CardAtoms(types[None], np.arange(self.count), (True,) * 3, skin)
        self.engine = Engine(device, [folded], atoms, rows)
        if rows is not None and self.engine.rows != rows:
            found = self.engine.rows
            self.engine.close()
            raise Refused(f"expected groups of {rows} rows, found that {found} fit")
        self.sizes = {"positions": 3 * self.count, "box": 9, "energies": self.count}
        self.sizes |= {"forces": 3 * self.count, "strain": 9}
        self.buffers = {k: device.allocate(8 * size) for k, size in self.sizes.items()}
        self.place(case.positions, case.cell)

    def place(self, positions: np.ndarray, cell: np.ndarray) -> None:
        """Write positions and box, Å."""
        self._upload("positions", positions)
        self._upload("box", cell)

    def poison(self) -> None:
        """Fill the results with NaN, so that what no kernel writes is seen."""
        for name in Results._fields:
            self._upload(name, np.full(self.sizes[name], np.nan))

    def step(self) -> None:
        """Queue a step."""
        self.engine.step(**self.buffers, is_double=True, to_angstrom=1.0)

    def finish(self) -> dict[Counter, int]:
        """Wait for the last step; the counters."""
        return self.engine.finish()

    def results(self) -> Results:
        """Read the results of the last step."""
        arrays = np.zeros(self.count), np.zeros((self.count, 3)), np.zeros((3, 3))
        for name, array in zip(Results._fields, arrays, strict=True):
            self.device.download(self.buffers[name], array.ctypes.data, array.nbytes)
        return Results(*arrays)

    def close(self) -> None:
        """Give all buffers back."""
        self.engine.close()
        for buffer in self.buffers.values():
            self.device.release(buffer)

    def _upload(self, name: str, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, dtype=np.float64)
        self.device.upload(self.buffers[name], values.ctypes.data, values.nbytes)
