# SPDX-License-Identifier: MIT
"""Operations of a program, counted from its own list: nothing is counted by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

from openmm_allegro.kernels.inference.program import Code, Parts

# Operations in double precision that one call of a function costs, about.
ROOT, SINE, EXPONENTIAL = 20, 45, 30


class Counts(NamedTuple):
    """Multiplications and additions, forward and backward, in the network's precision.

    Without padding, where the number of channels is given.
    """

    linear: int  # a pair: products of matrices
    tensor: int  # a pair: sums of environments, scalars, and the way back
    rest: int  # a pair: factors of types, splines, slopes of activations, energies
    exponentials: int  # a pair: functions of activations
    entries: int  # a centre: couplings one by one, as kernels/gpu takes them
    operators: int  # a centre: operators and their products, as kernels/cpu makes them
    geometry: int  # a pair, in double: vector, harmonics, radial functions, repulsion

    def pair(self) -> int:
        """All of a pair in the network's precision, but for exponentials."""
        return self.linear + self.tensor + self.rest


def count(parts: Parts, channels: int | None = None) -> Counts:
    """Count the operations of a program without a table.

    Parameters
    ----------
    parts : Parts
        From ``unpack``.
    channels : int, optional
        Tensor channels; by default those of the program, with padding.
    """
    head, operations = parts.header, parts.operations()
    u = head.channels if channels is None else channels
    by_code: dict[Code, list[Any]] = {code: [] for code in Code}
    for operation in operations:
        by_code[Code(operation.code)].append(operation)
    degrees = int(parts.arrays["degree"].max()) + 1
    active = sum(op.width for op in by_code[Code.ACTIVATION])
    rest = 2 * sum(op.width for op in by_code[Code.TYPES])
    rest += 4 * head.radial * sum(op.width for op in by_code[Code.SPLINE])
    rest += 3 * sum(op.width for op in by_code[Code.ENERGY])
    # value and slope of x / (1 + exp(-x)), and the slope's factor on the way back
    rest += 9 * active
    return Counts(
        linear=4 * sum(op.depth * op.width for op in by_code[Code.LINEAR]),
        tensor=head.layers * _tensor_of_pair(head.components, degrees) * u,
        rest=rest,
        exponentials=active,
        entries=_entries(parts) * u,
        operators=_operators(parts) * u,
        geometry=_geometry(head, spline=bool(by_code[Code.SPLINE])),
    )


def _tensor_of_pair(components: int, degrees: int) -> int:
    # sum of the environment, scalars; derivatives by weights and harmonics of both, by
    # the operator
    return 4 * components + 2 * degrees + 10 * components + 3 * degrees


def _entries(parts: Parts) -> int:
    """Of a centre's products entry by entry, a channel.

    A coupling in the first column of the last layer is a multiplication and an addition
    a way; one of a layer before is two multiplications and an addition, and as much for
    each of both derivatives.
    """
    total, before = 0, 0
    for layer, entries in parts.layers:
        first = int((entries[:, 1] == 0).sum())
        total += 4 * first + 9 * before
        before += layer.entries
    return total


def _operators(parts: Parts) -> int:
    """Of a centre's operators and their products, a channel."""
    total, before = 0, 0
    for layer, _ in parts.layers:
        total += 4 * layer.entries + 6 * before
        before += layer.dim_in * layer.dim_out
    return total


def _geometry(head: Any, *, spline: bool) -> int:
    """Of a pair's vector, harmonics and radial functions, both ways, in double."""
    vector = 3 + 18 + 5 + 2 * ROOT + 20  # image, length, and back to the vector
    harmonics = 16 * head.terms + 3 * head.components  # values, three derivatives
    if spline or not head.integer_roots:
        radial = (2 * SINE + 10) * head.radial
    else:  # sin(n x) and cos(n x) one after the other
        radial = 2 * SINE + 12 * head.radial
    repulsion = head.core * EXPONENTIAL + 40 if head.core else 0
    return vector + harmonics + radial + 25 + repulsion
