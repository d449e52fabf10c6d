# SPDX-License-Identifier: MIT
"""Atoms evaluated on a card, by an engine that the caller holds with its handle.

An operator is a function, but a pair list lasts from step to step, and each copy of a
module needs one of its own. So the module keeps a tensor, the handle, which it gives to
the operator and replaces by what the operator returns. An engine belongs to the memory
of a handle: a copy of a module, or one that was read from a file, has another memory,
and gets an engine of its own. The engine ends when that memory is given back.
"""

import logging
import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...units import NM_TO_ANGSTROM
from ..gpu.device import Device
from ..gpu.engine import CardAtoms, Engine
from .card_arguments import atoms_on_card, check_positions, check_stream
from .program import Program

SCHEMA = (
    "evaluate_atoms(Tensor positions, Tensor? box, Tensor[] atoms, Tensor[] programs, "
    "float skin, bool needs_card, int member, bool wait, Tensor handle) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)
_log = logging.getLogger(__name__)


class _Handle(np.ndarray):
    """Memory of a handle; tensors over it keep it, and with it the engine, alive."""

    engine: Engine | None  # None where plain torch has to do
    place: torch.device
    atoms: int  # with caps
    particles: int  # least number of a System's
    lock: threading.Lock


# By the address of their memory, which is no other's while it is held.
_HANDLES: "weakref.WeakValueDictionary[int, _Handle]" = weakref.WeakValueDictionary()


def evaluate_atoms(
    positions: Tensor,
    box: Tensor | None,
    atoms: list[Tensor],
    programs: list[Tensor],
    skin: float,
    needs_card: bool,
    member: int,
    wait: bool,
    handle: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Evaluate models for atoms of a System by the fused kernel for cards.

    Parameters
    ----------
    positions : Tensor [N, 3], float32 or float64, nm
        Of all particles; may lie outside the box.
    box : Tensor [3, 3], nm, optional
        Rows are box vectors.
    atoms : list of Tensor
        Particles [n less caps] of the atoms, int64; the inner and the outer particle
        of each cap [caps, 2], int64; its place on that bond [caps], float64; whether
        the box repeats along each of its vectors [3], bool. These and the programs are
        looked at once for each handle.
    programs : list of Tensor
        Of each model: the three of ``program.Program``, and the types [n] of atoms and
        caps, int64.
    skin : float
        Reach of the pair list beyond the cutoff, Å.
    needs_card : bool
        Whether to refuse where the kernel cannot run, instead of leaving it to torch.
    member : int
        Number of the model that is wanted; -1 for the mean of all.
    wait : bool
        Whether to wait for the results, and report what is wrong with them at once;
        otherwise the next call does.
    handle : Tensor
        What the last call returned; empty at first.

    Returns
    -------
    energies : Tensor [n], eV
        Empty, as forces and strain, where the kernel cannot run.
    forces : Tensor [n, 3], eV/Å
    strain : Tensor [3, 3], eV
        All float64.
    handle : Tensor

    Raises
    ------
    RuntimeError
        If positions or the box were not finite, in this call or the one before, if the
        kernel is needed and cannot run, or if the call would become a CUDA graph.
    ValueError
        If arrays are of other kinds, or indices are out of range.
    """
    place = positions.device
    if positions.is_cuda:
        check_stream()
    memory = _HANDLES.get(handle.data_ptr()) if handle.numel() else None
    if memory is None or memory.place != place:
        memory = _opened(place, needs_card, atoms, programs, skin)
        wait = True  # for its first list, whose size is a guess before
    check_positions(positions, box, memory.particles)
    results = _results(memory.atoms if memory.engine else 0, place)
    if memory.engine is not None:
        with memory.lock:
            try:
                _run(memory.engine, wait, member, positions, box, *results)
            except RuntimeError:
                # It may be of the call before, or of room that has been made since.
                if not wait:
                    raise
                _run(memory.engine, wait, member, positions, box, *results)
    return *results, torch.from_numpy(memory)


def make_device(place: torch.device) -> Device:
    """Make the device that tensors of torch are on.

    Raises
    ------
    ImportError, RuntimeError
        If it is no card, or one that cannot run the kernels.
    """
    if place.type != "cuda":
        raise RuntimeError(f"expected a CUDA device, found {place}")
    from ..gpu.cuda import CudaDevice

    stream = torch.cuda.current_stream(place).cuda_stream
    return CudaDevice(place.index, stream, reclaim=torch.cuda.empty_cache)


def _run(
    engine: Engine,
    wait: bool,
    member: int,
    positions: Tensor,
    box: Tensor | None,
    *results: Tensor,
) -> None:
    """Queue a step in torch's stream, and wait for it if that is asked for."""
    dtype = positions.dtype
    if box is not None and box.dtype != dtype:
        dtype = torch.float64
    # Torch gives memory back in the order of the stream, so nothing waits for these.
    given = [
        None if x is None else x.detach().to(positions.device, dtype).contiguous()
        for x in (positions, box)
    ]
    if positions.is_cuda:
        stream = torch.cuda.current_stream(positions.device)
        engine.device.use_stream(stream.cuda_stream)
    energies, forces, strain = (result.data_ptr() for result in results)
    engine.step(
        *(None if x is None else x.data_ptr() for x in given),
        is_double=dtype == torch.float64,
        to_angstrom=NM_TO_ANGSTROM,
        member=member,
        energies=energies,
        forces=forces,
        strain=strain,
    )
    if wait:
        engine.finish()


def _results(count: int, place: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Tensors for the results of so many atoms; none without atoms."""
    shapes = (count,), (count, 3), (3, 3) if count else (0, 0)
    energies, forces, strain = (
        torch.empty(shape, dtype=torch.float64, device=place) for shape in shapes
    )
    return energies, forces, strain


def _opened(place: torch.device, needs_card: bool, *given: Any) -> _Handle:
    """Open an engine in a memory of its own, or note that plain torch has to do."""
    programs, atoms = atoms_on_card(*given)
    memory = np.zeros(1, np.int64).view(_Handle)
    memory.place, memory.lock = place, threading.Lock()
    memory.atoms = atoms.types.shape[1]
    used = np.concatenate([atoms.particles, atoms.ends.ravel()])
    memory.particles = int(used.max()) + 1
    memory.engine = _engine(place, needs_card, programs, atoms)
    _HANDLES[memory.ctypes.data] = memory
    return memory


def _engine(
    place: torch.device, needs_card: bool, programs: list[Program], atoms: CardAtoms
) -> Engine | None:
    try:
        return Engine(make_device(place), programs, atoms)
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        if needs_card:
            raise RuntimeError(
                f"Allegro: kernel='fused' expects a fused kernel for {place}, found "
                f"none: {reason}; kernel='auto' takes plain torch there"
            ) from error
        _log.warning(
            "plain torch computes the model on %s, which takes several times longer "
            "than the fused kernel: %s",
            place,
            reason,
        )
        return None
