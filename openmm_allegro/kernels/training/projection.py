# SPDX-License-Identifier: MIT
"""Sums over a centre's pairs, components and channels, degree by degree.

Pairs stand in blocks, one after the other: C centres with K neighbours each. With
harmonics y of each pair, weights w of each pair and degree, and features v of each
centre and component, l(a) the degree of component a, the three operators are

    project:  v[c, a, u]    = Σ_k y[c, k, a] w[c, k, l(a), u]
    spread:   w[c, k, l, u] = Σ_a δ(l, l(a)) y[c, k, a] v[c, a, u]
    meet:     y[c, k, a]    = Σ_u w[c, k, l(a), u] v[c, a, u]

and the derivatives of each are the other two. As products of matrices they would go
through all pairs of degrees, l_max + 1 times as much.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..header import filled
from ..library import check_outcome, library
from .operators import check_arrays, check_memory, define, runs_compiled, threads_for

# Arrays that each operator takes, in order, and the one that it makes.
FACTORS = {"project": "yw", "spread": "yv", "meet": "wv"}
RESULT = {"project": "v", "spread": "w", "meet": "y"}
NAMES = tuple(FACTORS)
_MAKER = {array: name for name, array in RESULT.items()}
_MAX_DEGREES = 9
_COMPONENTS = frozenset((1, 3, 5, 7, 9))
_RANKS = {"project": (2, 3), "spread": (2, 3), "meet": (3, 3)}

Shapes = Sequence[tuple[int, int]]  # C and K of each block


def project(y: Tensor, w: Tensor, sizes: Sequence[int], shapes: Shapes) -> Tensor:
    """Sum over pairs, see above; differentiable any number of times, as are the others.

    Parameters
    ----------
    y : Tensor [P, A]
    w : Tensor [P, L, U]
    sizes : sequence of int
        Components of each of the L degrees, A in all.
    shapes : sequence of (C, K)
        P pairs of N centres in all.

    Returns
    -------
    Tensor [N, A, U]
    """
    return torch.ops.openmm_allegro.project(y, w, list(sizes), _flat(shapes))


def spread(y: Tensor, v: Tensor, sizes: Sequence[int], shapes: Shapes) -> Tensor:
    """Sum over components: ``y`` [P, A], ``v`` [N, A, U] → [P, L, U]."""
    return torch.ops.openmm_allegro.spread(y, v, list(sizes), _flat(shapes))


def meet(w: Tensor, v: Tensor, sizes: Sequence[int], shapes: Shapes) -> Tensor:
    """Sum over channels: ``w`` [P, L, U], ``v`` [N, A, U] → [P, A]."""
    return torch.ops.openmm_allegro.meet(w, v, list(sizes), _flat(shapes))


def project_in_torch(
    y: Tensor, w: Tensor, sizes: Sequence[int], shapes: Shapes
) -> Tensor:
    """Compute ``project`` in plain torch."""
    products = y.unsqueeze(-1) * w[:, _degrees(sizes)]
    centers = _centers(shapes, y.device)
    zeros = products.new_zeros((sum(c for c, _ in shapes), *products.shape[1:]))
    return zeros.index_add(0, centers, products)


def spread_in_torch(
    y: Tensor, v: Tensor, sizes: Sequence[int], shapes: Shapes
) -> Tensor:
    """Compute ``spread`` in plain torch."""
    products = y.unsqueeze(-1) * v[_centers(shapes, y.device)]
    return torch.stack([p.sum(1) for p in products.split(list(sizes), 1)], 1)


def meet_in_torch(w: Tensor, v: Tensor, sizes: Sequence[int], shapes: Shapes) -> Tensor:
    """Compute ``meet`` in plain torch."""
    return (w[:, _degrees(sizes)] * v[_centers(shapes, w.device)]).sum(-1)


@functools.cache
def register() -> None:
    """Make the operators known to torch; once in a process."""
    for name, in_torch in (
        ("project", project_in_torch),
        ("spread", spread_in_torch),
        ("meet", meet_in_torch),
    ):
        define(
            f"{name}(Tensor left, Tensor right, int[] sizes, int[] shapes) -> Tensor",
            functools.partial(_on_cpu, name, in_torch),
            functools.partial(_on_gpu, name, in_torch),
            functools.partial(_empty, name),
            functools.partial(_backward, name),
            _save,
        )


def _degrees(sizes: Sequence[int]) -> list[int]:
    """Degree of each component."""
    return [degree for degree, size in enumerate(sizes) for _ in range(size)]


def _flat(shapes: Shapes) -> list[int]:
    return [number for shape in shapes for number in shape]


def _paired(flat: Sequence[int]) -> Shapes:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _centers(shapes: Shapes, device: torch.device) -> Tensor:
    """Centre of each pair."""
    counts = [k for c, k in shapes for _ in range(c)]
    return torch.repeat_interleave(torch.tensor(counts, device=device))


def _array_shapes(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int], shapes: Shapes
) -> dict[str, tuple[int, ...]]:
    """Shapes of all three arrays."""
    channels = left.shape[-1] if name == "meet" else right.shape[-1]
    pairs, centers = sum(c * k for c, k in shapes), sum(c for c, _ in shapes)
    return {
        "y": (pairs, sum(sizes)),
        "w": (pairs, len(sizes), channels),
        "v": (centers, sum(sizes), channels),
    }


def _empty(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int], shapes: Sequence[int]
) -> Tensor:
    check_arrays(name, left, right)
    arrays = _array_shapes(name, left, right, sizes, _paired(shapes))
    return left.new_empty(arrays[RESULT[name]])


def _on_cpu(
    name: str,
    in_torch: Callable[[Tensor, Tensor, Sequence[int], Shapes], Tensor],
    left: Tensor,
    right: Tensor,
    sizes: Sequence[int],
    shapes: Sequence[int],
) -> Tensor:
    expected = _check(name, left, right, sizes, shapes)
    blocks = _paired(shapes)
    if not runs_compiled(left):
        return in_torch(left, right, sizes, blocks)
    result = left.new_empty(expected[RESULT[name]])
    arrays = dict(zip(FACTORS[name], (left, right), strict=True))
    arrays = {
        key: a if key == "w" and _has_equal_rows(a) else a.contiguous()
        for key, a in arrays.items()
    } | {RESULT[name]: result}
    _, degrees, channels = arrays["w"].shape
    row = arrays["w"].stride(0) if len(arrays["w"]) > 1 else degrees * channels
    call = getattr(library(), f"allegro_{name}")
    of_all = {
        "components": sum(sizes),
        "channels": channels,
        "degrees": degrees,
        "row": row,
        "components_of": [*sizes, *[0] * (_MAX_DEGREES - degrees)],
        "is_double": result.dtype == torch.float64,
    }
    pair = center = 0
    for centers, neighbors in blocks:
        end = pair + centers * neighbors
        parts = {
            "y": arrays["y"][pair:end],
            "w": arrays["w"][pair:end],
            "v": arrays["v"][center : center + centers],
        }
        block = filled(
            "allegro_pairs", centers=centers, neighbors=neighbors, **of_all, **parts
        )
        check_outcome(name, call(block, threads_for(centers)))
        pair, center = end, center + centers
    return result


def _on_gpu(
    name: str,
    in_torch: Callable[[Tensor, Tensor, Sequence[int], Shapes], Tensor],
    left: Tensor,
    right: Tensor,
    sizes: Sequence[int],
    shapes: Sequence[int],
) -> Tensor:
    _check(name, left, right, sizes, shapes)
    return in_torch(left, right, sizes, _paired(shapes))


def _check(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int], shapes: Sequence[int]
) -> dict[str, tuple[int, ...]]:
    """Shapes of all three arrays.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit together.
    """
    check_arrays(name, left, right)
    if not 0 < len(sizes) <= _MAX_DEGREES or not _COMPONENTS.issuperset(sizes):
        raise ValueError(
            f"{name}: expected 1 to {_MAX_DEGREES} degrees of {sorted(_COMPONENTS)} "
            f"components, found {list(sizes)}"
        )
    if len(shapes) % 2 or min(shapes, default=0) < 0:
        raise ValueError(
            f"{name}: expected centres and neighbours of each block, found "
            f"{list(shapes)}"
        )
    ranks = left.dim(), right.dim()
    if ranks != _RANKS[name]:
        raise ValueError(
            f"{name}: expected arrays of rank {_RANKS[name]}, found {ranks}"
        )
    arrays = _array_shapes(name, left, right, sizes, _paired(shapes))
    expected = tuple(arrays[factor] for factor in FACTORS[name])
    given = tuple(left.shape), tuple(right.shape)
    if given != expected:
        raise ValueError(f"{name}: expected shapes {expected}, found {given}")
    check_memory(name, left, right)
    return arrays


def _has_equal_rows(weights: Tensor) -> bool:
    """Tell whether each pair's weights are together, and pairs in equal distances."""
    _, degrees, channels = weights.stride()
    return channels == 1 and degrees == weights.shape[2] and len(weights) > 1


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    left, right, ctx.sizes, ctx.shapes = inputs
    ctx.save_for_backward(left, right)


def _backward(name: str, ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    """Differentiate by both factors, each with the operator that makes its like."""
    arrays = dict(zip(FACTORS[name], ctx.saved_tensors, strict=True))
    arrays[RESULT[name]] = upstream
    gradients: list[Tensor | None] = [None, None, None, None]
    for index, factor in enumerate(FACTORS[name]):
        if ctx.needs_input_grad[index]:
            maker = _MAKER[factor]
            others = [arrays[key] for key in FACTORS[maker]]
            operator = getattr(torch.ops.openmm_allegro, maker)
            gradients[index] = operator(*others, ctx.sizes, ctx.shapes)
    return tuple(gradients)


register()
