# SPDX-License-Identifier: MIT
"""Multilayer perceptron without biases: a zero stays a zero."""

import math

import torch
from torch import Tensor

from .config import NONLINEARITIES


class ScaledLinear(torch.nn.Module):
    """``x @ (alpha W)``, W of unit variance, so that the learning rate is scale-free.

    Parameters
    ----------
    dim_in, dim_out : int
        Shape of W.
    alpha : float
        Fixed factor, normally gain / sqrt(dim_in).
    generator : torch.Generator
        Source of the initial weights, uniform on [-√3, √3].
    """

    def __init__(
        self, dim_in: int, dim_out: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.alpha: float = alpha
        self.weight = torch.nn.Parameter(_drawn(dim_in, dim_out, generator))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [..., dim_in] → [..., dim_out]."""
        return torch.matmul(x, self.weight * self.alpha)


class ScalarMLP(torch.nn.Module):
    """``depth`` hidden layers of ``width``, then a linear layer; all zero-preserving.

    Every nonlinearity offered maps 0 to 0 and there are no biases: a pair beyond the
    cutoff contributes exactly nothing.

    Parameters
    ----------
    dim_in, dim_out : int
        Input and output channels.
    depth : int
        Hidden layers; 0 makes it one linear map.
    width : int
        Channels of each hidden layer.
    nonlinearity : str or None
        A key of ``config.NONLINEARITIES``, or None for a linear network.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        depth: int,
        width: int,
        nonlinearity: str | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        dims = [dim_in] + [width] * depth + [dim_out]
        # √2 makes up for the half of the variance that a ReLU-like function takes.
        gains = [1.0] + [1.0 if nonlinearity is None else math.sqrt(2.0)] * depth
        self.layers = torch.nn.ModuleList(
            ScaledLinear(a, b, gain / math.sqrt(a), generator)
            for a, b, gain in zip(dims, dims[1:], gains, strict=False)
        )
        if nonlinearity is None:
            self.activation = torch.nn.Identity()
        else:
            self.activation = getattr(torch.nn, NONLINEARITIES[nonlinearity])()

    def widen(self, outputs: int, generator: torch.Generator) -> None:
        """Add outputs behind those there are; their weights are drawn."""
        last = self.layers[-1]
        more = _drawn(len(last.weight), outputs, generator)
        last.weight = torch.nn.Parameter(torch.cat((last.weight.detach(), more), 1))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [..., dim_in] → [..., dim_out]."""
        for index, layer in enumerate(self.layers):
            if index > 0:
                x = self.activation(x)
            x = layer(x)
        return x


def _drawn(dim_in: int, dim_out: int, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(dim_in, dim_out, generator=generator, dtype=torch.float64)
    return (2.0 * uniform - 1.0) * math.sqrt(3.0)
