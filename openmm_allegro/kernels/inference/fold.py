# SPDX-License-Identifier: MIT
"""A network as a short program over rows of numbers, one row for each pair.

Every chain of linear maps becomes one matrix: what lies between two nonlinearities is
never stored. The program, its constants and its weights are three flat arrays, which
the compiled kernel (``allegro_cpu.cpp``) and its twin in torch (``twin.py``) read.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ...model import AllegroEnergy
from ...model.mlp import ScalarMLP
from .polynomials import harmonic_terms

# Of the three arrays; the compiled kernel names the same, else it is not used.
FORMAT = 2
# Bytes: columns of a panel of packed weights, and what tensor channels are rounded to.
PANEL, CHANNELS = 128, 64
# Table from this fraction of the cutoff on; closer pairs are computed.
TABLE_FROM = 0.12
LINEAR, ACTIVATION, TYPES, SPLINE, TENSOR, ENERGY = range(6)
KINDS = {"SiLU": 0, "Mish": 1, "GELU": 2}
# Segments that depend on the distance alone, and those after them, before it is known
# where they start.
_FIRST, _LATER = 1 << 40, 1 << 50

# A linear combination of segments: where one starts, and its matrix [dim, n].
Expression = dict[int, Tensor]


class Program(NamedTuple):
    """What a kernel needs of a model, in eV and Å.

    ``integers`` [*], int64; ``constants`` [*], float64; ``weights`` [*] in the
    precision of the network.
    """

    integers: Tensor
    constants: Tensor
    weights: Tensor


def fold(energy: AllegroEnergy, dtype: torch.dtype) -> Program:
    """The program of a model.

    Parameters
    ----------
    energy : AllegroEnergy
    dtype : torch.dtype
        Of the network: float32 or float64.
    """
    return Folder(energy, dtype).program()


class Folder:
    """The operations of a model and their weights, to put programs together from.

    ``combined`` [depth, width] maps what the two-body network hides last to all that
    depends on the distance alone, which ``table.py`` tabulates.
    """

    def __init__(self, energy: AllegroEnergy, dtype: torch.dtype) -> None:
        self.energy, self.network = energy, energy.network
        self.dtype = dtype
        size = torch.finfo(dtype).bits // 8
        self.panel = PANEL // size
        step = CHANNELS // size
        self.channels = -(-self.network.channels // step) * step
        self.irreps = self.network.degree_mask.shape[1]
        self.sizes = {0: 0, _FIRST: 0, _LATER: 0}
        self.region = 0
        self.bank: int | None = None  # the last segment of the distance's own
        self.early: list[tuple[int, Tensor]] = []
        self.weights: list[Tensor] = []
        self.size = 0
        self.operations: list[list[int]] = []
        embedding = self.network.embedding
        self.spline = hasattr(embedding, "lower")
        roots = embedding.lower if self.spline else embedding.roots.detach()
        self.roots = roots.double().cpu()
        components = self.network.degree_mask.shape[0]
        self.basis, self.slope = self._segment(len(roots)), self._segment(len(roots))
        self.harmonic = self._segment(components)
        self.stage = self._network()
        self.layers = self._layers()

    def program(self, table: Tensor | None = None) -> Program:
        """The three arrays.

        Parameters
        ----------
        table : Tensor [T², points, 4, width], optional
            Cubics of all that depends on the distance alone, see ``table.py``.
        """
        embedding, roots = self.network.embedding, self.roots
        components = self.network.degree_mask.shape[0]
        points = 0 if table is None else table.shape[1]
        terms, values = harmonic_terms(self.network)
        cutoffs = embedding.cutoffs.flat.double().cpu()
        types = embedding.cutoffs.number_of_elements
        widest = max([*(op.dim_in for op in self.network.operators), components])
        zbl = self.energy.zbl
        whole = torch.arange(1, len(roots) + 1, dtype=torch.float64)
        integer_roots = not self.spline and torch.equal(roots, whole)
        first = self.sizes[0]
        numbers = [
            FORMAT,
            first + self.sizes[_FIRST] + self.sizes[_LATER],
            components,
            self.channels,
            types,
        ]
        numbers += [len(self.network.operators), len(roots), int(self.spline)]
        numbers += [int(integer_roots), int(zbl is not None), self.basis, self.slope]
        numbers += [self.harmonic, len(self.operations), len(values), widest]
        start = 0 if table is None else self.size
        numbers += [self.stage, first, self.sizes[_FIRST], points, start]
        numbers += self.network.degree_mask.squeeze(-1).argmax(1).tolist()
        for operation in self.operations:
            placed = [self._placed(number) for number in operation]
            numbers += placed + [0] * (8 - len(operation))
        numbers += terms + self.layers
        envelope = embedding.width if self.spline else embedding.envelope_p
        one = torch.ones(1, dtype=torch.float64)
        constants = torch.cat(
            [
                one * envelope,
                one * (0.0 if zbl is None else zbl.envelope_p),
                one * (0.0 if zbl is None else zbl.coulomb),
                one * TABLE_FROM,
                self.network.environment_norm.double().cpu(),
                self.energy.factors.cpu(),
                self.energy.shifts.cpu(),
                torch.zeros(types, dtype=torch.float64) if zbl is None else zbl.z.cpu(),
                cutoffs,
                roots,
                torch.tensor(values, dtype=torch.float64),
            ]
        )
        weights = list(self.weights)
        if table is not None:
            weights.append(table.to(self.dtype).flatten())
        return Program(torch.tensor(numbers), constants, torch.cat(weights))

    def _network(self) -> int:
        """Emit all operations; how many of them depend on the distance alone."""
        net, r, u = self.network, self.irreps, self.channels
        two_body = self._mlp(net.two_body, self._embedding())
        (self.bank,) = two_body
        stage, self.operations = self.operations, []
        self.region = _LATER
        tensor = _apply(two_body, self._spread(_matrix(net.tensor_weights, 0), 0))
        projection = _apply(
            two_body, self._spread(_matrix(net.first_projection, 0), net.scalars)
        )
        scalars = [_columns(projection, 0, net.scalars)]
        environment = _columns(projection, net.scalars, net.scalars + r * u)
        start = self._materialize(_concatenate([tensor, environment]))
        weights, at = start, start + r * u
        for layer, latent in enumerate(net.latents):
            of_layer = self._segment(u)
            self.operations.append([TENSOR, layer, weights, at, of_layer])
            inner = {of_layer: torch.eye(net.channels, dtype=torch.float64)}
            last = None if layer == len(net.latents) - 1 else net.scalars
            x = self._mlp(latent, _concatenate([*scalars, inner]), last)
            scalars.append(_columns(x, 0, net.scalars))
            if last is not None:
                at = self._materialize(_columns(x, net.scalars, net.scalars + r * u))
        energy = self._mlp(net.readout, _concatenate(scalars))
        for source, matrix in energy.items():
            if source == self.bank:
                source, matrix = self._at_first(matrix), torch.ones(1, 1)
            padding = (0, -len(matrix) % self.panel)
            where = self._store(torch.nn.functional.pad(matrix[:, 0], padding))
            self.operations.append([ENERGY, source, len(matrix), where])
        width = self.sizes[_FIRST]
        self.combined = torch.zeros(len(self.early[0][1]), width, dtype=torch.float64)
        for segment, matrix in self.early:
            start = segment - _FIRST
            self.combined[:, start : start + matrix.shape[1]] = matrix
        operation = [LINEAR, self.bank, len(self.combined), _FIRST, width]
        operation += [self._store(self._packed(self.combined))]
        operation += [self._store(self._packed(self.combined.T)), 0]
        self.operations = [*stage, operation, *self.operations]
        return len(stage) + 1

    def _at_first(self, matrix: Tensor) -> int:
        """A place for a linear map of what depends on the distance alone."""
        region, self.region = self.region, _FIRST
        segment = self._segment(matrix.shape[1])
        self.region = region
        self.early.append((segment, matrix))
        return segment

    def _embedding(self) -> Expression:
        embedding = self.network.embedding
        types = embedding.cutoffs.number_of_elements
        if self.spline:
            dim = embedding.dim
            table = embedding.weight.detach().unflatten(1, (dim, -1))
            table = table.transpose(1, 2)  # [T², splines, E]
            segment = self._segment(dim)
            self.operations.append([SPLINE, segment, dim, self._store(table)])
        else:
            matrix = _matrix(embedding.linear, 0)
            dim = matrix.shape[1]
            segment = self._materialize({self.basis: matrix})
            center = embedding.center.detach().double().cpu()
            neighbor = embedding.neighbor.detach().double().cpu()
            center = center.unsqueeze(1).expand(-1, types, -1)
            neighbor = neighbor.unsqueeze(0).expand(types, -1, -1)
            table = torch.cat((center, neighbor), -1)  # [T, T, E]
            self.operations.append([TYPES, segment, dim, self._store(table)])
        return {segment: torch.eye(dim, dtype=torch.float64)}

    def _mlp(
        self, mlp: ScalarMLP, x: Expression, spread_from: int | None = None
    ) -> Expression:
        """Emit the hidden layers; the last map stays an expression."""
        kind = KINDS.get(getattr(mlp.activation, "original_name", ""), -1)
        kind = KINDS.get(type(mlp.activation).__name__, kind)
        depth = len(mlp.layers) - 1
        for index in range(depth):
            x = _apply(x, _matrix(mlp, index))
            if kind >= 0:
                width = next(iter(x.values())).shape[1]
                segment = self._materialize(x)
                padded = self._padded(width)
                slope = self._segment(width)
                self.operations.append([ACTIVATION, kind, segment, padded, slope])
                x = {segment: torch.eye(width, dtype=torch.float64)}
        last = _matrix(mlp, depth)
        if spread_from is not None:
            last = self._spread(last, spread_from)
        return _apply(x, last)

    def _spread(self, matrix: Tensor, offset: int) -> Tensor:
        """Environment weights, from column ``offset`` on, with padded channels."""
        head, tail = matrix[:, :offset], matrix[:, offset:]
        tail = tail.unflatten(1, (self.irreps, -1))
        padding = (0, self.channels - tail.shape[2])
        return torch.cat((head, torch.nn.functional.pad(tail, padding).flatten(1)), 1)

    def _materialize(self, x: Expression) -> int:
        """Operations that compute an expression; where the result starts."""
        width = next(iter(x.values())).shape[1]
        add = self.bank in x and self.bank is not None
        segment = self._at_first(x[self.bank]) if add else self._segment(width)
        later = [item for item in x.items() if item[0] != self.bank or not add]
        for source, matrix in later:
            forward = self._store(self._packed(matrix))
            back = self._store(self._packed(matrix.T))
            self.operations.append(
                [LINEAR, source, len(matrix), segment, width, forward, back, int(add)]
            )
            add = True
        return segment

    def _layers(self) -> list[int]:
        """Non-zero elements of each layer's coupling: (a, d, b), weights [n, U]."""
        numbers: list[int] = []
        for operator in self.network.operators:
            a, b, d = operator.dim_in, operator.dim_env, operator.dim_out
            coupling = operator.coupling.double().cpu().view(-1, b, a, d)
            coupling = coupling.permute(2, 3, 1, 0)  # [A, D, B, P]
            entries = (coupling != 0).any(-1).nonzero()
            weight = operator.weight.detach().double().cpu()
            weight = weight.expand(self.network.channels, -1)
            values = coupling[tuple(entries.T)] @ weight.T
            padding = (0, self.channels - self.network.channels)
            where = self._store(torch.nn.functional.pad(values, padding))
            numbers += [a, d, len(entries), where, *entries.flatten().tolist()]
        return numbers

    def _packed(self, matrix: Tensor) -> Tensor:
        """[in, out] as panels of columns, each stored row by row."""
        padding = (0, -matrix.shape[1] % self.panel)
        matrix = torch.nn.functional.pad(matrix, padding)
        return matrix.unflatten(1, (-1, self.panel)).transpose(0, 1)

    def _segment(self, width: int) -> int:
        start = self.region + self.sizes[self.region]
        self.sizes[self.region] += self._padded(width)
        return start

    def _placed(self, number: int) -> int:
        if number >= _LATER:
            return number - _LATER + self.sizes[0] + self.sizes[_FIRST]
        return number - _FIRST + self.sizes[0] if number >= _FIRST else number

    def _padded(self, width: int) -> int:
        return -(-width // self.panel) * self.panel

    def _store(self, values: Tensor) -> int:
        values = values.detach().to("cpu", self.dtype).flatten()
        start = self.size
        self.weights.append(values)
        self.size += len(values)
        return start


def _matrix(mlp: ScalarMLP, index: int) -> Tensor:
    layer = mlp.layers[index]
    return layer.weight.detach().double().cpu() * layer.alpha


def _apply(x: Expression, matrix: Tensor) -> Expression:
    return {source: value @ matrix for source, value in x.items()}


def _columns(x: Expression, begin: int, end: int) -> Expression:
    return {source: value[:, begin:end] for source, value in x.items()}


def _concatenate(parts: list[Expression]) -> Expression:
    widths = [next(iter(part.values())).shape[1] for part in parts]
    result: Expression = {}
    start = 0
    for part, width in zip(parts, widths, strict=True):
        for source, value in part.items():
            if source not in result:
                shape = (len(value), sum(widths))
                result[source] = torch.zeros(shape, dtype=torch.float64)
            result[source][:, start : start + width] += value
        start += width
    return result
