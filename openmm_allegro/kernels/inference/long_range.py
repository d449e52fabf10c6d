# SPDX-License-Identifier: MIT
"""Sums over charges as the operator ``openmm_allegro::long_range``.

On the CPU the compiled kernels compute it where they were built; else its twin in torch
does.
"""

import functools
import math
import threading

import torch
from torch import Tensor

from .. import header
from ..library import library
from .compiled import number_of_threads
from .long_range_twin import long_range as long_range_in_torch
from .long_range_twin import mesh_points, mesh_spacing
from .mesh import ORDER, SPACING, Mesh

ORDERS = header.constant("ALLEGRO_LEAST_ORDER"), header.constant("ALLEGRO_MOST_ORDER")
MOST_POINTS = header.constant("ALLEGRO_MOST_POINTS")

_SCHEMA = (
    "long_range(Tensor positions, Tensor cell, Tensor charges, float alpha, "
    f"float spacing={SPACING}, int order={ORDER}) -> (Tensor, Tensor, Tensor, Tensor)"
)
_thread = threading.local()  # each thread has a mesh of its own


@functools.cache
def register() -> torch.library.Library:
    """Make the operator known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "FRAGMENT")
    operators.define(_SCHEMA)
    operators.impl("long_range", _on_cpu, "CPU")
    operators.impl("long_range", _on_gpu, "CUDA")
    return operators


def _on_cpu(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    alpha: float,
    spacing: float = SPACING,
    order: int = ORDER,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See ``long_range_twin.long_range``."""
    arguments = positions, cell, charges, alpha, spacing, order
    _check_arguments(*arguments)
    kernels = library()
    if kernels is None:
        return _on_gpu(*arguments)
    if not hasattr(_thread, "mesh"):
        _thread.mesh = Mesh(kernels)
    arrays = (array.detach().numpy() for array in (positions, cell, charges))
    threads = number_of_threads(torch.get_num_threads(), largest=len(charges))
    results = _thread.mesh.sum(*arrays, alpha, spacing, order, threads)
    energy, potentials, forces, strain = map(torch.from_numpy, results)
    return energy, potentials, forces, strain


def _on_gpu(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    alpha: float,
    spacing: float = SPACING,
    order: int = ORDER,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See ``long_range_twin.long_range``."""
    _check_arguments(positions, cell, charges, alpha, spacing, order)
    if bool((cell != 0.0).any()):
        _check_box(cell, alpha, spacing)
    with torch.no_grad():
        return long_range_in_torch(positions, cell, charges, alpha, spacing, order)


def _check_arguments(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    alpha: float,
    spacing: float,
    order: int,
) -> None:
    """Refuse arrays of other kinds, and numbers that are out of range."""
    count = positions.shape[:1]
    shapes = {"positions": (*count, 3), "cell": (3, 3), "charges": tuple(count)}
    given = {"positions": positions, "cell": cell, "charges": charges}
    for name, array in given.items():
        if array.shape != shapes[name] or array.dtype != torch.float64 or not count:
            raise ValueError(
                f"long_range: expected {name} of shape {list(shapes[name])} and "
                f"torch.float64, found {list(array.shape)} and {array.dtype}"
            )
        if array.device != positions.device:
            raise ValueError(
                f"long_range: expected all arrays on one device, found {name} on "
                f"{array.device} and positions on {positions.device}"
            )
        if not array.data_ptr() and array.numel():
            raise ValueError(f"long_range: expected {name} in memory, found it freed")
    if not 0.0 < alpha < math.inf:
        raise ValueError(f"long_range: expected a finite alpha above 0, found {alpha}")
    if not 0.0 <= spacing < math.inf:
        raise ValueError(
            "long_range: expected a finite spacing, or 0 for one by alpha, found "
            f"{spacing}"
        )
    if not ORDERS[0] <= order <= ORDERS[1]:
        raise ValueError(
            f"long_range: expected splines of order {ORDERS[0]} to {ORDERS[1]}, found "
            f"{order}"
        )


def _check_box(cell: Tensor, alpha: float, spacing: float) -> None:
    """Refuse a box without volume, or one whose mesh has too many points."""
    volume = float(torch.det(cell).abs())
    if not 0.0 < volume < math.inf:
        raise ValueError(
            f"long_range: expected a box with a volume, found {volume} Å³ from "
            f"{cell.tolist()}"
        )
    lengths = torch.linalg.vector_norm(cell, dim=-1)
    few = float(lengths.max()) / mesh_spacing(alpha, spacing) <= MOST_POINTS
    if not few or math.prod(mesh_points(cell, alpha, spacing)) > MOST_POINTS:
        raise ValueError(
            "long_range: expected a box for a mesh of at most 2^28 points, found "
            f"vectors of {lengths.tolist()} Å at a spacing of {spacing} Å"
        )


register()
