# SPDX-License-Identifier: MIT
"""Models and atoms on a device: the pair list and the network, step by step."""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import header
from ..inference.program import Program
from ..inference.validity import check_program
from ..library import Outcome
from .device import Bridge, Device
from .library import Counter, gpu_library

_ROOM = 1000  # bytes of a message


class CardAtoms(NamedTuple):
    """Atoms of models, n with their caps, among the particles of a System."""

    types: np.ndarray  # [members, n] int64, elements as each program numbers them
    particles: np.ndarray  # [n less caps] int64
    periodic: Sequence[bool]  # along each of the box's vectors
    skin: float  # reach of the pair list beyond the cutoff, Å
    ends: np.ndarray = np.zeros((0, 2), np.int64)  # inner and outer particle of caps
    ratios: np.ndarray = np.zeros(0)  # place of each cap on its bond


class Engine:
    """Models on a device, with buffers and a pair list of their own.

    Results are in eV and Å. Nothing but ``finish`` waits for the
    device.

    Parameters
    ----------
    device : Device
        Of this engine alone.
    programs : sequence of Program
        Arrays of numpy.
    atoms : CardAtoms
    rows : int, optional
        Rows of a group of centres, for measurements: 128, 96, 64, 32 or 16 at most; 0
        for the kernel that takes any number. By default 64 or as many as fit, and more
        as soon as many centres have more pairs.

    Raises
    ------
    ImportError
        As ``gpu_library``, or where the device lacks what compiles sources.
    ValueError, RuntimeError
        If a program is none, or the device cannot run the models; the message says why.
    MemoryError
    """

    def __init__(
        self,
        device: Device,
        programs: Sequence[Program],
        atoms: CardAtoms,
        rows: int | None = None,
    ) -> None:
        for program in programs:
            check_program(*program)
        self.device = device
        self._library = gpu_library()
        self._bridge = Bridge(device)
        self._message = ctypes.create_string_buffer(_ROOM)
        self._handle = self._bridge.call(
            self._library.allegro_gpu_open_tuned,
            self._bridge.struct,
            _atoms(programs, atoms),
            _tuning(rows),
            self._message,
            _ROOM,
        )
        if self._handle is None:
            raise RuntimeError(self._text())
        # Not at the end of the process, when the device may be gone.
        arguments = self._bridge, self._library.allegro_gpu_close, self._handle
        self._close = weakref.finalize(self, _close, *arguments)
        self._close.atexit = False
        self._input = header.structure("allegro_gpu_input")()
        self._output = header.structure("allegro_gpu_output")()

    @property
    def rows(self) -> int:
        """Rows of a group now; a step may have taken larger ones."""
        return self._library.allegro_gpu_rows(self._handle)

    def step(
        self,
        positions: int,
        box: int | None,
        *,
        is_double: bool,
        to_angstrom: float,
        member: int = -1,
        energies: int,
        forces: int | None,
        strain: int,
    ) -> None:
        """Queue a step; see ``allegro_gpu_input`` and ``allegro_gpu_output``.

        Parameters
        ----------
        positions, box, energies, forces, strain : int
            Buffers of the device.
        is_double : bool
            Whether positions and box are double; else they are float.
        to_angstrom : float
            Å in a unit of both.
        member : int
            Model whose results are wanted; -1 for the means of all.

        Raises
        ------
        RuntimeError
            If a step before found something wrong, such as positions that are NaN.
        MemoryError
        """
        given, wanted = self._input, self._output
        given.positions, given.box = positions, box
        given.is_double, given.to_angstrom = is_double, to_angstrom
        wanted.energies, wanted.forces, wanted.strain = energies, forces, strain
        self._call(self._library.allegro_gpu_step_member, member, given, wanted)

    def finish(self) -> dict[Counter, int]:
        """Wait for the last step, and read the counters.

        Raises
        ------
        RuntimeError
            If it or a step before found something wrong.
        """
        counters = np.zeros(Counter.COUNTERS, np.int32)
        self._call(self._library.allegro_gpu_finish, counters.ctypes.data)
        return {counter: int(counters[counter]) for counter in list(Counter)[:-1]}

    def close(self) -> None:
        """Release the buffers; a second time does nothing."""
        self._close()

    def _call(self, function: Any, *arguments: Any) -> None:
        if not self._close.alive:
            raise ValueError("expected an open engine, found it closed")
        arguments = self._handle, *arguments, self._message, _ROOM
        outcome = self._bridge.call(function, *arguments)
        if outcome == Outcome.NO_MEMORY:
            raise MemoryError(self._text() or "the device has too little memory left")
        if outcome != Outcome.OK:
            raise RuntimeError(self._text())

    def _text(self) -> str:
        return self._message.value.decode(errors="replace")


def _tuning(rows: int | None) -> ctypes.Structure:
    tuning = header.structure("allegro_gpu_tuning")()
    tuning.rows = {None: 0, 0: -1}.get(rows, rows)  # 0 is the library's own choice
    return tuning


def _atoms(programs: Sequence[Program], atoms: CardAtoms) -> ctypes.Structure:
    """The struct of models and atoms, which keeps its arrays alive."""
    types = np.ascontiguousarray(atoms.types, np.int64)
    members, count = types.shape
    if members != len(programs) or count != len(atoms.particles) + len(atoms.ratios):
        raise ValueError(
            f"expected types of {len(programs)} programs and of "
            f"{len(atoms.particles)} atoms and {len(atoms.ratios)} caps, found types "
            f"of shape {list(types.shape)}"
        )
    structs = (header.structure("allegro_program") * members)()
    kept = []
    for place, (integers, constants, weights) in enumerate(programs):
        arrays = map(np.ascontiguousarray, (integers, constants, weights))
        kept.append(
            header.filled(
                "allegro_program",
                **dict(zip(Program._fields, arrays, strict=True)),
                is_double=int(weights.dtype == np.float64),
            )
        )
        structs[place] = kept[-1]
    made = header.filled(
        "allegro_gpu_atoms",
        count=count,
        members=members,
        programs=structs,
        types=types,
        particles=np.ascontiguousarray(atoms.particles, np.int64),
        caps=len(atoms.ratios),
        ends=np.ascontiguousarray(atoms.ends, np.int64),
        ratios=np.ascontiguousarray(atoms.ratios, np.float64),
        periodic=[int(repeats) for repeats in atoms.periodic],
        skin=float(atoms.skin),
        charges=None,
    )
    made.programs_kept = kept
    return made


def _close(bridge: Bridge, close: Any, handle: int) -> None:
    bridge.call(close, handle)
