# SPDX-License-Identifier: MIT
"""Checks that three arrays are a program: no index or column in them leads outside."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import header
from .program import (
    CHANNELS,
    PANEL,
    Code,
    Header,
    Layer,
    Parts,
    Program,
    check_format,
    expected_lengths,
    unpack,
)

# Components and powers of x, y and z that the compiled kernel has room for.
_COMPONENTS, _POWER = 32, 7
_LIMITS = {"types": 2**10, "stride": 2**20, "table": 2**62}
_LARGEST = 2**24  # of other numbers in the header
_NONLINEARITIES = tuple(header.enumeration("allegro_nonlinearity"))
_EXPONENT = 1000.0  # of an envelope; each pair takes as many multiplications
_WORKSPACE = 2**31  # numbers of the operators of a block of centres
_BLOCK = 400_000  # bytes of a block's rows, see block.h
_FLAGS = ("spline", "integer_roots", "zbl")
_POSITIVE = ("stride", "components", "channels", "types", "layers", "operations")


def check_program(
    integers: np.ndarray, constants: np.ndarray, weights: np.ndarray
) -> int:
    """Refuse arrays that are no program, and return the number of its elements.

    A program that was checked before is only compared, whole, with what was checked.

    Parameters
    ----------
    integers : ndarray, int64
    constants : ndarray, float64
    weights : ndarray, float32 or float64
        Of these only the number and the precision matter.

    Raises
    ------
    ValueError
    RuntimeError
        As ``check_format``.
    """
    kinds = (integers, ("int64",)), (constants, ("float64",))
    for array, names in (*kinds, (weights, ("float32", "float64"))):
        kind = f"{array.ndim} axes of {array.dtype}"
        expected = f"one axis of {' or '.join(names)}"
        _require(array.ndim == 1 and array.dtype.name in names, expected, kind)
    return _check(integers.tobytes(), constants.tobytes(), len(weights), weights.dtype)


@functools.lru_cache(maxsize=32)
def _check(numbers: bytes, values: bytes, weights: int, dtype: np.dtype) -> int:
    """See ``check_program``."""
    integers = np.frombuffer(numbers, dtype=np.int64)
    constants = np.frombuffer(values, dtype=np.float64)
    _require(len(integers) >= len(Header._fields), "a header", len(integers))
    check_format(int(integers[0]))
    head = Header(*integers[: len(Header._fields)].tolist())
    _check_header(head, dtype)
    _check_lengths(head, integers, constants)
    # weights that are not looked at
    parts = unpack(Program(integers, constants, np.empty(0, dtype=dtype)))
    _check_scalars(parts)
    _check_harmonics(parts)
    _check_layers(parts)
    _check_operations(parts, weights, dtype)
    return head.types


def _require(condition: bool, expected: str, found: object) -> None:
    if not condition:
        raise ValueError(
            f"evaluate: expected a program with {expected}, found {found}: it was "
            "damaged or changed; create the System again"
        )


def _check_header(head: Any, dtype: np.dtype) -> None:
    for name, value in head._asdict().items():
        low = int(name in _POSITIVE)
        high = 1 if name in _FLAGS else _LIMITS.get(name, _LARGEST)
        _require(low <= value <= high, f"{name} from {low} to {high}", value)
    _require(
        head.components <= _COMPONENTS, f"{_COMPONENTS} components", head.components
    )
    step = CHANNELS // dtype.itemsize
    _require(head.channels % step == 0, f"a multiple of {step} channels", head.channels)
    _require(head.stage <= head.operations, "a stage of its operations", head.stage)
    _require(head.widest >= head.components, "widest of all components", head.widest)


def _check_lengths(head: Any, integers: np.ndarray, constants: np.ndarray) -> None:
    """Refuse arrays that end too early or too late."""
    first, expected = expected_lengths(head)
    _require(
        len(constants) == expected, f"{expected} constants", f"{len(constants)} numbers"
    )
    place, size = first, len(Layer._fields)
    for _ in range(head.layers):
        _require(place + size <= len(integers), "all of its layers", len(integers))
        layer = Layer(*integers[place : place + size].tolist())
        _require(0 <= layer.entries <= _LARGEST, "entries of its layers", layer)
        place += size + header.length("allegro_entry") * layer.entries
    _require(place == len(integers), f"{place} integers", len(integers))


def _check_scalars(parts: Parts) -> None:
    scalars: Any = parts.scalars
    low = 0.0 if parts.header.spline else 1.0
    _require(
        low < scalars.envelope_p <= _EXPONENT and 0.0 <= scalars.zbl_p <= _EXPONENT,
        f"exponents up to {_EXPONENT:g}",
        scalars,
    )
    _require(0.0 <= scalars.table_from < 1.0, "a table from 0 to 1", scalars)


def _check_harmonics(parts: Parts) -> None:
    degree, term = parts.arrays["degree"], parts.arrays["term"].reshape(-1, 4)
    steps = np.diff(degree)
    starts = np.flatnonzero(steps) + 1
    counts = np.diff([0, *starts.tolist(), len(degree)])
    _require(
        int(degree[0]) == 0
        and bool(((steps == 0) | (steps == 1)).all())
        and set(counts.tolist()) <= {1, 3, 5, 7, 9},
        "components of degrees 0, 1, 2, …",
        degree.tolist(),
    )
    limits = np.array([parts.header.components - 1, *[_POWER] * 3])
    inside = bool(((term >= 0) & (term <= limits)).all())
    _require(inside, "monomials of its components", "others")


def _check_layers(parts: Parts) -> None:
    head = parts.header
    dim, operators, chain = head.components, 0, 0
    for index, (layer, entries) in enumerate(parts.layers):
        _require(
            layer.dim_in == dim <= head.widest and 1 <= layer.dim_out <= _LARGEST,
            f"a layer {index} of {dim} components",
            layer,
        )
        limits = np.array([layer.dim_in, layer.dim_out, head.components])
        inside = bool(((entries >= 0) & (entries < limits)).all())
        _require(inside, f"entries within layer {index}", "others")
        dim = layer.dim_out
        operators += layer.dim_in * layer.dim_out
        chain += (index + 1) * head.widest
    rows = max(32, _BLOCK // (head.stride * parts.weights.itemsize))
    size = rows * head.channels * (2 * operators + chain)
    _require(size <= _WORKSPACE, "layers that fit the memory", f"{size} numbers")


def _check_operations(parts: Parts, weights: int, dtype: np.dtype) -> None:
    head = parts.header
    panel = PANEL // dtype.itemsize
    rows = parts.arrays["operation"].reshape(-1, header.length("allegro_operation"))
    codes = rows[:, 0].tolist()
    _require(set(codes) <= set(map(int, Code)), "operations", codes)
    operations = parts.operations()
    tensors = [o.layer for o in operations if o.code == Code.TENSOR]
    _require(tensors == list(range(head.layers)), "a product for each layer", tensors)
    _require(
        Code.TENSOR not in codes[: head.stage], "no product in its stage", head.stage
    )
    _require(
        all(
            o.kind in _NONLINEARITIES and o.width % panel == 0
            for o in operations
            if o.code == Code.ACTIVATION
        ),
        f"nonlinearities of {_NONLINEARITIES} on whole segments",
        "others",
    )
    _require(
        head.first_width % panel == 0, "whole segments in its table", head.first_width
    )
    for start, width in _columns(parts, operations, panel):
        inside = 0 <= start < start + width <= head.stride
        _require(inside, f"columns up to {head.stride}", f"{width} from {start} on")
    # Weights are stored one after the other, so in another precision they do not fit.
    end = 0
    for start, size in sorted(_stored(parts, operations, panel)):
        _require(start == end and size > 0, f"weights from {end} on", start)
        end += size
    _require(end == weights, f"{end} weights", weights)


def _columns(
    parts: Parts, operations: list[Any], panel: int
) -> Iterator[tuple[int, int]]:
    """Starts and widths of what the operations read and write of a row."""
    head = parts.header
    track = (int(parts.arrays["degree"][-1]) + 1) * head.channels
    yield head.basis, _padded(head.radial, panel)
    yield head.slope, _padded(head.radial, panel)
    yield head.harmonic, _padded(head.components, panel)
    yield head.first, _padded(head.first_width, panel)
    for op in operations:
        match op.code:
            case Code.LINEAR:
                yield op.source, _padded(op.depth, panel)
                yield op.target, _padded(op.width, panel)
            case Code.ACTIVATION:
                yield op.target, _padded(op.width, panel)
                yield op.slope, _padded(op.width, panel)
            case Code.TYPES | Code.SPLINE:
                yield op.target, _padded(op.width, panel)
            case Code.TENSOR:
                yield op.tensor, track
                yield op.environment, track
                yield op.target, head.channels
            case Code.ENERGY:
                yield op.source, _padded(op.width, panel)


def _stored(
    parts: Parts, operations: list[Any], panel: int
) -> Iterator[tuple[int, int]]:
    """Starts and sizes of the weights of operations, layers and the table."""
    head = parts.header
    pairs = head.types**2
    for op in operations:
        match op.code:
            case Code.LINEAR:
                yield op.forward, op.depth * _padded(op.width, panel)
                yield op.backward, op.width * _padded(op.depth, panel)
            case Code.TYPES:
                yield op.weights, pairs * op.width
            case Code.SPLINE:
                yield op.weights, pairs * head.radial * op.width
            case Code.ENERGY:
                yield op.weights, _padded(op.width, panel)
    for layer, _ in parts.layers:
        if layer.entries:
            yield layer.weights, layer.entries * head.channels
    if head.points:
        yield head.table, pairs * head.points * 4 * head.first_width


def _padded(width: int, panel: int) -> int:
    """Width with its padding to whole panels."""
    return -(-width // panel) * panel
