# SPDX-License-Identifier: MIT
"""Sparse products of three arrays, ``openmm_allegro::contract`` and its derivatives.

Eleven of twelve Wigner-3j symbols that couple irreps up to degree 3 are zero; training
on a CPU takes only the others. It needs second derivatives, and each derivative of such
a product is another one:

    contract:          out[c, o, u] = Σ_n f[n, u] x[c, i_n, u] y[c, j_n, u],  o_n = o
    contract_weights:  out[u, p] = Σ_c Σ_n v[n] z[c, o_n, u] x[c, i_n, u] y[c, j_n, u],
                       p_n = p

with f[n, u] = v[n] weights[u, p_n].
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..header import filled
from ..library import library
from .operators import define, runs_compiled, threads_for

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
    """Take the first product above, differentiable any number of times.

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
    """Take the second product above: [U, paths]."""
    out, left, right = (entries[:, column] for column in columns)
    terms = (z[:, out] * x[:, left] * y[:, right]).sum(0)  # [n, U]
    terms = terms * values.to(z.dtype).unsqueeze(-1)
    zeros = z.new_zeros((paths, z.shape[2]))
    return zeros.index_add(0, entries[:, PATH], terms).T.contiguous()


@functools.cache
def register() -> None:
    """Make the operators known to torch; once in a process."""
    define(
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
        _SCHEMAS[1],
        _contract_weights_on_cpu,
        contract_weights_in_torch,
        lambda z, x, y, e, v, columns, paths: z.new_empty((z.shape[2], paths)),
        _contract_weights_backward,
        _save,
    )


def _contract_on_cpu(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    size: int,
) -> Tensor:
    if not runs_compiled(weights, x, y):
        return contract_in_torch(weights, x, y, entries, values, columns, size)
    out = x.new_empty((x.shape[0], size, x.shape[2]))
    sizes, paths = (size, x.shape[1], y.shape[1]), weights.shape[1]
    arrays, table = (weights, x, y), (entries, values, columns)
    _run("contract", arrays, table, sizes, paths, threads_for(len(x)), out)
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
    if not runs_compiled(z, x, y):
        return contract_weights_in_torch(z, x, y, entries, values, columns, paths)
    threads = threads_for(len(z))
    out = z.new_zeros((threads, z.shape[2], paths))
    sizes = z.shape[1], x.shape[1], y.shape[1]
    arrays, table = (z, x, y), (entries, values, columns)
    _run("contract_weights", arrays, table, sizes, paths, threads, out)
    return out.sum(0)


def _run(
    name: str,
    arrays: tuple[Tensor, Tensor, Tensor],
    table: tuple[Tensor, Tensor, Sequence[int]],
    sizes: tuple[int, int, int],
    paths: int,
    threads: int,
    out: Tensor,
) -> None:
    """Check the arrays and the table of entries, and call the compiled kernel."""
    entries, values, columns = table
    centers, _, channels = arrays[1].shape
    shapes = [(centers, size, channels) for size in sizes]
    if name == "contract":
        shapes[0] = channels, paths
    found = [tuple(a.shape) for a in arrays]
    if found != shapes:
        raise ValueError(f"{name}: expected arrays {shapes}, found {found}")
    kinds = entries.dtype, values.dtype, tuple(entries.shape)
    expected = torch.int64, torch.float64, (len(values), 4)
    if kinds != expected:
        raise ValueError(
            f"{name}: expected entries and values {expected}, found {kinds}"
        )
    zeroth, first, second = (a.contiguous() for a in arrays)
    product = filled(
        "allegro_product",
        centers=centers,
        channels=channels,
        terms=len(entries),
        paths=paths,
        columns=columns,
        sizes=sizes,
        entries=entries.contiguous(),
        values=values.contiguous(),
        is_double=out.dtype == torch.float64,
        zeroth=zeroth,
        first=first,
        second=second,
        out=out,
    )
    if getattr(library(), f"allegro_{name}")(product, threads):
        raise ValueError(
            f"{name}: expected components below {sizes} and paths below {paths} "
            "in entries, found others"
        )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.columns, _ = inputs
    ctx.save_for_backward(*tensors)


def _contract_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    weights, x, y, *table = ctx.saved_tensors
    a, b, c = ctx.columns
    operators, need = torch.ops.openmm_allegro, ctx.needs_input_grad
    by_weights = by_x = by_y = None
    if need[0]:
        by_weights = operators.contract_weights(
            upstream, x, y, *table, ctx.columns, weights.shape[1]
        )
    if need[1]:
        by_x = operators.contract(weights, upstream, y, *table, [b, a, c], x.shape[1])
    if need[2]:
        by_y = operators.contract(weights, x, upstream, *table, [c, b, a], y.shape[1])
    return by_weights, by_x, by_y, None, None, None, None


def _contract_weights_backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    z, x, y, *table = ctx.saved_tensors
    a, b, c = ctx.columns
    contracted, need = torch.ops.openmm_allegro.contract, ctx.needs_input_grad
    by_z = by_x = by_y = None
    if need[0]:
        by_z = contracted(upstream, x, y, *table, [a, b, c], z.shape[1])
    if need[1]:
        by_x = contracted(upstream, z, y, *table, [b, a, c], x.shape[1])
    if need[2]:
        by_y = contracted(upstream, x, z, *table, [c, b, a], y.shape[1])
    return by_z, by_x, by_y, None, None, None, None


register()
