# SPDX-License-Identifier: MIT
"""The tensor product, as an operator that belongs to the centre.

Allegro multiplies each pair's tensor features with the environment of the pair's
centre, layer after layer. The environment does not depend on the pair, so for a given
centre the product is one matrix ``M`` that acts on the pair's components, and a chain
of layers is a product of such matrices. Only scalars ever leave the tensor track, so a
pair needs no more than one inner product per layer with a vector computed once per
atom.
"""

import math

import torch
from e3nn import o3
from torch import Tensor

from .irreps import Irrep, paths


def coupling_tensor(
    irreps_in: list[Irrep], environment: list[Irrep], irreps_out: list[Irrep]
) -> Tensor:
    """Compute Wigner-3j symbols of all paths, [P, A, B, C], times sqrt(2 l_out + 1).

    With that factor the product of inputs of unit variance per component has unit
    variance ("component" normalisation).
    """
    start_in, start_env, start_out = map(_starts, (irreps_in, environment, irreps_out))
    instructions = paths(irreps_in, environment, irreps_out)
    shape = (len(instructions), start_in[-1], start_env[-1], start_out[-1])
    coupling = torch.zeros(shape, dtype=torch.float64)
    for path, (i, j, k) in enumerate(instructions):
        degree = irreps_out[k].degree
        coupling[
            path,
            start_in[i] : start_in[i + 1],
            start_env[j] : start_env[j + 1],
            start_out[k] : start_out[k + 1],
        ] = math.sqrt(2 * degree + 1) * o3.wigner_3j(
            irreps_in[i].degree, environment[j].degree, degree, dtype=torch.float64
        )
    return coupling


class CenterOperator(torch.nn.Module):
    """Matrices that act on the features of a centre's pairs, from its environment.

    ``M[u, c, a, d] = Σ_b Σ_p weight[u, p] coupling[p, a, b, d] Γ[u, c, b]``

    Parameters
    ----------
    irreps_in, environment, irreps_out : list of Irrep
        Irreps of the pair features, of the environment and of the product, with
        A, B and D components.
    channels : int
        Number of tensor channels U.
    channel_coupling : bool
        Give each channel its own path weights; else all share them.
    generator : torch.Generator
        Source of the initial weights, uniform on [-√3, √3].
    """

    def __init__(
        self,
        irreps_in: list[Irrep],
        environment: list[Irrep],
        irreps_out: list[Irrep],
        channels: int,
        channel_coupling: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        coupling = coupling_tensor(irreps_in, environment, irreps_out)
        self.dim_in: int = coupling.shape[1]
        self.dim_env: int = coupling.shape[2]
        self.dim_out: int = coupling.shape[3]
        self.channels: int = channels
        # [P, B, A·D]: the order in which forward contracts it
        flat = coupling.permute(0, 2, 1, 3).reshape(len(coupling), self.dim_env, -1)
        self.register_buffer("coupling", flat.contiguous(), persistent=False)
        rows = channels if channel_coupling else 1
        uniform = torch.rand(
            rows, len(coupling), generator=generator, dtype=torch.float64
        )
        self.weight = torch.nn.Parameter((2.0 * uniform - 1.0) * math.sqrt(3.0))

    def forward(self, environment: Tensor) -> Tensor:
        """``environment`` Γ [U, C, B] → M [U, C, A, D]."""
        weighted = torch.matmul(
            self.weight, self.coupling.flatten(1)
        )  # [U or 1, B·A·D]
        weighted = weighted.view(-1, self.dim_env, self.dim_in * self.dim_out)
        operator = torch.matmul(environment, weighted)  # [U, C, A·D]
        return operator.view(
            self.channels, environment.shape[1], self.dim_in, self.dim_out
        )

    @torch.jit.unused
    def entries(self) -> tuple[Tensor, Tensor]:
        """List couplings that are not zero: a, b, d and path [n, 4], values [n]."""
        shape = len(self.coupling), self.dim_env, self.dim_in, self.dim_out
        coupling = self.coupling.detach().to("cpu", torch.float64).view(shape)
        where = coupling.nonzero()
        return where[:, [2, 1, 3, 0]].contiguous(), coupling[tuple(where.T)]


def _starts(irreps: list[Irrep]) -> list[int]:
    starts = [0]
    for irrep in irreps:
        starts.append(starts[-1] + irrep.dim)
    return starts
