# SPDX-License-Identifier: MIT
"""Spherical harmonics as polynomials of a unit vector's components."""

import math

import torch


def harmonic_terms(network: torch.nn.Module) -> tuple[list[int], list[float]]:
    """Fit the spherical harmonics by polynomials, sums of c x^i y^j z^k.

    Returns
    -------
    terms : list of int
        Component, i, j and k of each monomial, one after the other.
    coefficients : list of float
    """
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(200, 3, dtype=torch.float64, generator=generator)
    u = u / u.norm(dim=1, keepdim=True)
    values = network.spherical_harmonics(u)
    terms: list[int] = []
    coefficients: list[float] = []
    irreps = network.spherical_harmonics.irreps_out
    degrees = [ir.l for _, ir in irreps for _ in range(ir.dim)]
    for component, degree in enumerate(degrees):
        powers = [
            (i, j, degree - i - j)
            for i in range(degree + 1)
            for j in range(degree + 1 - i)
        ]
        monomials = torch.stack([(u ** torch.tensor(p)).prod(1) for p in powers], 1)
        fit = torch.linalg.lstsq(monomials, values[:, component]).solution
        for power, value in zip(powers, fit.tolist(), strict=True):
            if abs(value) > 1e-10:
                terms += [component, *power]
                coefficients.append(_root(value))
    return terms, coefficients


def _root(value: float) -> float:
    """Remove the rounding of the fit: all are roots of small fractions."""
    fraction = round(value * value * 1024.0) / 1024.0
    exact = math.copysign(math.sqrt(fraction), value)
    return exact if abs(exact - value) < 1e-10 else value
