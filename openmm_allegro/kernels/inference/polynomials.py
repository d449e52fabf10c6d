# SPDX-License-Identifier: MIT
"""Spherical harmonics as polynomials of a unit vector's components."""

import functools
import math

import torch
from e3nn import o3


def harmonic_terms(network: torch.nn.Module) -> tuple[list[int], list[float]]:
    """Fit the spherical harmonics by polynomials, sums of c x^i y^j z^k.

    Returns
    -------
    terms : list of int
        Component, i, j and k of each monomial, one after the other.
    coefficients : list of float
    """
    return _fit(network.degrees)


@functools.cache
def _fit(harmonics: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """See ``harmonic_terms``; the harmonics are given by their degrees."""
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(200, 3, dtype=torch.float64, generator=generator)
    u = u / u.norm(dim=1, keepdim=True)
    values = o3.spherical_harmonics(list(harmonics), u, False, "component")
    terms: list[int] = []
    coefficients: list[float] = []
    degrees = [degree for degree in harmonics for _ in range(2 * degree + 1)]
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
