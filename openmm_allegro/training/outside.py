# SPDX-License-Identifier: MIT
"""Atoms whose surroundings are outside of what a training saw.

A network interpolates between the surroundings of atoms that it was trained on; its
errors elsewhere are unknown and often large. Three things tell of each atom whether it
is outside: a distance to a neighbour that no pair of these elements had, a number of
neighbours, and the Mahalanobis distance of its latent (``latents``) from those of its
element in training, which A. Zhu et al., doi:10.1063/5.0136574, compare with other
measures of uncertainty. ``seen`` makes the record of a training.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..model import AllegroConfig
from .samples import Sample
from .statistics import pair_index, pair_name

RECORD = "seen"  # its key in the provenance of a model file
TOLERANCE = 0.02  # Å, by which distances may be outside
NEIGHBORS = 0.1  # fraction by which numbers of neighbours may be


class Outside(NamedTuple):
    """How far each of N atoms is outside of what the training saw."""

    distance: np.ndarray  # [N] Å, the largest of its neighbours; 0 within
    pairs: np.ndarray  # [N] str, elements and length of that pair, such as "C-H 1.352"
    neighbors: np.ndarray  # [N] more (or, negative, fewer) than in training
    latent: np.ndarray  # [N] in units of the farthest of training; above 1 outside


def outside(
    record: dict[str, Any],
    config: AllegroConfig,
    samples: Sequence[Sample],
    latents: np.ndarray,
) -> list[Outside]:
    """Compare structures with what the training saw.

    Parameters
    ----------
    record : dict
        Of ``describe_training``.
    config : AllegroConfig
    samples : sequence of Sample
    latents : ndarray [N, S]
        Of all their atoms.
    """
    result, start = [], 0
    for sample in samples:
        own = latents[start : start + len(sample.types)]
        start += len(own)
        result.append(
            Outside(
                *_distances_outside(record, config, sample),
                _neighbors_outside(record, config, sample),
                _latents_outside(record, config, sample, own),
            )
        )
    return result


def outside_arrays(parts: Sequence[Outside]) -> dict[str, np.ndarray]:
    """Join the fields to arrays of all atoms: ``atom_distance`` and so on."""
    fields = map(np.concatenate, zip(*parts, strict=True))
    names = (f"atom_{name}" for name in Outside._fields)
    return dict(zip(names, fields, strict=True))


def flags(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tell which atoms are outside [N], and by what.

    Parameters
    ----------
    arrays : dict
        Of ``evaluate``, with the fields of ``Outside`` as ``atom_distance`` and so on.
    """
    parts = {
        "distance": arrays["atom_distance"] > TOLERANCE,
        "neighbors": arrays["atom_neighbors"] != 0,
        "latent": arrays["atom_latent"] > 1.0,
    }
    return {"any": np.logical_or.reduce(list(parts.values())), **parts}


def summary(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Count the frames and atoms that are outside, and compare their errors.

    Parameters
    ----------
    arrays : dict
        Of ``evaluate``, as ``flags``.

    Returns
    -------
    dict
        JSON values: ``frames``, ``atoms``, their numbers; ``by_distance``,
        ``by_neighbors``, ``by_latent``, numbers of atoms; ``forces_rmse_within`` and
        ``forces_rmse_outside`` (meV/Å), and ``share_of_squared_error`` of the atoms
        outside, where there are such atoms and forces.
    """
    marked = flags(arrays)
    frames = np.repeat(np.arange(len(arrays["sizes"])), arrays["sizes"])
    result: dict[str, Any] = {
        "frames": len(np.unique(frames[marked["any"]])),
        "atoms": int(marked["any"].sum()),
    }
    for name in ("distance", "neighbors", "latent"):
        result[f"by_{name}"] = int(marked[name].sum())
    errors = arrays["forces_prediction"] - arrays["forces_reference"]
    squares = 1e6 * np.square(errors).mean(axis=1)
    known = np.isfinite(squares)
    within, beyond = squares[known & ~marked["any"]], squares[known & marked["any"]]
    if within.size:
        result["forces_rmse_within"] = float(np.sqrt(within.mean()))
    if beyond.size:
        result["forces_rmse_outside"] = float(np.sqrt(beyond.mean()))
        total = within.sum() + beyond.sum()
        result["share_of_squared_error"] = float(beyond.sum() / total) if total else 0.0
    return result


def frames_outside(arrays: dict[str, np.ndarray]) -> list[tuple[int, str]]:
    """Number of atoms outside of each frame, and what of them is farthest.

    Parameters
    ----------
    arrays : dict
        Of ``evaluate``.

    Returns
    -------
    list of (int, str)
        Such as ``(2, "C-H 1.352 (0.061 Å), latent 1.7")``; empty if it is not known
        what the training saw.
    """
    if "atom_distance" not in arrays:
        return []
    marked, result, start = flags(arrays), [], 0
    for size in arrays["sizes"]:
        atoms = slice(start, start + size)
        start += size
        words = []
        if marked["distance"][atoms].any():
            k = int(arrays["atom_distance"][atoms].argmax())
            beyond = arrays["atom_distance"][atoms][k]
            words.append(f"{arrays['atom_pairs'][atoms][k]} ({beyond:.3f} Å)")
        if marked["latent"][atoms].any():
            words.append(f"latent {arrays['atom_latent'][atoms].max():.2g}")
        if marked["neighbors"][atoms].any():
            words.append("neighbors")
        result.append((int(marked["any"][atoms].sum()), ", ".join(words)))
    return result


def mahalanobis(latents: np.ndarray, known: dict[str, Any]) -> np.ndarray:
    """Distances of latents [n, S] from the mean of those of an element.

    In the directions in which those vary most, of unit length, by the standard
    deviation along each, and in all others by one: probabilistic principal components,
    M. E. Tipping and C. M. Bishop, doi:10.1111/1467-9868.00196.

    Parameters
    ----------
    latents : ndarray [n, S]
    known : dict
        ``latent`` of an element in the record.
    """
    difference = latents - np.asarray(known["mean"])
    directions = np.asarray(known["directions"])  # [k, S]
    along = difference @ directions.T
    squares = np.square(along / np.asarray(known["deviations"])).sum(axis=1)
    if known["rest"] > 0:
        rest = np.square(difference - along @ directions).sum(axis=1)
        squares += rest / known["rest"] ** 2
    return np.sqrt(squares)


def _distances_outside(
    record: dict[str, Any], config: AllegroConfig, sample: Sample
) -> tuple[np.ndarray, np.ndarray]:
    """How far distances of each atom are outside, and of which pair."""
    distance = np.zeros(len(sample.types))
    names = [""] * len(distance)
    centers, r = sample.centers.numpy(), sample.vectors.double().norm(dim=-1).numpy()
    pairs = pair_index(sample, len(config.elements)).numpy()
    for pair in np.unique(pairs):
        name = pair_name(pair, config.elements)
        chosen = np.flatnonzero(pairs == pair)
        edges = np.ravel(record["distances"].get(name, []))
        longest = max([_longest(config, pair), *edges[-1:]])
        beyond = _beyond(r[chosen], np.append(edges, longest))
        for k in np.flatnonzero(beyond > 0):
            atom = centers[chosen[k]]
            if beyond[k] > distance[atom]:
                distance[atom] = beyond[k]
                names[atom] = f"{name} {r[chosen[k]]:.3f}"
    return distance, np.array(names)


def _neighbors_outside(
    record: dict[str, Any], config: AllegroConfig, sample: Sample
) -> np.ndarray:
    types = sample.types.numpy()
    counts = np.bincount(sample.centers.numpy(), minlength=len(types))
    ranges = [record["neighbors"].get(element, (0, 0)) for element in config.elements]
    lowest, highest = np.transpose(ranges)[:, types]
    more = np.maximum(counts - (1 + NEIGHBORS) * highest, 0.0)
    return more - np.maximum((1 - NEIGHBORS) * lowest - counts, 0.0)


def _latents_outside(
    record: dict[str, Any], config: AllegroConfig, sample: Sample, latents: np.ndarray
) -> np.ndarray:
    types = sample.types.numpy()
    result = np.full(len(types), np.inf)  # of elements that were not trained
    for index in np.unique(types):
        known = record["latent"].get(config.elements[index])
        if known:
            own = latents[types == index]
            result[types == index] = mahalanobis(own, known) / known["largest"]
    return result


def _beyond(r: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Distance of each r from the nearest range: lo₁, hi₁, lo₂, …, largest."""
    place = np.searchsorted(edges, r)
    above = edges[np.minimum(place, len(edges) - 1)] - r
    below = np.where(place > 0, r - edges[np.maximum(place - 1, 0)], np.inf)
    gap = np.minimum(np.abs(above), below)
    return np.where((place % 2 == 1) | (place == len(edges)), 0.0, gap)


def _longest(config: AllegroConfig, pair: int) -> float:
    """Longer one of the cutoffs of a pair in its two orders."""
    i, j = divmod(int(pair), len(config.elements))
    table = config.cutoff_table()
    return float(max(table[i, j], table[j, i]))
