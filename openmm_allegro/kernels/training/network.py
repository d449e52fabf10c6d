# SPDX-License-Identifier: MIT
"""The network as a training on a CPU computes it: the same function, fewer passes.

No nonlinearity stands between the last layer of a network of ``ScalarMLP`` and the
first ones of those that take its result. Such chains of matrices are multiplied first,
which is a small product, and the scalars between them are never made for each pair.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...model import AllegroEnergy
from ...model.allegro import Allegro, per_pair
from ...model.mlp import ScalarMLP
from ..library import library
from .activation import silu
from .geometry import Geometry, knows
from .sparse import SparseProducts

# A linear combination of rows: the sum of sources [P, n] times matrices [n, m].
Combination = dict[Tensor, Tensor | None]  # None for the source as it is
# Products over all pairs for each matrix of the network in a step of training, and over
# the rows of matrices for each product of them.
_PASSES, _PASSES_OF_WEIGHTS = 6, 3


class TrainingNetwork:
    """Pair energies as ``Allegro.forward`` gives them, to be differentiated by weights.

    Second derivatives by the vectors are left out.

    Parameters
    ----------
    network : Allegro
    """

    def __init__(self, network: Allegro) -> None:
        self.network = network
        self.geometry = Geometry(network)
        self.products = SparseProducts(network)

    def __call__(
        self,
        vectors: Tensor,
        center_types: Tensor,
        neighbor_types: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Compute pair energies [P]; parameters as ``Allegro.forward``."""
        net = self.network
        s = net.scalars
        dtype = net.environment_norm.dtype
        y = self.geometry.harmonics(vectors).to(dtype)  # [P, A]
        norm = net.environment_norm[center_types]
        x = self._embedding(vectors, per_pair(center_types, shapes), neighbor_types)
        x = _mlp(net.two_body, [{x: None}])
        tensor, projection = _matrix(net.tensor_weights), _matrix(net.first_projection)
        later = [mlp.layers[0].weight.shape[1] for mlp in (*net.latents, net.readout)]
        widths = tensor.shape[1] + projection.shape[1] - s
        x = _shorter(x, s, widths + sum(later))
        weights = _value(_apply(x, tensor))  # [P, L·U]
        environment = _value(_apply(x, projection[:, s:]))
        tracks = [_shorter(_apply(x, projection[:, :s]), s, sum(later))]
        chain: list[Tensor] = []
        for layer, latent in enumerate(net.latents):
            products = self.products(chain, y, environment, norm, weights, shapes)
            hidden, last = _hidden(latent, [*tracks, {products: None}])
            x = _apply(hidden, last[:, :s])
            tracks.append(_shorter(x, s, sum(later[layer + 1 :])))
            if last.shape[1] > s:
                environment = _value(_apply(hidden, last[:, s:]))
        return _value(_mlp(net.readout, tracks)).squeeze(-1)

    def _embedding(
        self, vectors: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """Embeddings of pairs [P, E], as the modules of ``model.radial`` give them."""
        embedding = self.network.embedding
        basis = self.geometry.radial(vectors, center_types, neighbor_types)
        types = embedding.cutoffs.number_of_elements
        kinds = center_types * types + neighbor_types
        if hasattr(embedding, "lower"):  # splines
            weights = torch.nn.functional.embedding(kinds, embedding.weight)
            weights = weights.unflatten(-1, (embedding.dim, -1))
            basis = basis.to(weights.dtype).unsqueeze(-1)
            return torch.matmul(weights, basis).squeeze(-1)
        center, neighbor = embedding.center, embedding.neighbor
        radial = torch.matmul(basis.to(center.dtype), _matrix(embedding.linear))
        if types**2 > len(kinds):  # more kinds of pairs than pairs
            of_pairs = center[center_types], neighbor[neighbor_types]
            return radial * torch.cat(of_pairs, -1)
        table = torch.cat(
            (center.repeat_interleave(types, 0), neighbor.repeat(types, 1)), -1
        )
        return radial * torch.nn.functional.embedding(kinds, table)


def _matrix(mlp: ScalarMLP) -> Tensor:
    """Matrix of a linear map."""
    (layer,) = mlp.layers
    return layer.weight * layer.alpha


def _mlp(mlp: ScalarMLP, parts: Sequence[Combination]) -> Combination:
    """Apply a network to the concatenation of ``parts``."""
    return _apply(*_hidden(mlp, parts))


def _hidden(mlp: ScalarMLP, parts: Sequence[Combination]) -> tuple[Combination, Tensor]:
    """Apply a network to the concatenation of ``parts``, but for its last matrix.

    With one layer there is nothing hidden: the parts are joined by columns of zeros.
    """
    matrices = [layer.weight * layer.alpha for layer in mlp.layers]
    if len(matrices) == 1 and len(parts) == 1:
        return parts[0], matrices[0]
    widths = [_width(part) for part in parts]
    x: Combination = {}
    if len(matrices) == 1:
        for part, unit in zip(parts, _units(widths, matrices[0]), strict=True):
            _add(x, _apply(part, unit))
        return x, matrices[0]
    for part, rows in zip(parts, matrices[0].split(widths), strict=True):
        _add(x, _apply(part, rows))
    x = _activated(mlp, x)
    for matrix in matrices[1:-1]:
        x = _activated(mlp, _apply(x, matrix))
    return x, matrices[-1]


def _activated(mlp: ScalarMLP, x: Combination) -> Combination:
    if isinstance(mlp.activation, torch.nn.Identity):
        return x
    is_silu = isinstance(mlp.activation, torch.nn.SiLU)
    return {(silu if is_silu else mlp.activation)(_value(x)): None}


def _units(widths: Sequence[int], like: Tensor) -> Sequence[Tensor]:
    """Matrices that put parts side by side."""
    unit = torch.eye(sum(widths), dtype=like.dtype, device=like.device)
    return unit.split(list(widths))


def _apply(x: Combination, matrix: Tensor) -> Combination:
    return {s: matrix if m is None else torch.matmul(m, matrix) for s, m in x.items()}


def _add(x: Combination, other: Combination) -> None:
    """Add to ``x``; no matrix of either may be None."""
    for source, matrix in other.items():
        x[source] = x[source] + matrix if source in x else matrix


def _width(x: Combination) -> int:
    source, matrix = next(iter(x.items()))
    return (source if matrix is None else matrix).shape[1]


def _value(x: Combination) -> Tensor:
    """Value of a combination [P, m]."""
    total: Tensor | None = None
    for source, matrix in x.items():
        if matrix is None:
            total = source if total is None else total + source
        elif total is None:
            total = torch.matmul(source, matrix)
        else:
            total = torch.addmm(total, source, matrix)
    return total


def _shorter(x: Combination, width: int, uses: int) -> Combination:
    """``x`` or its value, whichever takes less work.

    Parameters
    ----------
    x : Combination
    width : int
        Columns of its value.
    uses : int
        Columns of the matrices that it will be multiplied with.
    """
    if any(matrix is None for matrix in x.values()):
        return x
    depth = sum(source.shape[1] for source in x)
    rows = len(next(iter(x)))
    kept = _PASSES * rows * depth * uses + _PASSES_OF_WEIGHTS * depth * width * uses
    made = _PASSES * rows * (depth * width + width * uses)
    return x if kept < made else {_value(x): None}


def use_training_network(energy: AllegroEnergy) -> bool:
    """Let a model on the CPU train faster, and tell whether it can.

    It cannot without the compiled kernel, or with an embedding of another class.

    Parameters
    ----------
    energy : AllegroEnergy
        Results are the same up to rounding.
    """
    if library() is None or not knows(energy.network):
        return False
    energy.network.in_training = TrainingNetwork(energy.network)
    return True
