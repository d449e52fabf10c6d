# SPDX-License-Identifier: MIT
"""Operations and weights of a program, put together one after the other."""

import enum
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .program import CHANNELS, OPERATIONS, PANEL, Code, operation_row


class Region(enum.IntEnum):
    """Parts of a row, in the order of its columns."""

    STAGE = 0  # read by operations on the distance and the elements alone
    SHARED = 1  # their results that later operations read
    LATER = 2


class Place(NamedTuple):
    """A column in one of the regions, whose widths are known at the end."""

    region: Region
    offset: int

    def after(self, width: int) -> "Place":
        """The place so many columns further on."""
        return Place(self.region, self.offset + width)


# A linear combination of segments: where one starts, and its matrix [dim, n].
Expression = dict[Place, Tensor]


class Builder:
    """Segments, operations and weights of one program.

    Chains of linear maps stay expressions until a nonlinearity needs their value, so
    that each becomes one matrix. Linear maps of the last hidden values of the two-body
    network are collected: ``finish`` makes them one operation.

    Parameters
    ----------
    dtype : torch.dtype
        Of the weights: float32 or float64.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.panel = PANEL // dtype.itemsize
        self.operations: list[Any] = []
        self.stage = 0
        self._region = Region.STAGE
        self._widths = [0, 0, 0]
        self._bank: Place | None = None
        self._shared: list[tuple[Place, Tensor]] = []
        self._weights: list[Tensor] = []
        self._size = 0

    def padded_channels(self, channels: int) -> int:
        """Tensor channels with their padding."""
        return _rounded_up(channels, CHANNELS // self.dtype.itemsize)

    def padded(self, width: int) -> int:
        """Columns of a segment with its padding."""
        return _rounded_up(width, self.panel)

    def segment(self, width: int, region: Region | None = None) -> Place:
        """Reserve columns; return where they start."""
        region = self._region if region is None else region
        place = Place(region, self._widths[region])
        self._widths[region] += self.padded(width)
        return place

    def store(self, values: Tensor) -> int:
        """Append weights; return where they start."""
        values = values.detach().to("cpu", self.dtype).flatten()
        start = self._size
        self._weights.append(values)
        self._size += len(values)
        return start

    def emit(self, code: Code, **fields: Any) -> None:
        """Append an operation; columns may be a ``Place``."""
        self.operations.append(OPERATIONS[code](code=code, **fields))

    def end_stage(self, bank: Place) -> None:
        """End the operations that depend on the distance and the elements alone.

        Parameters
        ----------
        bank : Place
            Last hidden values of the two-body network.
        """
        self.stage, self._bank, self._region = len(self.operations), bank, Region.LATER

    def materialize(self, x: Expression) -> Place:
        """Emit operations that compute an expression; return where its value starts."""
        width = next(iter(x.values())).shape[1]
        add = self._bank is not None and self._bank in x
        target = self.share(x[self._bank]) if add else self.segment(width)
        for source, matrix in x.items():
            if source != self._bank or self._bank is None:
                self._linear(source, matrix, target, add)
                add = True
        return target

    def share(self, matrix: Tensor) -> Place:
        """A place for a linear map of the bank, which ``finish`` computes."""
        place = self.segment(matrix.shape[1], Region.SHARED)
        self._shared.append((place, matrix))
        return place

    def add_energy(self, x: Expression) -> None:
        """Add an expression of one column to the energy of the pair."""
        for source, matrix in x.items():
            if source == self._bank:
                source, matrix = self.share(matrix), torch.ones(1, 1)
            padding = (0, -len(matrix) % self.panel)
            weights = self.store(torch.nn.functional.pad(matrix[:, 0], padding))
            width = len(matrix)
            self.emit(Code.ENERGY, source=source, width=width, weights=weights)

    def add_charge(self, x: Expression, factors: Tensor) -> None:
        """Add an expression of one column, times a factor, to the charge of the centre.

        Parameters
        ----------
        x : Expression
        factors : Tensor [T], e
            Of the elements of the centre.
        """
        for source, matrix in x.items():
            if source == self._bank:
                source, matrix = self.share(matrix), torch.ones(1, 1)
            width = len(matrix)
            vectors = factors.unsqueeze(1) * matrix[:, 0]  # [T, width]
            padding = (0, -width % self.panel)
            weights = self.store(torch.nn.functional.pad(vectors, padding))
            self.emit(Code.CHARGE, source=source, width=width, weights=weights)

    def finish(self) -> None:
        """Emit the linear map of the bank [depth, width]."""
        width = self._widths[Region.SHARED]
        combined = torch.zeros(len(self._shared[0][1]), width, dtype=torch.float64)
        for place, matrix in self._shared:
            combined[:, place.offset : place.offset + matrix.shape[1]] = matrix
        self._linear(self._bank, combined, Place(Region.SHARED, 0), False)
        self.operations.insert(self.stage, self.operations.pop())
        self.stage += 1

    def column(self, place: Place) -> int:
        """Column of a place, once all widths are known."""
        return sum(self._widths[: place.region]) + place.offset

    def width(self, region: Region) -> int:
        """Columns of a region."""
        return self._widths[region]

    def rows(self) -> Tensor:
        """Operations [n, 8] with columns in place of places."""
        rows = [operation_row(operation) for operation in self.operations]
        return torch.tensor(
            [
                [self.column(v) if isinstance(v, Place) else v for v in row]
                for row in rows
            ]
        )

    def weights(self) -> Tensor:
        """All weights that were stored, in order."""
        return torch.cat(self._weights)

    def _linear(self, source: Place, matrix: Tensor, target: Place, add: bool) -> None:
        depth, width = matrix.shape
        self.emit(
            Code.LINEAR,
            source=source,
            depth=depth,
            target=target,
            width=width,
            forward=self.store(self._packed(matrix)),
            backward=self.store(self._packed(matrix.T)),
            add=int(add),
        )

    def _packed(self, matrix: Tensor) -> Tensor:
        """[depth, width] as panels of columns, each stored row by row."""
        padding = (0, -matrix.shape[1] % self.panel)
        matrix = torch.nn.functional.pad(matrix, padding)
        return matrix.unflatten(1, (-1, self.panel)).transpose(0, 1)


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step
