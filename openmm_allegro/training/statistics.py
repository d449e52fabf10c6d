# SPDX-License-Identifier: MIT
"""Compute the statistics of training data that scale and shift a model."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroConfig, Statistics
from .samples import Sample


def statistics(
    samples: Sequence[Sample],
    config: AllegroConfig,
    isolated: Mapping[str, float] | None = None,
) -> Statistics:
    """Compute neighbour counts, energy scale and energy shifts.

    The scale is the root mean square of the force components, or, where there are no
    forces, the standard deviation of the energies per atom less the shifts. With
    several compositions the shifts are the least-squares energies per element; where
    the compositions do not determine them all, the solution of least norm. Those of
    isolated atoms stay as they are. Musaelian et al.,
    doi:10.1038/s41467-023-36329-y, "Normalization" in Methods.

    Parameters
    ----------
    samples : sequence of Sample
    config : AllegroConfig
    isolated : mapping, optional
        Known energies of isolated atoms, eV, by element.

    Raises
    ------
    ValueError
        If no sample with weights above 0 has an energy.
    """
    samples = [s for s in samples if max(s.weights) > 0]
    labelled = [s for s in samples if s.energy is not None]
    if not labelled:
        raise ValueError(
            "expected samples with energies, and weights above 0, found none"
        )
    count = len(config.elements)
    pairs, atoms = np.zeros(count), np.zeros(count)
    for s in samples:
        pairs += np.bincount(s.types[s.centers], minlength=count)
        atoms += np.bincount(s.types, minlength=count)
    mean = max(pairs.sum() / atoms.sum(), 1.0)
    # Features of an element with few or no neighbours must not become large.
    neighbors = np.where(pairs > 0, pairs / np.maximum(atoms, 1), mean)

    composition = np.array(
        [np.bincount(s.types, minlength=count) for s in labelled], dtype=float
    )
    shifts = np.array([(isolated or {}).get(e, np.nan) for e in config.elements])
    unknown = np.isnan(shifts)
    energies = np.array([s.energy for s in labelled])
    rest = energies - composition[:, ~unknown] @ shifts[~unknown]
    if unknown.any():
        shifts[unknown] = np.linalg.lstsq(composition[:, unknown], rest, rcond=1e-8)[0]
    forces = [s.forces for s in labelled if s.forces is not None]
    if forces:
        scale = float(torch.cat(forces).double().square().mean().sqrt())
    else:
        rest = energies - composition @ shifts
        scale = float((rest / composition.sum(1)).std())
    return Statistics(
        mean_neighbors=tuple(np.maximum(neighbors, 1.0).tolist()),
        scales=(scale if scale > 0 else 1.0,) * count,
        shifts=tuple(shifts.tolist()),
    )


def closest_pairs(
    samples: Sequence[Sample],
    config: AllegroConfig,
    part: float = 1.0,
    digits: int = 4,
) -> dict[str, float]:
    """Find the smallest distance of each pair of elements within their cutoff.

    Parameters
    ----------
    samples : sequence of Sample
    config : AllegroConfig
    part : float
        Of the distances, which is given in their place.
    digits : int
        Decimals.

    Returns
    -------
    dict of str to float
        Å, rounded down, so that no pair of the samples is closer. Keys are like
        ``"H-O"``, in alphabetical order.
    """
    unit = 10.0**digits
    distances = closest_distances(samples, len(config.elements)).tolist()
    closest = {
        pair_name(pair, config.elements): math.floor(part * distance * unit) / unit
        for pair, distance in enumerate(distances)
        if distance < math.inf
    }
    return dict(sorted(closest.items()))


def closest_distances(samples: Sequence[Sample], count: int) -> Tensor:
    """Smallest distance of each pair of ``count`` elements, by its ``pair_index``.

    Returns
    -------
    Tensor [count²], float64
        Å; infinite for pairs that the samples lack.
    """
    smallest = torch.full((count * count,), torch.inf, dtype=torch.float64)
    for sample in samples:
        distances = sample.vectors.double().norm(dim=-1)
        pairs = pair_index(sample, count)
        smallest = smallest.scatter_reduce(0, pairs, distances, "amin")
    return smallest


def pair_index(sample: Sample, count: int) -> Tensor:
    """Number of each pair's elements, whichever comes first."""
    first, second = sample.types[sample.centers], sample.types[sample.neighbors]
    return torch.minimum(first, second) * count + torch.maximum(first, second)


def pair_name(pair: int, elements: Sequence[str]) -> str:
    """Name such as "H-O" of a pair's number."""
    return "-".join(sorted(elements[i] for i in divmod(int(pair), len(elements))))
