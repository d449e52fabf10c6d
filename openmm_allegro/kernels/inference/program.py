# SPDX-License-Identifier: MIT
"""A model folded to three flat arrays, in the layout that ``allegro.h`` describes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

from ...model.screening import screened_terms
from .. import header
from ..library import FORMAT

Code = header.enumeration("allegro_code")
Header, Scalars = header.record("allegro_header"), header.record("allegro_scalars")
Layer, Entry = header.record("allegro_layer"), header.record("allegro_entry")
# The named tuple of each operation, such as ``allegro_linear`` for ``Code.LINEAR``.
OPERATIONS = {code: header.record(f"allegro_{code.name.lower()}") for code in Code}
PANEL = header.constant("ALLEGRO_PANEL")
CHANNELS = header.constant("ALLEGRO_CHANNELS")
_OPERATION_SIZE = header.length("allegro_operation")
# Terms of the energy, beside the network's, that programs have.
TERMS = ("zbl", "core")
# Format before a pair core was a list of terms: all but that is as it was.
FORMER = 2
_FORMER_SCALARS = 4  # envelope_p, zbl_p, coulomb, table_from


class Program(NamedTuple):
    """Arrays that a kernel needs of a model, in eV and Å; see ``allegro_program``."""

    integers: Tensor | np.ndarray  # int64
    constants: Tensor | np.ndarray  # float64
    weights: Tensor | np.ndarray  # in the precision of the network


def add_to_hash(sha: Any, program: Program) -> None:
    """Add the types, shapes and numbers of a program's arrays to a hash of hashlib."""
    for array in program:
        sha.update(f"{array.dtype} {array.shape} ".encode())
        sha.update(np.ascontiguousarray(array).data)


class Parts(NamedTuple):
    """Arrays of a program by name."""

    header: Any  # allegro_header
    scalars: Any  # allegro_scalars
    arrays: Mapping[
        str, Tensor | np.ndarray
    ]  # of ALLEGRO_INTEGERS and ALLEGRO_CONSTANTS
    layers: Sequence[tuple[Any, Tensor | np.ndarray]]  # allegro_layer, [entries, 3]
    weights: Tensor | np.ndarray

    def operations(self) -> list[Any]:
        """Operations as the named tuples of their codes."""
        rows = self.arrays["operation"].reshape(-1, _OPERATION_SIZE).tolist()
        records = [OPERATIONS[Code(row[0])] for row in rows]
        return [
            record(*row[: len(record._fields)])
            for record, row in zip(records, rows, strict=True)
        ]


def operation_row(operation: Any) -> list[int]:
    """An operation with the zeros at its end."""
    return [*operation, *[0] * (_OPERATION_SIZE - len(operation))]


def pack(parts: Parts) -> Program:
    """Put the parts of a program together, tensors of torch.

    Raises
    ------
    ValueError
        If an array is not of the length that the header names.
    """
    import torch

    integers = [torch.tensor(parts.header)]
    integers += _in_order("ALLEGRO_INTEGERS", parts)
    for layer, entries in parts.layers:
        integers += [torch.tensor(layer), entries.flatten()]
    constants = [torch.tensor(parts.scalars, dtype=torch.float64)]
    constants += _in_order("ALLEGRO_CONSTANTS", parts)
    return Program(torch.cat(integers), torch.cat(constants), parts.weights)


def unpack(program: Program) -> Parts:
    """Take the parts of a program apart, tensors or arrays; they are views.

    Raises
    ------
    ValueError
        If an array is shorter or longer than the header has it.
    RuntimeError
        As ``check_format``.
    """
    integers, constants, weights = program
    check_format(int(integers[0]))
    numbers, integers = _cut(integers, len(Header._fields))
    head = Header(*numbers.tolist())
    numbers, constants = _cut(constants, len(Scalars._fields))
    scalars = Scalars(*numbers.tolist())
    arrays = {}
    for array in header.arrays("ALLEGRO_INTEGERS"):
        arrays[array.name], integers = _cut(integers, _length(array, head))
    for array in header.arrays("ALLEGRO_CONSTANTS"):
        arrays[array.name], constants = _cut(constants, _length(array, head))
    layers = []
    for _ in range(head.layers):
        numbers, integers = _cut(integers, len(Layer._fields))
        layer = Layer(*numbers.tolist())
        entries, integers = _cut(integers, layer.entries * len(Entry._fields))
        layers.append((layer, entries.reshape(-1, len(Entry._fields))))
    for left in (integers, constants):
        if len(left):
            raise ValueError(f"expected the end of an array, found {len(left)} more")
    return Parts(head, scalars, arrays, layers, weights)


def check_format(found: int) -> None:
    """Refuse the program of another version of this package.

    Raises
    ------
    RuntimeError
    """
    if found != FORMAT:
        raise RuntimeError(
            f"Allegro: expected a program of format {FORMAT}, found {found}: the "
            "System comes from another version of openmm_allegro; create it again"
        )


def from_former(program: Program) -> Program:
    """Bring a program of format ``FORMER`` into the present one, numpy's arrays.

    Raises
    ------
    ValueError
        If its arrays are too short.
    """
    integers, constants, weights = program
    head, _ = _cut(integers, len(Header._fields))
    types, has_zbl = (head[Header._fields.index(name)] for name in ("types", "core"))
    scalars, rest = _cut(constants, _FORMER_SCALARS)
    elements, rest = _cut(rest, 4 * int(types))  # norm, factors, shifts, charges
    cutoffs, rest = _cut(rest, int(types) ** 2)
    terms: tuple[np.ndarray, ...] = ()
    if has_zbl:
        terms = screened_terms(elements[3 * int(types) :], scalars[2])
    changed = integers.copy()
    changed[Header._fields.index("format")] = FORMAT
    changed[Header._fields.index("core")] = terms[0].shape[-1] if has_zbl else 0
    parts = scalars[[0, 1, 3]], elements[: 3 * int(types)], cutoffs
    parts += (*(values.ravel() for values in terms), rest)
    return Program(changed, np.concatenate(parts), weights)


def _in_order(name: str, parts: Parts) -> list[Tensor]:
    flat = []
    for array in header.arrays(name):
        values = parts.arrays[array.name].flatten()
        expected = _length(array, parts.header)
        if len(values) != expected:
            raise ValueError(
                f"{array.name}: expected {expected} numbers, found {len(values)}"
            )
        flat.append(values)
    return flat


def _length(array: header.Array, head: Any) -> int:
    """Numbers of an array."""
    size = header.length(array.type) if array.type.startswith("allegro_") else 1
    return size * math.prod(getattr(head, factor) for factor in array.factors)


def _cut(values: Any, count: int) -> tuple[Any, Any]:
    if not 0 <= count <= len(values):
        raise ValueError(f"expected {count} more numbers, found {len(values)}")
    return values[:count], values[count:]
