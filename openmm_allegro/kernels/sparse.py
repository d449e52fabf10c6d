# SPDX-License-Identifier: MIT
"""A centre's chain of tensor products without its matrices, for training on a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import AllegroEnergy
from ..model.tensor_product import CenterOperator
from .contraction import available, contract


class SparseChain:
    """From the environments of all layers so far to what a pair's features meet.

    ``M⁰ M¹ … m`` of ``Allegro.of_blocks``, from the right: each product is one
    ``contract``, and no matrix is made.

    Parameters
    ----------
    operators : sequence of CenterOperator
    """

    def __init__(self, operators: Sequence[CenterOperator]) -> None:
        self.operators = list(operators)
        self.entries, self.values = zip(*(o.entries() for o in operators), strict=True)
        self.columns = []
        for o, entries, values in zip(
            operators, self.entries, self.values, strict=True
        ):
            # The scalar column: a component of the features meets one of environment.
            scalar = entries[:, 2] == 0
            a, b, _, path = entries[scalar].T
            index, paths = torch.zeros((2, o.dim_in), dtype=torch.int64)
            factors = torch.zeros(o.dim_in, dtype=torch.float64)
            index[a], paths[a], factors[a] = b, path, values[scalar]
            self.columns.append((index, paths, factors))

    def __call__(self, environments: Sequence[Tensor]) -> Tensor:
        """``environments`` [C, B, U] of layers 0, 1, … → [C, A, U]."""
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


def use_sparse_products(energy: AllegroEnergy) -> bool:
    """Let a model on the CPU train faster; whether the kernel for it is there.

    Parameters
    ----------
    energy : AllegroEnergy
        Results are the same up to rounding.
    """
    if available():
        energy.network.sparse = SparseChain(list(energy.network.operators))
    return available()
