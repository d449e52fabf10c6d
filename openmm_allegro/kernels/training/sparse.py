# SPDX-License-Identifier: MIT
"""A layer's tensor products term by term, for training on a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...model.allegro import Allegro
from .contraction import contract
from .projection import project, spread


class SparseProducts:
    """Scalars of the pairs of a layer from its weights, as in ``Allegro.forward``.

    ``M⁰ M¹ … m`` is taken from the right: each product is one ``contract``, and no
    matrix is made.

    Parameters
    ----------
    network : Allegro
    """

    def __init__(self, network: Allegro) -> None:
        self.operators = list(network.operators)
        self.sizes = network.degree_mask.squeeze(-1).sum(0).long().tolist()
        self.entries, self.values = zip(
            *(o.entries() for o in self.operators), strict=True
        )
        self.columns = []
        for o, entries, values in zip(
            self.operators, self.entries, self.values, strict=True
        ):
            # The scalar column: a component of the features meets one of environment.
            scalar = entries[:, 2] == 0
            a, b, _, path = entries[scalar].T
            index, paths = torch.zeros((2, o.dim_in), dtype=torch.int64)
            factors = torch.zeros(o.dim_in, dtype=torch.float64)
            index[a], paths[a], factors[a] = b, path, values[scalar]
            self.columns.append((index, paths, factors))

    def __call__(
        self,
        environments: list[Tensor],
        harmonics: Tensor,
        env_weights: Tensor,
        norm: Tensor,
        weights: Tensor,
        shapes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Scalars of the pairs [P, U] in the layer that follows ``environments``.

        Parameters
        ----------
        environments : list of Tensor [ΣC, B, U]
            Of the layers before; this layer's is appended.
        harmonics, env_weights : Tensor [P, A], [P, L·U]
        norm : Tensor [ΣC]
        weights : Tensor [P, L·U]
        shapes : sequence of (C, K)
            Of each block.
        """
        shape = len(self.sizes), self.operators[0].channels
        sums = project(harmonics, env_weights.unflatten(-1, shape), self.sizes, shapes)
        environments.append(sums * norm[:, None, None])
        of_centers = self._chain(environments)
        projected = spread(harmonics, of_centers, self.sizes, shapes)
        return (weights.unflatten(-1, shape) * projected).sum(1)

    def _chain(self, environments: Sequence[Tensor]) -> Tensor:
        """[C, B, U] of layers 0, 1, … → [C, A, U]."""
        last = len(environments) - 1
        weight = self.operators[last].weight  # [U or 1, P]
        index, paths, factors = self.columns[last]
        column = (weight[:, paths] * factors.to(weight.dtype)).T  # [D, U or 1]
        v = environments[last][:, index] * column
        for k in range(last - 1, -1, -1):
            o = self.operators[k]
            weight = o.weight.expand(o.channels, -1)
            tables = self.entries[k], self.values[k], (0, 1, 2), o.dim_in
            v = contract(weight, environments[k], v, *tables)
        return v
