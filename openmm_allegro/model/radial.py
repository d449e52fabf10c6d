# SPDX-License-Identifier: MIT
"""Embeddings of a pair's distance and its two elements."""

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from .mlp import ScalarMLP


def polynomial_envelope(x: Tensor, p: float) -> Tensor:
    """Compute a smooth cutoff, 1 at x = 0 and 0 from x = 1 on.

    Its first two derivatives vanish at x = 1.

    Gasteiger et al., doi:10.48550/arXiv.2003.03123, eq. 8.

    Parameters
    ----------
    x : Tensor, any shape
        Distance over cutoff, dimensionless.
    p : float
        Exponent, at least 2.
    """
    # Beyond the cutoff, as in padding, x**p may overflow and 0 * inf is not 0.
    inside = x < 1.0
    x = x.clamp(max=1.0)
    xp = torch.pow(x, p)
    envelope = (
        1.0
        - (p + 1.0) * (p + 2.0) / 2.0 * xp
        + p * (p + 2.0) * xp * x
        - p * (p + 1.0) / 2.0 * xp * x * x
    )
    return envelope * inside


def seen_distance(r: Tensor, inner: Tensor) -> Tensor:
    """Compute the distance that a network takes for ``r``, constant far inside.

    From the inner cutoff c on it is r. Within a tenth of c, w, its derivative falls to
    zero as u² (3 - 2u) with u = (r - c + w) / w, and further in it is c - w / 2. So the
    network extrapolates to no pair that is closer.

    Parameters
    ----------
    r, inner : Tensor [C, K], Å
        Distances, and inner cutoffs; 0 for none.
    """
    width = (0.1 * inner).clamp(min=1e-9)  # ALLEGRO_INNER_WIDTH of kernels/allegro.h
    u = ((r - inner + width) / width).clamp(0.0, 1.0)
    inside = inner - width * (0.5 - u * u * u + 0.5 * u * u * u * u)
    return torch.where(r < inner, inside, r)


class _Exact(torch.nn.Module):
    """A module whose constants stay in double precision when it is made single."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, moved in self._buffers.items():
            if moved.dtype != before[name].dtype:
                self._buffers[name] = before[name].to(moved.device)
        return self


class PairCutoffs(_Exact):
    """Cutoff of each ordered pair of elements.

    Parameters
    ----------
    table : Tensor [T, T]
        Cutoff (Å) of a pair whose centre has the first element and whose neighbour has
        the second.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.uniform: bool = bool((table == table.flatten()[0]).all())
        self.number_of_elements: int = table.shape[0]
        self.largest: float = float(table.max())
        self.register_buffer("flat", table.flatten().clone(), persistent=False)

    def forward(self, center_types: Tensor, neighbor_types: Tensor) -> Tensor:
        """Cutoffs (Å) for types that broadcast against each other."""
        return self.flat[center_types * self.number_of_elements + neighbor_types]

    def scaled(self, r: Tensor, center_types: Tensor, neighbor_types: Tensor) -> Tensor:
        """Distances over cutoffs: ``r`` [C, K], types [C] and [C, K] → [C, K]."""
        if self.uniform:
            return r / self.largest
        return r / self(center_types.unsqueeze(-1), neighbor_types).to(r.dtype)


class InnerCutoffs(_Exact):
    """Distances as the radial functions take them: see ``seen_distance``.

    Parameters
    ----------
    table : Tensor [T, T]
        Inner cutoff (Å) of each ordered pair of elements, 0 for none.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.is_active: bool = bool((table > 0).any())
        self.number_of_elements: int = table.shape[0]
        self.register_buffer("flat", table.flatten().clone(), persistent=False)

    def forward(
        self, r: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """``r`` [C, K] Å, types [C] and [C, K] → [C, K] Å."""
        if not self.is_active:
            return r
        kinds = center_types.unsqueeze(-1) * self.number_of_elements + neighbor_types
        return seen_distance(r, self.flat[kinds].to(r.dtype))


class ProductTypeEmbedding(torch.nn.Module):
    """Bessel functions times envelope, projected and multiplied by element embeddings.

    The first half of the channels knows the centre's element, the second half the
    neighbour's. Bessel basis: doi:10.48550/arXiv.2003.03123, eq. 7 (as n sinc(n x)).

    Parameters
    ----------
    cutoffs : PairCutoffs
    inner : InnerCutoffs
    num_bessels : int
        Number of radial functions.
    envelope_p : float
        Exponent of the envelope.
    trainable : bool
        Make the Bessel roots parameters.
    dim : int
        Number of output channels E, even.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(
        self,
        cutoffs: PairCutoffs,
        inner: InnerCutoffs,
        num_bessels: int,
        envelope_p: float,
        trainable: bool,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.cutoffs = cutoffs
        self.inner = inner
        self.envelope_p: float = float(envelope_p)
        roots = torch.arange(1, num_bessels + 1, dtype=torch.float64)
        if trainable:
            self.roots = torch.nn.Parameter(roots)
        else:
            self.register_buffer("roots", roots, persistent=False)
        shape = (cutoffs.number_of_elements, dim // 2)
        self.center = _normal(shape, generator)
        self.neighbor = _normal(shape, generator)
        self.linear = ScalarMLP(num_bessels, dim, 0, 0, None, generator)

    def forward(
        self, r: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """``r`` [C, K] Å, types [C] and [C, K] → embeddings [C, K, E]."""
        r = self.inner(r, center_types, neighbor_types)
        x = self.cutoffs.scaled(r, center_types, neighbor_types)
        # n sinc(n x) = sin(π n x) / (π x)
        bessel = torch.sin(x.unsqueeze(-1) * (math.pi * self.roots.to(x.dtype)))
        envelope = polynomial_envelope(x, self.envelope_p) / (math.pi * x)
        basis = (bessel * envelope.unsqueeze(-1)).to(self.center.dtype)
        radial = self.linear(basis)  # [C, K, E]
        center = torch.nn.functional.embedding(center_types, self.center)
        neighbor = torch.nn.functional.embedding(neighbor_types, self.neighbor)
        center = center.unsqueeze(1).expand_as(neighbor)
        return radial * torch.cat((center, neighbor), -1)


class SplineEmbedding(_Exact):
    """Splines of the distance, with weights for each ordered pair of elements.

    Each basis function is ``(1 - cos(2π (x - lower) / width))² / 4`` on an interval of
    ``width = (span + 1) / num_splines`` and zero outside; the last ends at the cutoff,
    with three vanishing derivatives (``TwoBodySplineScalarEmbed`` of nequip-allegro).

    Parameters
    ----------
    cutoffs : PairCutoffs
    inner : InnerCutoffs
    num_splines : int
        Basis functions.
    span : int
        How many of them overlap, 0 to ``num_splines``.
    dim : int
        Number of output channels E.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(
        self,
        cutoffs: PairCutoffs,
        inner: InnerCutoffs,
        num_splines: int,
        span: int,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.cutoffs = cutoffs
        self.inner = inner
        self.dim: int = dim
        self.width: float = (span + 1) / num_splines
        starts = torch.arange(-span, num_splines - span, dtype=torch.float64)
        self.register_buffer("lower", starts / num_splines, persistent=False)
        # At any distance, about `span` of the functions are not zero.
        bound = math.sqrt(3.0 / max(span, 1))
        shape = (cutoffs.number_of_elements**2, dim * num_splines)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        self.weight = torch.nn.Parameter((2.0 * uniform - 1.0) * bound)

    def forward(
        self, r: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """``r`` [C, K] Å, types [C] and [C, K] → embeddings [C, K, E]."""
        r = self.inner(r, center_types, neighbor_types)
        x = self.cutoffs.scaled(r, center_types, neighbor_types).unsqueeze(-1)
        phase = (x - self.lower.to(x.dtype)) / self.width  # [C, K, splines]
        phase = phase.clamp(0.0, 1.0)
        basis = 0.25 * (1.0 - torch.cos(2.0 * math.pi * phase)).square()
        basis = basis.to(self.weight.dtype)
        kinds = center_types.unsqueeze(-1) * self.cutoffs.number_of_elements
        weights = torch.nn.functional.embedding(kinds + neighbor_types, self.weight)
        weights = weights.unflatten(-1, (self.dim, -1))  # [C, K, E, splines]
        return torch.matmul(weights, basis.unsqueeze(-1)).squeeze(-1)


def _normal(shape: tuple[int, int], generator: torch.Generator) -> torch.nn.Parameter:
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.nn.Parameter(values)
