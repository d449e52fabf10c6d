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
from ..library import Outcome, check_outcome, library
from .operators import check_arrays, check_memory, define, runs_compiled, threads_for

PATH = 3  # the column of entries that names the weight
LARGEST = 2**20  # components and paths; networks have hundreds


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
    for name in IN_TORCH:
        define(
            f"{name}(Tensor zeroth, Tensor x, Tensor y, Tensor entries, "
            "Tensor values, int[] columns, int size) -> Tensor",
            functools.partial(_on_cpu, name),
            functools.partial(_in_torch, name),
            functools.partial(_empty, name),
            functools.partial(_backward, name),
            _save,
        )


def _empty(name: str, zeroth: Tensor, x: Tensor, *rest: Any) -> Tensor:
    """A result; the last of the arguments is the size of one of its dimensions."""
    y, entries, values, _, size = rest
    check_arrays(name, zeroth, x, y)
    _check_table(name, x, entries, values)
    centers, _, channels = x.shape
    shape = (centers, size, channels) if name == "contract" else (channels, size)
    return x.new_empty(shape)


def _on_cpu(name: str, *arguments: Any) -> Tensor:
    zeroth, x, y, entries, values, columns, _ = arguments
    paths, sizes = _check(name, *arguments)
    if not runs_compiled(x):
        return _in_torch(name, *arguments)
    centers, _, channels = x.shape
    threads = threads_for(centers)
    is_weights = name == "contract_weights"
    out = (
        x.new_zeros((threads, channels, paths))
        if is_weights
        else _empty(name, *arguments)
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
    outcome = getattr(library(), f"allegro_{name}")(product, threads)
    if outcome == Outcome.REFUSED:
        raise _out_of_range(name, sizes, paths)
    check_outcome(name, outcome)
    return out.sum(0) if is_weights else out


def _in_torch(name: str, *arguments: Any) -> Tensor:
    """Compute in plain torch, where an index below 0 would count from the end."""
    paths, sizes = _check(name, *arguments)
    entries, columns = arguments[3], arguments[5]
    limits = dict(zip(columns, sizes, strict=True))
    ends = entries.new_tensor([*(limits[k] for k in range(3)), paths])
    if not ((entries >= 0) & (entries < ends)).all():
        raise _out_of_range(name, sizes, paths)
    return IN_TORCH[name](*arguments)


def _check(
    name: str,
    zeroth: Tensor,
    x: Tensor,
    y: Tensor,
    entries: Tensor,
    values: Tensor,
    columns: Sequence[int],
    size: int,
) -> tuple[int, tuple[int, int, int]]:
    """Number of paths, and components of the three arrays that share channels.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit together. Entries are not looked at.
    """
    check_arrays(name, zeroth, x, y)
    if len(columns) != 3 or set(columns) != {0, 1, 2}:
        raise ValueError(f"{name}: expected columns 0, 1 and 2, found {columns}")
    ranks = zeroth.dim(), x.dim(), y.dim()
    expected = (2 if name == "contract" else 3, 3, 3)
    if ranks != expected:
        raise ValueError(f"{name}: expected arrays of rank {expected}, found {ranks}")
    centers, _, channels = x.shape
    if name == "contract":
        paths, sizes = zeroth.shape[1], (size, x.shape[1], y.shape[1])
        shapes = (channels, paths), *((centers, n, channels) for n in sizes[1:])
    else:
        paths, sizes = size, (zeroth.shape[1], x.shape[1], y.shape[1])
        shapes = tuple((centers, n, channels) for n in sizes)
    given = zeroth.shape, x.shape, y.shape
    if given != shapes:
        raise ValueError(
            f"{name}: expected arrays {shapes}, found {tuple(map(tuple, given))}"
        )
    if min(paths, *sizes) < 0 or max(paths, *sizes) > LARGEST:
        raise ValueError(
            f"{name}: expected up to {LARGEST} components and paths, found {sizes} and "
            f"{paths}"
        )
    _check_table(name, x, entries, values)
    check_memory(name, zeroth, x, y, entries, values)
    return paths, sizes


def _check_table(name: str, x: Tensor, entries: Tensor, values: Tensor) -> None:
    kinds = [(a.dtype, a.device, a.dim()) for a in (entries, values)]
    of_table = [(torch.int64, x.device, 2), (torch.float64, x.device, 1)]
    if kinds != of_table or entries.shape != (len(values), 4):
        raise ValueError(
            f"{name}: expected entries [n, 4] of int64 and values [n] of float64 on "
            f"{x.device}, found {[*entries.shape]} and {[*values.shape]} as {kinds}"
        )


def _out_of_range(name: str, sizes: tuple[int, int, int], paths: int) -> ValueError:
    return ValueError(
        f"{name}: expected components below {sizes} and paths below {paths} in "
        "entries, found others"
    )


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
