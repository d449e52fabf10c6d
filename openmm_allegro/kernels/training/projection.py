# SPDX-License-Identifier: MIT
"""Sums over a centre's pairs, components and channels, degree by degree.

With harmonics y of each pair, weights w of each pair and degree, and features v of each
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
_RANKS = {"project": (3, 4), "spread": (3, 3), "meet": (4, 3)}


def project(y: Tensor, w: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sum over pairs, see above; differentiable any number of times, as are the others.

    Parameters
    ----------
    y : Tensor [C, K, A]
    w : Tensor [C, K, L, U]
    sizes : sequence of int
        Components of each of the L degrees, A in all.

    Returns
    -------
    Tensor [C, A, U]
    """
    return torch.ops.openmm_allegro.project(y, w, list(sizes))


def spread(y: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sum over components: ``y`` [C, K, A], ``v`` [C, A, U] → [C, K, L, U]."""
    return torch.ops.openmm_allegro.spread(y, v, list(sizes))


def meet(w: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sum over channels: ``w`` [C, K, L, U], ``v`` [C, A, U] → [C, K, A]."""
    return torch.ops.openmm_allegro.meet(w, v, list(sizes))


def project_in_torch(y: Tensor, w: Tensor, sizes: Sequence[int]) -> Tensor:
    """Compute ``project`` in plain torch."""
    return torch.einsum("cka,ckau->cau", y, w[:, :, _degrees(sizes)])


def spread_in_torch(y: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """Compute ``spread`` in plain torch."""
    products = (y.unsqueeze(-1) * v.unsqueeze(1)).split(list(sizes), 2)
    return torch.stack([p.sum(2) for p in products], 2)


def meet_in_torch(w: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """Compute ``meet`` in plain torch."""
    return torch.einsum("ckau,cau->cka", w[:, :, _degrees(sizes)], v)


@functools.cache
def register() -> None:
    """Make the operators known to torch; once in a process."""
    for name, in_torch in (
        ("project", project_in_torch),
        ("spread", spread_in_torch),
        ("meet", meet_in_torch),
    ):
        define(
            f"{name}(Tensor left, Tensor right, int[] sizes) -> Tensor",
            functools.partial(_on_cpu, name, in_torch),
            functools.partial(_on_gpu, name, in_torch),
            functools.partial(_empty, name),
            functools.partial(_backward, name),
            _save,
        )


def _degrees(sizes: Sequence[int]) -> list[int]:
    """Degree of each component."""
    return [degree for degree, size in enumerate(sizes) for _ in range(size)]


def _shapes(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int]
) -> dict[str, tuple[int, ...]]:
    """Shapes of all three arrays, from sizes that either factor must have."""
    centers, neighbors = left.shape[:2]
    channels = left.shape[-1] if name == "meet" else right.shape[-1]
    return {
        "y": (centers, neighbors, sum(sizes)),
        "w": (centers, neighbors, len(sizes), channels),
        "v": (centers, sum(sizes), channels),
    }


def _empty(name: str, left: Tensor, right: Tensor, sizes: Sequence[int]) -> Tensor:
    check_arrays(name, left, right)
    return left.new_empty(_shapes(name, left, right, sizes)[RESULT[name]])


def _on_cpu(
    name: str,
    in_torch: Callable[[Tensor, Tensor, Sequence[int]], Tensor],
    left: Tensor,
    right: Tensor,
    sizes: Sequence[int],
) -> Tensor:
    shapes = _check(name, left, right, sizes)
    if not runs_compiled(left):
        return in_torch(left, right, sizes)
    result = left.new_empty(shapes[RESULT[name]])
    arrays = dict(zip(FACTORS[name], (left, right), strict=True))
    arrays = {
        key: a if key == "w" and _has_equal_rows(a) else a.contiguous()
        for key, a in arrays.items()
    } | {RESULT[name]: result}
    centers, neighbors, degrees, channels = arrays["w"].shape
    row = arrays["w"].stride(1) if neighbors > 1 else degrees * channels
    pairs = filled(
        "allegro_pairs",
        centers=centers,
        neighbors=neighbors,
        components=sum(sizes),
        channels=channels,
        degrees=degrees,
        row=row,
        components_of=[*sizes, *[0] * (_MAX_DEGREES - degrees)],
        is_double=result.dtype == torch.float64,
        **arrays,
    )
    outcome = getattr(library(), f"allegro_{name}")(pairs, threads_for(centers))
    check_outcome(name, outcome)
    return result


def _on_gpu(
    name: str,
    in_torch: Callable[[Tensor, Tensor, Sequence[int]], Tensor],
    left: Tensor,
    right: Tensor,
    sizes: Sequence[int],
) -> Tensor:
    _check(name, left, right, sizes)
    return in_torch(left, right, sizes)


def _check(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int]
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
    ranks = left.dim(), right.dim()
    if ranks != _RANKS[name]:
        raise ValueError(
            f"{name}: expected arrays of rank {_RANKS[name]}, found {ranks}"
        )
    shapes = _shapes(name, left, right, sizes)
    expected = tuple(shapes[factor] for factor in FACTORS[name])
    given = tuple(left.shape), tuple(right.shape)
    if given != expected:
        raise ValueError(f"{name}: expected shapes {expected}, found {given}")
    check_memory(name, left, right)
    return shapes


def _has_equal_rows(weights: Tensor) -> bool:
    """Tell whether each pair's weights are together, and pairs in equal distances."""
    _, neighbors, _, channels = weights.shape
    centers, pairs, degrees, last = weights.stride()
    return (
        last == 1
        and degrees == channels
        and centers == neighbors * pairs
        and neighbors > 1
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    left, right, ctx.sizes = inputs
    ctx.save_for_backward(left, right)


def _backward(name: str, ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    """Differentiate by both factors, each with the operator that makes its like."""
    arrays = dict(zip(FACTORS[name], ctx.saved_tensors, strict=True))
    arrays[RESULT[name]] = upstream
    gradients: list[Tensor | None] = [None, None, None]
    for index, factor in enumerate(FACTORS[name]):
        if ctx.needs_input_grad[index]:
            maker = _MAKER[factor]
            others = [arrays[key] for key in FACTORS[maker]]
            operator = getattr(torch.ops.openmm_allegro, maker)
            gradients[index] = operator(*others, ctx.sizes)
    return tuple(gradients)


register()
