# SPDX-License-Identifier: MIT
"""Checks of what the operator ``evaluate_atoms`` is given.

Kernels follow indices without looking at them again. Positions are looked at in each
call, as far as that needs no number of theirs; the rest once for each engine.
"""

import numpy as np
import torch
from torch import Tensor

from ..gpu.engine import CardAtoms
from .pending import completed_arrays
from .program import Program
from .validity import check_program

PARTS = 4  # tensors of a model: its program, and the types of its atoms
_MOST = 2**31  # particles of a System, which kernels count with 32 bits
_FLOATS = (torch.float32, torch.float64)


def atoms_on_card(
    atoms: list[Tensor], programs: list[Tensor], skin: float
) -> tuple[list[Program], CardAtoms]:
    """Copy programs and atoms to arrays; parameters as of ``on_card.evaluate_atoms``.

    Raises
    ------
    ValueError
        If they are of other kinds, or indices are out of range.
    RuntimeError
        If a program is of another format.
    """
    if not programs or len(programs) % PARTS:
        raise ValueError(
            f"evaluate_atoms: expected {PARTS} tensors of each program, found "
            f"{len(programs)} in all"
        )
    if len(atoms) != 4:
        raise ValueError(
            f"evaluate_atoms: expected 4 tensors of the atoms, found {len(atoms)}"
        )
    particles, ends, ratios, periodic = atoms
    given = {
        "particles": (particles, torch.int64, (None,)),
        "ends": (ends, torch.int64, (None, 2)),
        "ratios": (ratios, torch.float64, (ends.shape[0],)),
        "periodic": (periodic, torch.bool, (3,)),
    }
    count = particles.shape[:1] + ends.shape[:1]
    for start in range(0, len(programs), PARTS):
        types = programs[start + PARTS - 1]
        given[f"types[{start}]"] = types, torch.int64, (sum(count),)
    arrays = {name: _array(name, *expected) for name, expected in given.items()}
    for name in ("particles", "ends"):
        _check_range(name, arrays[name], _MOST)
    if not arrays["particles"].size or not np.isfinite(arrays["ratios"]).all():
        raise ValueError(
            "evaluate_atoms: expected one particle or more, and finite ratios, found "
            f"{arrays['particles'].size} particles and ratios {arrays['ratios']}"
        )
    if not 0.0 <= skin < np.inf:
        raise ValueError(
            f"evaluate_atoms: expected a skin of 0 Å or more, found {skin}"
        )
    made, types = [], []
    for start in range(0, len(programs), PARTS):
        parts = programs[start : start + PARTS - 1]
        program = Program(*(part.detach().cpu().numpy() for part in parts))
        made.append(completed_arrays(program))
        types.append(arrays[f"types[{start}]"])
        _check_range("types", types[-1], check_program(*made[-1]))
    return made, CardAtoms(
        np.stack(types),
        arrays["particles"],
        arrays["periodic"].tolist(),
        skin,
        arrays["ends"],
        arrays["ratios"],
    )


def _array(
    name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int | None, ...]
) -> np.ndarray:
    sizes = zip(tensor.shape, shape, strict=False)
    fits = tensor.dim() == len(shape) and all(b in (a, None) for a, b in sizes)
    if tensor.dtype != dtype or not fits or tensor.layout != torch.strided:
        expected = [size if size is not None else "any number" for size in shape]
        raise ValueError(
            f"evaluate_atoms: expected {name} of {dtype} and shape {expected}, found "
            f"{tensor.dtype} of shape {list(tensor.shape)}"
        )
    _check_memory(name, tensor)
    return tensor.detach().cpu().numpy()


def check_positions(positions: Tensor, box: Tensor | None, particles: int) -> None:
    """Refuse arrays of other kinds, and fewer positions than particles.

    Raises
    ------
    ValueError
    """
    for name, tensor in (("positions", positions), ("box", box)):
        if tensor is None:
            continue
        rows = tensor.shape[0] if tensor.dim() else 0
        least = particles if name == "positions" else 3
        fits = tensor.shape == (rows, 3) and rows >= least
        is_box = name == "box"
        if tensor.dtype not in _FLOATS or not fits or (is_box and rows != 3):
            raise ValueError(
                f"evaluate_atoms: expected {name} of float32 or float64, with three "
                f"columns and {least} rows{'' if is_box else ' or more'}, found "
                f"{tensor.dtype} of shape {list(tensor.shape)}"
            )
        _check_memory(name, tensor)


def check_stream() -> None:
    """Refuse to be captured as a CUDA graph, which could not build the list again.

    Raises
    ------
    RuntimeError
    """
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "Allegro: expected a stream that runs, found one that is captured as a "
            "CUDA graph, which would keep the pairs of one step for all; leave out "
            "CUDA graphs (useCUDAGraphs of a TorchForce)"
        )


def _check_memory(name: str, tensor: Tensor) -> None:
    is_plain = tensor.layout == torch.strided and tensor.device.type != "meta"
    if not is_plain or (tensor.numel() and not tensor.data_ptr()):
        raise ValueError(f"evaluate_atoms: expected {name} in memory, found it freed")


def _check_range(name: str, values: np.ndarray, end: int) -> None:
    if values.size and not 0 <= values.min() <= values.max() < end:
        raise ValueError(
            f"evaluate_atoms: expected {name} from 0 to {end - 1}, found "
            f"{values.min()} to {values.max()}"
        )
