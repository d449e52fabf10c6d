# SPDX-License-Identifier: MIT
"""Sums over a centre's pairs, components and channels, degree by degree.

With harmonics y of each pair, weights w of each pair and degree, and numbers v of each
centre and component, l(a) the degree of component a, the three operators are

    project:  v[c, a, u]    = Σ_k y[c, k, a] w[c, k, l(a), u]
    spread:   w[c, k, l, u] = Σ_a δ(l, l(a)) y[c, k, a] v[c, a, u]
    meet:     y[c, k, a]    = Σ_u w[c, k, l(a), u] v[c, a, u]

and the derivatives of each are the other two. As products of matrices they would go
through all pairs of degrees, l_max + 1 times as much.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..inference.operator import present

Twin = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
NAMES = ("project", "spread", "meet")


def project(y: Tensor, w: Tensor, sizes: Sequence[int]) -> Tensor:
    """See above; differentiable any number of times, as are the others.

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
    """``y`` [C, K, A], ``v`` [C, A, U] → [C, K, L, U], see above."""
    return torch.ops.openmm_allegro.spread(y, v, list(sizes))


def meet(w: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """``w`` [C, K, L, U], ``v`` [C, A, U] → [C, K, A], see above."""
    return torch.ops.openmm_allegro.meet(w, v, list(sizes))


def project_in_torch(y: Tensor, w: Tensor, sizes: Sequence[int]) -> Tensor:
    """As ``project``."""
    return torch.einsum("cka,ckau->cau", y, w[:, :, _degrees(sizes)])


def spread_in_torch(y: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """As ``spread``."""
    products = (y.unsqueeze(-1) * v.unsqueeze(1)).split(list(sizes), 2)
    return torch.stack([p.sum(2) for p in products], 2)


def meet_in_torch(w: Tensor, v: Tensor, sizes: Sequence[int]) -> Tensor:
    """As ``meet``."""
    return torch.einsum("ckau,cau->cka", w[:, :, _degrees(sizes)], v)


@functools.cache
def products() -> ctypes.CDLL | None:
    """The compiled kernel, or None where it was not built or is an older one."""
    loaded = present()
    return loaded if hasattr(loaded, "openmm_allegro_project") else None


def compiled_for(*arrays: Tensor) -> bool:
    """Whether the kernel is there for arrays of these precisions.

    Raises
    ------
    TypeError
        If they are not of one precision.
    """
    found = {a.dtype for a in arrays}
    if len(found) > 1:
        raise TypeError(f"products: expected arrays of one dtype, found {found}")
    return products() is not None and found <= {torch.float32, torch.float64}


def threads_for(centers: int) -> int:
    """A thread is not worth its start for a few centres."""
    return max(1, min(torch.get_num_threads(), centers // 64))


def _degrees(sizes: Sequence[int]) -> list[int]:
    return [degree for degree, size in enumerate(sizes) for _ in range(size)]


def _shape(name: str, left: Tensor, right: Tensor, degrees: int) -> tuple[int, ...]:
    centers, neighbors = left.shape[:2]
    if name == "project":
        return centers, left.shape[2], right.shape[3]
    if name == "spread":
        return centers, neighbors, degrees, right.shape[2]
    return centers, neighbors, right.shape[1]


def _expected(
    name: str, left: Tensor, right: Tensor, sizes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of both factors, from sizes that either must have."""
    centers, neighbors = left.shape[:2]
    of_pairs = centers, neighbors, sum(sizes)
    weights = (
        centers,
        neighbors,
        len(sizes),
        (left if name == "meet" else right).shape[-1],
    )
    of_centers = centers, sum(sizes), right.shape[-1]
    if name == "project":
        return of_pairs, weights
    return (of_pairs if name == "spread" else weights), of_centers


def _empty(name: str, left: Tensor, right: Tensor, sizes: Sequence[int]) -> Tensor:
    return left.new_empty(_shape(name, left, right, len(sizes)))


def _on_cpu(
    name: str, twin: Twin, left: Tensor, right: Tensor, sizes: Sequence[int]
) -> Tensor:
    expected = _expected(name, left, right, sizes)
    found = tuple(left.shape), tuple(right.shape)
    if found != expected:
        raise ValueError(f"{name}: expected shapes {expected}, found {found}")
    if not compiled_for(left, right):
        return twin(left, right, sizes)
    out = _empty(name, left, right, sizes)
    weights = {"project": right, "spread": out, "meet": left}[name]
    if not _rows(weights):
        weights = weights.contiguous()
    left = weights if name == "meet" else left.contiguous()
    right = weights if name == "project" else right.contiguous()
    centers, neighbors, degrees, channels = weights.shape
    numbers = [centers, neighbors, sum(sizes), channels, degrees]
    numbers += [weights.stride(1) if neighbors > 1 else degrees * channels, *sizes]
    products().openmm_allegro_project(
        ctypes.c_long(NAMES.index(name)),
        (ctypes.c_long * len(numbers))(*numbers),
        ctypes.c_long(out.dtype == torch.float64),
        ctypes.c_void_p(left.data_ptr()),
        ctypes.c_void_p(right.data_ptr()),
        ctypes.c_long(threads_for(centers)),
        ctypes.c_void_p(out.data_ptr()),
    )
    return out


def _rows(weights: Tensor) -> bool:
    """Whether each pair's weights are together, and pairs in equal distances."""
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


def _project_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    y, w = ctx.saved_tensors
    need = ctx.needs_input_grad
    return (
        meet(w, upstream, ctx.sizes) if need[0] else None,
        spread(y, upstream, ctx.sizes) if need[1] else None,
        None,
    )


def _spread_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    y, v = ctx.saved_tensors
    need = ctx.needs_input_grad
    return (
        meet(upstream, v, ctx.sizes) if need[0] else None,
        project(y, upstream, ctx.sizes) if need[1] else None,
        None,
    )


def _meet_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    w, v = ctx.saved_tensors
    need = ctx.needs_input_grad
    return (
        spread(upstream, v, ctx.sizes) if need[0] else None,
        project(upstream, w, ctx.sizes) if need[1] else None,
        None,
    )


def define(
    operators: torch.library.Library,
    schema: str,
    on_cpu: Callable[..., Tensor],
    twin: Callable[..., Tensor],
    empty: Callable[..., Tensor],
    backward: Callable[..., tuple],
    save: Callable[..., None],
) -> None:
    """An operator that can be traced and differentiated; ``twin`` runs on CUDA."""
    operators.define(schema)
    name = schema.partition("(")[0]
    operators.impl(name, on_cpu, "CPU")
    operators.impl(name, twin, "CUDA")
    full = f"openmm_allegro::{name}"
    torch.library.register_fake(full, empty, lib=operators)
    torch.library.register_autograd(full, backward, setup_context=save, lib=operators)


@functools.cache
def register() -> torch.library.Library:
    """Make the operators known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "FRAGMENT")
    for name, twin, backward in (
        ("project", project_in_torch, _project_backward),
        ("spread", spread_in_torch, _spread_backward),
        ("meet", meet_in_torch, _meet_backward),
    ):
        define(
            operators,
            f"{name}(Tensor left, Tensor right, int[] sizes) -> Tensor",
            functools.partial(_on_cpu, name, twin),
            twin,
            functools.partial(_empty, name),
            backward,
            _save,
        )
    return operators


register()
