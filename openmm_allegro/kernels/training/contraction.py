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
    """Compute ``contract`` in plain torch."""
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


IN_TORCH = {
    "contract": contract_in_torch,
    "contract_weights": contract_weights_in_torch,
}


@functools.cache
def register() -> None:
    """Make the operators known to torch; once in a process."""
    for name, in_torch in IN_TORCH.items():
        define(
            f"{name}(Tensor zeroth, Tensor x, Tensor y, Tensor entries, "
            "Tensor values, int[] columns, int size) -> Tensor",
            functools.partial(_on_cpu, name),
            in_torch,
            functools.partial(_empty, name),
            functools.partial(_backward, name),
            _save,
        )


def _empty(name: str, zeroth: Tensor, x: Tensor, *rest: Any) -> Tensor:
    """A result; the last of the arguments is the size of one of its dimensions."""
    centers, _, channels = x.shape
    size = rest[-1]
    shape = (centers, size, channels) if name == "contract" else (channels, size)
    return x.new_empty(shape)


def _on_cpu(name: str, *arguments: Any) -> Tensor:
    zeroth, x, y, entries, values, columns, size = arguments
    if not runs_compiled(zeroth, x, y):
        return IN_TORCH[name](*arguments)
    centers, _, channels = x.shape
    threads = threads_for(centers)
    if name == "contract":
        paths, sizes = zeroth.shape[1], (size, x.shape[1], y.shape[1])
        shapes = (channels, paths), *((centers, n, channels) for n in sizes[1:])
        out = _empty(name, *arguments)
    else:
        paths, sizes = size, (zeroth.shape[1], x.shape[1], y.shape[1])
        shapes = tuple((centers, n, channels) for n in sizes)
        out = x.new_zeros((threads, channels, paths))
    given = tuple(tuple(a.shape) for a in (zeroth, x, y))
    if given != shapes:
        raise ValueError(f"{name}: expected arrays {shapes}, found {given}")
    kinds = entries.dtype, values.dtype, tuple(entries.shape)
    expected = torch.int64, torch.float64, (len(values), 4)
    if kinds != expected:
        raise ValueError(
            f"{name}: expected entries and values {expected}, found {kinds}"
        )
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
        zeroth=zeroth.contiguous(),
        first=x.contiguous(),
        second=y.contiguous(),
        out=out,
    )
    if getattr(library(), f"allegro_{name}")(product, threads):
        raise ValueError(
            f"{name}: expected components below {sizes} and paths below {paths} "
            "in entries, found others"
        )
    return out if name == "contract" else out.sum(0)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.columns, _ = inputs
    ctx.save_for_backward(*tensors)


def _backward(name: str, ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    """Derivatives by the three arrays: those by x and y have the same form in both."""
    zeroth, x, y, *table = ctx.saved_tensors
    a, b, c = ctx.columns
    operators, need = torch.ops.openmm_allegro, ctx.needs_input_grad
    if name == "contract":
        weights, z, other = zeroth, upstream, operators.contract_weights
    else:
        weights, z, other = upstream, zeroth, operators.contract
    by_zeroth = by_x = by_y = None
    if need[0]:
        by_zeroth = other(upstream, x, y, *table, ctx.columns, zeroth.shape[1])
    if need[1]:
        by_x = operators.contract(weights, z, y, *table, [b, a, c], x.shape[1])
    if need[2]:
        by_y = operators.contract(weights, x, z, *table, [c, b, a], y.shape[1])
    return by_zeroth, by_x, by_y, None, None, None, None


register()
