# SPDX-License-Identifier: MIT
"""A few small structures that tell weights from noise."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .config import AllegroConfig

if TYPE_CHECKING:
    from .energy import AllegroEnergy

# Distances of the neighbours, as fractions of their cutoffs.
_DISTANCES = (0.35, 0.6, 0.9)
# A centre has fewer neighbours than this, of all elements in turn.
_NEIGHBORS = 8
# Far beyond any interaction of a centre with its neighbours, eV.
LARGEST_ENERGY = 1e8
# Far beyond what the network adds to the charge of an element, e.
LARGEST_CHARGE = 1e3


class Clusters(NamedTuple):
    """Centres of each element, with a few neighbours."""

    centers: np.ndarray  # [C], elements
    neighbors: np.ndarray  # [C, K], elements
    vectors: np.ndarray  # [C, K, 3], Å, from the centre


def make_clusters(config: AllegroConfig) -> Clusters:
    """Place a few neighbours around centres of each element."""
    types = len(config.elements)
    centers = np.tile(np.arange(types), len(_DISTANCES))
    steps = np.arange(min(types, _NEIGHBORS))
    neighbors = (centers[:, None] + steps) % types
    cutoffs = config.cutoff_table()[centers[:, None], neighbors]
    fractions = np.repeat(_DISTANCES, types)
    angles = steps * 2.4  # far from a symmetric arrangement
    directions = np.stack((np.cos(angles), np.sin(angles), 0.5 * np.cos(angles) ** 2))
    directions = (directions / np.linalg.norm(directions, axis=0)).T
    vectors = (fractions[:, None] * cutoffs)[..., None] * directions
    return Clusters(centers, neighbors, vectors)


def check_energies(
    clusters: Clusters, energies: np.ndarray, config: AllegroConfig
) -> None:
    """Refuse weights that give a centre of any element no sensible energy.

    Parameters
    ----------
    clusters : Clusters
    energies : ndarray [C], eV
        Of the centres, beside those without neighbours.
    config : AllegroConfig

    Raises
    ------
    ValueError
        If one is not finite, or above 10⁸ eV.
    """
    _check_sizes(clusters, energies, config, ("an energy", LARGEST_ENERGY, "eV"))


def check_charges(
    clusters: Clusters, charges: np.ndarray, config: AllegroConfig
) -> None:
    """Refuse weights that give a centre of any element no sensible charge.

    Parameters
    ----------
    clusters : Clusters
    charges : ndarray [C], e
        What the network adds to those of the elements.
    config : AllegroConfig

    Raises
    ------
    ValueError
        If one is not finite, or above 1000 e.
    """
    _check_sizes(clusters, charges, config, ("a charge", LARGEST_CHARGE, "e"))


def _check_sizes(
    clusters: Clusters,
    values: np.ndarray,
    config: AllegroConfig,
    quantity: tuple[str, float, str],
) -> None:
    name, largest, unit = quantity
    absurd = np.flatnonzero(~(np.abs(values) < largest))  # also NaN
    if len(absurd):
        center = config.elements[clusters.centers[absurd[0]]]
        raise ValueError(
            f"expected weights that give a {center} atom with "
            f"{clusters.neighbors.shape[1]} neighbours {name} within "
            f"{largest:.0e} {unit}, found {values[absurd[0]]:.3g} {unit}"
        )


def check_network(energy: AllegroEnergy, config: AllegroConfig, dtype: str) -> None:
    """Refuse a network as ``check_energies`` and ``check_charges`` do.

    Parameters
    ----------
    energy : AllegroEnergy
        In float64; unchanged.
    config : AllegroConfig
    dtype : str
        In which the weights are stored, and often used.
    """
    import torch

    if dtype != "float64":
        energy = copy.deepcopy(energy).set_dtype(getattr(torch, dtype))
    clusters = make_clusters(config)
    centers, neighbors, vectors = map(torch.from_numpy, clusters)
    shapes = [(neighbors.shape[0], neighbors.shape[1])]
    with torch.no_grad():
        values, charges = energy.block_outputs(
            vectors.flatten(0, 1), centers, neighbors.flatten(), shapes
        )
    check_energies(clusters, (values - energy.shifts[centers]).numpy(), config)
    check_charges(clusters, charges.numpy(), config)
