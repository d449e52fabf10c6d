# SPDX-License-Identifier: MIT
"""Sparse products of three arrays, ``openmm_allegro::contract`` and its derivatives.

Of the Wigner-3j symbols that couple irreps up to degree 3, eleven of twelve are zero.
Training on a CPU goes through those that are not. It needs second derivatives, and each
derivative of such a product is one again:

    contract:          out[c, o, u] = Σ_n f[n, u] x[c, i_n, u] y[c, j_n, u],  o_n = o
    contract_weights:  out[u, p] = Σ_c Σ_n v[n] z[c, o_n, u] x[c, i_n, u] y[c, j_n, u],
                       p_n = p

with f[n, u] = v[n] weights[u, p_n].
"""

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .projection import compiled_for, define, products, threads_for

PATH = 3  # the column of entries that names the weight
_ENTRIES = "Tensor entries, Tensor values, int[] columns"
_SCHEMAS = (
    f"contract(Tensor weights, Tensor x, Tensor y, {_ENTRIES}, int size) -> Tensor",
    f"contract_weights(Tensor z, Tensor x, Tensor y, {_ENTRIES}, int paths) -> Tensor",
)


def contract(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    size: int,
) -> Tensor:
    """The first product above, differentiable any number of times.

    Parameters
    ----------
    weights : Tensor [U, P]
    x, y : Tensor [C, I, U], [C, J, U]
        In the dtype of ``weights``.
    entries : Tensor [n, 4], int64
        Components of the three arrays and the path of each term.
    values : Tensor [n], float64
    columns : three int
        Which columns of ``entries`` belong to the result, to ``x`` and to ``y``.
    size : int
        Components of the result.

    Returns
    -------
    Tensor [C, size, U]
    """
    operator = torch.ops.openmm_allegro.contract
    return operator(weights, x, y, entries, values, list(columns), size)


def contract_in_torch(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    size: int,
) -> Tensor:
    """As ``contract``."""
    out, left, right = (entries[:, column] for column in columns)
    factors = (weights[:, entries[:, PATH]] * values.to(weights.dtype)).T  # [n, U]
    terms = factors * x[:, left] * y[:, right]
    zeros = x.new_zeros((x.shape[0], size, x.shape[2]))
    return zeros.index_add(1, out, terms)


def contract_weights_in_torch(
    z: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    paths: int,
) -> Tensor:
    """The second product above: [U, paths]."""
    out, left, right = (entries[:, column] for column in columns)
    terms = (z[:, out] * x[:, left] * y[:, right]).sum(0)  # [n, U]
    terms = terms * values.to(z.dtype).unsqueeze(-1)
    zeros = z.new_zeros((paths, z.shape[2]))
    return zeros.index_add(0, entries[:, PATH], terms).T.contiguous()


def _contract_on_cpu(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    size: int,
) -> Tensor:
    if not compiled_for(weights, x, y):
        return contract_in_torch(weights, x, y, entries, values, columns, size)
    sizes = size, x.shape[1], y.shape[1]
    out = x.new_empty((x.shape[0], size, x.shape[2]))
    arrays, paths = (weights, x, y), weights.shape[1]
    threads = threads_for(len(x))
    _run("contract", arrays, entries, values, columns, sizes, paths, threads, out)
    return out


def _contract_weights_on_cpu(
    z: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    paths: int,
) -> Tensor:
    if not compiled_for(z, x, y):
        return contract_weights_in_torch(z, x, y, entries, values, columns, paths)
    sizes = z.shape[1], x.shape[1], y.shape[1]
    threads = threads_for(len(z))
    out = z.new_zeros((threads, z.shape[2], paths))
    arrays = z, x, y
    _run(
        "contract_weights", arrays, entries, values, columns, sizes, paths, threads, out
    )
    return out.sum(0)


def _run(
    name: str,
    arrays: Sequence[Tensor],
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    sizes: Sequence[int],
    paths: int,
    threads: int,
    out: Tensor,
) -> None:
    centers, _, channels = arrays[1].shape
    shapes = [(centers, size, channels) for size in sizes]
    if name == "contract":
        shapes[0] = channels, paths
    found = [tuple(a.shape) for a in arrays]
    if found != shapes:
        raise ValueError(f"{name}: expected arrays {shapes}, found {found}")
    table = entries.dtype, values.dtype, tuple(entries.shape)
    expected = torch.int64, torch.float64, (len(values), 4)
    if table != expected:
        raise ValueError(
            f"{name}: expected entries and values {expected}, found {table}"
        )
    kept = [a.contiguous() for a in (entries, values, *arrays)]
    numbers = centers, channels, len(entries), paths, *columns, *sizes
    pointers = [ctypes.c_void_p(a.data_ptr()) for a in kept]
    outside = getattr(products(), f"openmm_allegro_{name}")(
        (ctypes.c_long * len(numbers))(*numbers),
        *pointers[:2],
        ctypes.c_long(out.dtype == torch.float64),
        *pointers[2:],
        ctypes.c_long(threads),
        ctypes.c_void_p(out.data_ptr()),
    )
    if outside:
        raise ValueError(
            f"{name}: expected components below {tuple(sizes)} and paths below {paths} "
            "in entries, found others"
        )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.columns, _ = inputs
    ctx.save_for_backward(*tensors)


def _contract_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    weights, x, y, *table = ctx.saved_tensors
    a, b, c = ctx.columns
    need = ctx.needs_input_grad
    operators = torch.ops.openmm_allegro
    found = [None, None, None]
    if need[0]:
        found[0] = operators.contract_weights(
            upstream, x, y, *table, ctx.columns, weights.shape[1]
        )
    if need[1]:
        found[1] = operators.contract(
            weights, upstream, y, *table, [b, a, c], x.shape[1]
        )
    if need[2]:
        found[2] = operators.contract(
            weights, x, upstream, *table, [c, b, a], y.shape[1]
        )
    return (*found, None, None, None, None)


def _contract_weights_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    z, x, y, *table = ctx.saved_tensors
    a, b, c = ctx.columns
    need = ctx.needs_input_grad
    contracted = torch.ops.openmm_allegro.contract
    found = [
        contracted(upstream, *factors, *table, order, size) if needed else None
        for needed, factors, order, size in (
            (need[0], (x, y), [a, b, c], z.shape[1]),
            (need[1], (z, y), [b, a, c], x.shape[1]),
            (need[2], (x, z), [c, b, a], y.shape[1]),
        )
    ]
    return (*found, None, None, None, None)


@functools.cache
def register() -> torch.library.Library:
    """Make the operators known to torch; once in a process."""
    operators = torch.library.Library("openmm_allegro", "FRAGMENT")
    define(
        operators,
        _SCHEMAS[0],
        _contract_on_cpu,
        contract_in_torch,
        lambda w, x, y, e, v, columns, size: x.new_empty(
            (x.shape[0], size, x.shape[2])
        ),
        _contract_backward,
        _save,
    )
    define(
        operators,
        _SCHEMAS[1],
        _contract_weights_on_cpu,
        contract_weights_in_torch,
        lambda z, x, y, e, v, columns, paths: z.new_empty((z.shape[2], paths)),
        _contract_weights_backward,
        _save,
    )
    return operators


register()
