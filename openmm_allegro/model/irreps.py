# SPDX-License-Identifier: MIT
"""Irreps of the network's tensors and how they couple, without e3nn."""

import re
from typing import NamedTuple

_NAME = re.compile(r"\s*(\d+)([eoy])\s*")


class Irrep(NamedTuple):
    """An irreducible representation of O(3); e3nn's ``Irrep`` can be made of it."""

    degree: int
    parity: int  # 1 or -1

    @property
    def dim(self) -> int:
        """Number of components."""
        return 2 * self.degree + 1

    def __str__(self) -> str:
        return f"{self.degree}{'e' if self.parity == 1 else 'o'}"


def parse_irrep(name: str) -> Irrep | None:
    """Read a name as e3nn has them, ``1o``; None if it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    degree = int(match[1])
    return Irrep(degree, {"e": 1, "o": -1, "y": (-1) ** degree}[match[2]])


def couples(first: Irrep, second: Irrep, result: Irrep) -> bool:
    """Tell whether the tensor product of two irreps has a third one."""
    smallest = abs(first.degree - second.degree)
    return (
        smallest <= result.degree <= first.degree + second.degree
        and first.parity * second.parity == result.parity
    )


def layer_irreps(
    environment: list[Irrep], allowed: list[Irrep], num_layers: int
) -> list[list[Irrep]]:
    """List the irreps of pairs' tensor features before each layer and after the last.

    Only irreps that can be reached from the spherical harmonics and that can still
    reach a scalar in the layers that remain are kept; the last entry is [0e].

    Parameters
    ----------
    environment : list of Irrep
        Irreps of the spherical harmonics.
    allowed : list of Irrep
        Irreps that may appear between layers.
    num_layers : int
        Number of tensor products.
    """
    forward = [environment]
    for layer in range(num_layers):
        wanted = [Irrep(0, 1)] if layer == num_layers - 1 else allowed
        forward.append(
            [ir for ir in wanted if _is_reached(forward[-1], environment, [ir])]
        )
    kept = [forward[-1]]
    for irreps in reversed(forward[:-1]):
        useful = [a for a in irreps if _is_reached([a], environment, kept[0])]
        kept.insert(0, useful)
    return kept


def paths(
    irreps_in: list[Irrep], environment: list[Irrep], irreps_out: list[Irrep]
) -> list[tuple[int, int, int]]:
    """List indices (in, environment, out) of the allowed couplings, out slowest."""
    return [
        (i, j, k)
        for k, out in enumerate(irreps_out)
        for i, a in enumerate(irreps_in)
        for j, b in enumerate(environment)
        if couples(a, b, out)
    ]


def _is_reached(
    irreps: list[Irrep], environment: list[Irrep], results: list[Irrep]
) -> bool:
    """Tell whether one of the results is in a product with the environment."""
    return any(couples(a, b, c) for a in irreps for b in environment for c in results)
