# SPDX-License-Identifier: MIT
"""Harmonics and radial functions of pairs with constant derivatives by the vectors.

A training differentiates forces by the weights, never by the vectors again. So the
derivatives of these functions are numbers, computed once in a step, and no second
derivative goes through them.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ...model.allegro import Allegro
from ...model.radial import ProductTypeEmbedding, SplineEmbedding, polynomial_envelope


class Geometry:
    """What the network takes of the vectors of pairs.

    Parameters
    ----------
    network : Allegro
    """

    def __init__(self, network: Allegro) -> None:
        self.network = network
        degrees = network.degrees
        self.derivatives: Tensor | None = None
        if degrees == tuple(range(len(degrees))):
            self.derivatives = solid_derivatives(network)
        self.powers = torch.tensor(
            [float(d) for d in degrees for _ in range(2 * d + 1)], dtype=torch.float64
        )

    def harmonics(self, vectors: Tensor) -> Tensor:
        """Spherical harmonics [P, A] of ``vectors`` [P, 3], in their dtype."""
        module = self.network.spherical_harmonics
        if self.derivatives is None:  # some degrees are missing
            r = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
            return module(vectors / r)
        with torch.no_grad():
            r = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
            unit = vectors / r
            y = module(unit)
            # The gradient of r^l Y, a solid harmonic, less its part along the vector.
            slopes = torch.matmul(y, self.derivatives.to(y.dtype))  # [3, P, A]
            along = unit.T.unsqueeze(-1) * (y * self.powers.to(y.dtype))
            slopes = (slopes - along) / r
        return _Pinned.apply(vectors, y, slopes)

    def radial(
        self, vectors: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """Radial functions [P, n] of ``vectors`` [P, 3], in their dtype.

        Types are [P]. Where the functions are trained, autograd does all.
        """
        embedding = self.network.embedding
        r = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        kinds = center_types, neighbor_types.unsqueeze(-1)
        seen = embedding.inner(r, *kinds)
        x = embedding.cutoffs.scaled(seen, *kinds)
        function = _FUNCTIONS[type(embedding)]
        if "roots" in dict(embedding.named_parameters(recurse=False)):
            return function(embedding, x)[0]
        with torch.no_grad():
            values, slopes = function(embedding, x)
            slopes = slopes * x / seen  # by the distance that is seen
            if embedding.inner.is_active and r.requires_grad:
                ones = torch.ones_like(seen)
                slopes = slopes * torch.autograd.grad(seen, r, ones)[0]
            slopes = (vectors / r).T.unsqueeze(-1) * slopes  # [3, P, n]
        return _Pinned.apply(vectors, values, slopes)


def knows(network: Allegro) -> bool:
    """Tell whether there are formulas for the radial functions of a network."""
    return type(network.embedding) in _FUNCTIONS


def solid_derivatives(network: Allegro) -> Tensor:
    """Derivatives of r^l Y by x, y and z as combinations of such functions.

    Returns
    -------
    Tensor [3, A, A], float64
        Derivative of the function of the last index in terms of the others.
    """
    generator = torch.Generator().manual_seed(0)
    points = torch.randn((200, 3), generator=generator, dtype=torch.float64)
    degrees = torch.tensor(
        [d for d in network.degrees for _ in range(2 * d + 1)], dtype=torch.float64
    )

    def solid(v: Tensor) -> Tensor:
        r = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        return network.spherical_harmonics(v / r) * r**degrees

    with torch.enable_grad():
        v = points.requires_grad_(True)
        values = solid(v)
        columns = [
            torch.autograd.grad(values[:, a].sum(), v, retain_graph=True)[0]
            for a in range(len(degrees))
        ]
    by_axis = torch.stack(columns, -1).transpose(0, 1)  # [3, 200, A]
    fits = torch.linalg.lstsq(values.detach().expand(3, -1, -1), by_axis).solution
    return torch.where(fits.abs() < 1e-9, 0.0, fits)


class _Pinned(torch.autograd.Function):
    """Values [P, n] whose derivatives by the vectors, [3, P, n], are constants."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        ctx.save_for_backward(slopes)
        return values.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        (slopes,) = ctx.saved_tensors
        return (slopes * upstream).sum(-1).T, None, None


def _bessel(embedding: ProductTypeEmbedding, x: Tensor) -> tuple[Tensor, Tensor]:
    """Bessel functions times the envelope, and their derivatives by ``x`` [P, 1]."""
    p, roots = embedding.envelope_p, math.pi * embedding.roots.to(x.dtype)
    sines = torch.sin(x * roots)  # [P, n]
    envelope = polynomial_envelope(x, p) / (math.pi * x)
    inside = x < 1.0
    near = x.clamp(max=1.0)
    slope = -0.5 * p * (p + 1.0) * (p + 2.0) * near ** (p - 1.0) * (1.0 - near) ** 2
    slope = slope * inside / (math.pi * x) - envelope / x
    return sines * envelope, torch.cos(x * roots) * roots * envelope + sines * slope


def _spline(embedding: SplineEmbedding, x: Tensor) -> tuple[Tensor, Tensor]:
    """Splines, and their derivatives by ``x`` [P, 1]."""
    phase = ((x - embedding.lower.to(x.dtype)) / embedding.width).clamp(0.0, 1.0)
    phase = 2.0 * math.pi * phase
    rise = 1.0 - torch.cos(phase)
    slopes = rise * torch.sin(phase) * (math.pi / embedding.width)
    return 0.25 * rise.square(), slopes


_FUNCTIONS = {ProductTypeEmbedding: _bessel, SplineEmbedding: _spline}
