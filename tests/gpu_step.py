# SPDX-License-Identifier: MIT
"""Steps of models on a processor that plays a card, and what their kernels wrote."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from openmm_allegro.kernels import header
from openmm_allegro.kernels.gpu.device import Bridge, values
from openmm_allegro.kernels.gpu.host import HostDevice
from openmm_allegro.kernels.gpu.library import Counter, gpu_library
from openmm_allegro.kernels.library import Outcome
from openmm_allegro.model.long_range import LongRangeSettings
from openmm_allegro.units import COULOMB_EV_ANGSTROM_CODATA

_STUB = -1  # of a source or kernel that does not run


class ListDevice(HostDevice):
    """A ``HostDevice`` that notes the arguments of each launch.

    Parameters
    ----------
    networks : bool
        Whether the kernels of the networks are compiled and run.
    """

    def __init__(self, *, networks: bool = False, **options) -> None:
        super().__init__(**options)
        self._networks = networks
        self.names: list[str] = []
        self.arguments: dict[str, list] = {}
        self._stubs: dict[int, str] = {}
        self._own: dict[int, str] = {}
        self.most_bytes = 1 << 40  # of a buffer

    def allocate(self, count: int) -> int:
        if count > self.most_bytes:
            raise MemoryError(
                f"expected {self.most_bytes} bytes or less, found {count}"
            )
        return super().allocate(count)

    def compile(self, source: str) -> int:
        if "void wide(" in source and not self._networks:
            return 1 << 40
        return super().compile(source)

    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        if compiled == 1 << 40:
            handle = compiled + len(self._own) + 1
        else:
            handle = super().kernel(compiled, name, threads, memory)
        self._own[handle] = name
        return handle

    def launch(self, kernel, groups, threads, memory, arguments, count) -> None:
        name = self._own[kernel]
        self.names.append(name)
        self.arguments[name] = values(arguments, count)
        if kernel < 1 << 40:
            super().launch(kernel, groups, threads, memory, arguments, count)


class Lists(NamedTuple):
    """What ``list`` wrote; pairs are rows (centre, neighbour, image) in its order."""

    pairs: np.ndarray  # [P, 5]
    near: np.ndarray  # [R, 5], those within the cutoff
    degrees: np.ndarray  # [N]
    groups: np.ndarray  # [groups, slots], -1 for none
    wide: np.ndarray


class Steps:
    """Models on a device.

    Parameters
    ----------
    device : ListDevice
    programs : sequence of Program
        Of numpy's arrays.
    types : array [members, atoms] or [atoms]
    periodic, skin
        As ``allegro_gpu_atoms`` has them.
    particles, caps
        Particles of the atoms, and (inner, outer, ratio) of each cap.
    charges : sequence of LongRangeSettings
        Of the programs, if their atoms have charges.
    images : int
        Number of one of ``model.long_range.IMAGES``.
    **tuning
        Fields of ``allegro_gpu_tuning``.

    Raises
    ------
    RuntimeError
        From all methods, with the message of the library.
    """

    def __init__(
        self,
        device: ListDevice,
        programs: Sequence,
        types: np.ndarray,
        periodic: Sequence[bool],
        skin: float,
        *,
        particles: Sequence[int] | None = None,
        caps: Sequence[tuple[int, int, float]] = (),
        charges: Sequence[LongRangeSettings] = (),
        images: int = 0,
        **tuning: int,
    ) -> None:
        self.device = device
        self.types = np.atleast_2d(np.array(types, np.int64))
        self.count = self.types.shape[1]
        self._bridge = Bridge(device)
        self._library = gpu_library()
        self._message = ctypes.create_string_buffer(600)
        self._buffers: dict[str, int] = {}
        fields = ("integers", "constants", "weights")
        kept = [[np.ascontiguousarray(array) for array in one] for one in programs]
        structs = (header.structure("allegro_program") * len(kept))()
        for struct, arrays in zip(structs, kept, strict=True):
            for field, array in zip(fields, arrays, strict=True):
                setattr(struct, field, array.ctypes.data)
            struct.is_double = int(arrays[2].dtype == np.float64)
        if particles is None:
            particles = range(self.count - len(caps))
        atoms = header.filled(
            "allegro_gpu_atoms",
            count=self.count,
            members=len(kept),
            programs=np.frombuffer(structs, np.uint8),
            types=self.types,
            particles=np.array(particles, np.int64),
            caps=len(caps),
            ends=np.array([cap[:2] for cap in caps], np.int64),
            ratios=np.array([cap[2] for cap in caps], float),
            periodic=[int(one) for one in periodic],
            skin=skin,
            charges=_charges(charges, images) if charges else None,
        )
        names = [name for name, _ in header.structure("allegro_gpu_tuning")._fields_]
        chosen = header.filled("allegro_gpu_tuning", **dict.fromkeys(names, 0) | tuning)
        self._engine = self._bridge.call(
            self._library.allegro_gpu_open_tuned,
            ctypes.byref(self._bridge.struct),
            ctypes.byref(atoms),
            ctypes.byref(chosen),
            self._message,
            len(self._message),
        )
        if self._engine is None:
            raise RuntimeError(self._message.value.decode())

    def step(self, positions, box=None, *, member=-1, wants_forces=True, unit=1.0):
        """Queue a step; ``results`` then has what it wrote."""
        positions = np.ascontiguousarray(positions)
        arrays = {"positions": positions}
        if box is not None:
            arrays["box"] = np.ascontiguousarray(box, positions.dtype)
        for name, array in arrays.items():
            self._put(name, array)
        given = header.structure("allegro_gpu_input")(
            positions=self._buffers["positions"],
            box=None if box is None else self._buffers["box"],
            is_double=int(positions.dtype == np.float64),
            to_angstrom=unit,
        )
        for name, size in (("energies", 1), ("forces", 3)):
            self._reserve(name, size * self.count * 8)
        self._reserve("strain", 72)
        asked = header.structure("allegro_gpu_output")(
            energies=self._buffers["energies"],
            forces=self._buffers["forces"] if wants_forces else None,
            strain=self._buffers["strain"],
        )
        self._check(
            self._bridge.call(
                self._library.allegro_gpu_step_member,
                ctypes.c_void_p(self._engine),
                member,
                ctypes.byref(given),
                ctypes.byref(asked),
                self._message,
                len(self._message),
            )
        )

    def rows(self) -> int:
        """Rows of a group now."""
        return self._library.allegro_gpu_rows(ctypes.c_void_p(self._engine))

    def results(self):
        """Energies [N], forces [N, 3] and strain derivative [3, 3] of the last step."""
        shapes = {"energies": self.count, "forces": (self.count, 3), "strain": (3, 3)}
        return tuple(
            _read(self._buffers[name], shape, float) for name, shape in shapes.items()
        )

    def finish(self) -> np.ndarray:
        """Wait for the steps; the counters."""
        counters = np.zeros(Counter.COUNTERS, np.int32)
        self._check(
            self._bridge.call(
                self._library.allegro_gpu_finish,
                ctypes.c_void_p(self._engine),
                counters.ctypes.data,
                self._message,
                len(self._message),
            )
        )
        return counters

    def lists(self) -> Lists:
        """What the last launch of ``list`` wrote."""
        given = self.device.arguments["list"]
        buffers = given[14:23]
        count, capacity, *_, slots = given[23:]
        counts, neighbors, images, degrees, rows, groups, wide, _, counters = buffers
        counts, degrees = (_read(one, count, np.int32) for one in (counts, degrees))
        lists = [
            _read(one, (count, capacity), np.int32) for one in (neighbors, images, rows)
        ]
        counters = _read(counters, Counter.COUNTERS, np.int32)
        pairs, near = [np.empty((0, 5), int)], [np.empty((0, 5), int)]
        for center in np.flatnonzero(counts <= capacity):
            taken = counts[center]
            own, image = lists[0][center, :taken], lists[1][center, :taken]
            bytes_ = np.stack([image, image >> 8, image >> 16], 1).astype(np.int8)
            table = np.column_stack([np.full(taken, center), own, bytes_.astype(int)])
            pairs.append(table)
            near.append(table[lists[2][center, : max(degrees[center], 0)]])
        made = counters[Counter.GROUPS]
        return Lists(
            np.concatenate(pairs),
            np.concatenate(near),
            degrees,
            _read(groups, (made, slots), np.int32),
            _read(wide, counters[Counter.WIDE], np.int32),
        )

    def wraps(self) -> np.ndarray:
        """Boxes that were taken off each atom [N, 3]."""
        return _read(self.device.arguments["list"][3], (self.count, 3), np.int32)

    def placed(self) -> np.ndarray:
        """Positions [N, 3] without those boxes, Å."""
        return _read(self.device.arguments["list"][0], (self.count, 3), float)

    def box(self) -> np.ndarray:
        """Vectors of the box [3, 3], Å, 0 where it does not repeat."""
        return _read(self.device.arguments["list"][5], (3, 3), float)

    def close(self) -> None:
        self._library.allegro_gpu_close(ctypes.c_void_p(self._engine))
        for buffer in self._buffers.values():
            self.device.release(buffer)

    def _reserve(self, name: str, size: int) -> None:
        if name not in self._buffers:
            self._buffers[name] = self.device.allocate(size)

    def _put(self, name: str, array: np.ndarray) -> None:
        self._reserve(name, array.size * 8)
        ctypes.memmove(self._buffers[name], array.ctypes.data, array.nbytes)

    def _check(self, outcome: int) -> None:
        if outcome != Outcome.OK:
            raise RuntimeError(self._message.value.decode())


def _charges(settings: Sequence[LongRangeSettings], images: int) -> ctypes.Structure:
    return header.filled(
        "allegro_gpu_charges",
        starts=np.concatenate([one.start for one in settings]),
        alphas=np.array([one.alpha for one in settings]),
        total=settings[0].total,
        coulomb=COULOMB_EV_ANGSTROM_CODATA,
        images=images,
    )


def _read(address: int, shape, dtype) -> np.ndarray:
    array = np.empty(shape, dtype)
    if array.size:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)
    return array


@contextmanager
def steps(programs, types, periodic, skin=0.5, *, device=None, **options):
    """``Steps`` on a ``ListDevice`` without networks, unless another is given."""
    made = Steps(device or ListDevice(), programs, types, periodic, skin, **options)
    try:
        yield made
    finally:
        made.close()
