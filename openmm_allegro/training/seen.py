# SPDX-License-Identifier: MIT
"""Describe what a training saw, in its model file; ``outside`` compares with it."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..model import AllegroConfig
from ..model.model import Model
from ..structure import Structure
from .isolated import separate
from .latents import recording
from .outside import mahalanobis
from .predict import predict
from .samples import Sample, collate, make_samples
from .statistics import pair_index, pair_name

_WIDTH = 0.01  # Å, of the bins of distances
_GAP = 5  # bins in a row without a distance that part two ranges
FRAMES = 1000  # at most, of which latents are described
_DIRECTIONS = 16  # at most, of latents
_SAMPLES = 20  # latents for each of them
_LARGER = 1.001


def describe_training(
    model: Model,
    samples: Sequence[Sample],
    *,
    batch_size: int = 4,
    most: int = FRAMES,
    known: Mapping[int, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Describe what a model was trained on, for its file (``provenance["seen"]``).

    Parameters
    ----------
    model : Model
        With the weights that are kept.
    samples : sequence of Sample
        Of the training.
    batch_size : int
    most : int
        Frames of which latents are described.
    known : mapping of int to ndarray, optional
        Latents of samples by their ``id``, which are not computed again.

    Returns
    -------
    dict
        JSON values. ``distances``: ranges of the distances of each pair of elements,
        Å, such as ``{"H-O": [[0.91, 1.17], [1.45, 4.0]]}``. ``neighbors``: lowest and
        highest number of neighbours of each element. ``latent`` of each element: the
        mean, the ``directions`` in which latents vary most, the standard ``deviations``
        along them and that of the ``rest``, and the ``largest`` distance
        (``mahalanobis``).
    """
    step = max(1, -(-len(samples) // min(most, FRAMES)))
    known = known or {}
    chosen = samples[::step]
    if step > 1 and len(known) > len(chosen) // 2:  # others than every n-th
        chosen = [sample for sample in samples if id(sample) in known]
    return {
        "distances": _distances(samples, model.config),
        "neighbors": _neighbors(samples, model.config),
        "latent": _latents(model, chosen, batch_size, known),
    }


def describe_structures(
    model: Model, structures: Sequence[Structure]
) -> dict[str, Any]:
    """Describe frames as ``describe_training`` does, for a file that has no record."""
    samples = make_samples(structures, model.config, getattr(torch, model.dtype))
    return describe_training(model, separate("training", structures, samples).samples)


def _distances(
    samples: Sequence[Sample], config: AllegroConfig
) -> dict[str, list[list[float]]]:
    """Ranges of distances of each pair of elements."""
    count, bins = len(config.elements), int(np.ceil(config.cutoff / _WIDTH)) + 1
    histogram = np.zeros(count * count * bins, dtype=np.int64)
    for sample in samples:
        r = sample.vectors.double().norm(dim=-1)
        index = pair_index(sample, count) * bins + (r / _WIDTH).long()
        histogram += np.bincount(index.numpy(), minlength=len(histogram))
    result = {}
    for pair, counts in enumerate(histogram.reshape(count * count, bins)):
        used = np.flatnonzero(counts)
        if used.size:
            parts = np.split(used, np.flatnonzero(np.diff(used) > _GAP) + 1)
            result[pair_name(pair, config.elements)] = [
                [round(part[0] * _WIDTH, 2), round((part[-1] + 1) * _WIDTH, 2)]
                for part in parts
            ]
    return dict(sorted(result.items()))


def _neighbors(
    samples: Sequence[Sample], config: AllegroConfig
) -> dict[str, list[int]]:
    ranges: dict[str, list[int]] = {}
    for sample in samples:
        types = sample.types.numpy()
        counts = np.bincount(sample.centers.numpy(), minlength=len(types))
        for index in np.unique(types):
            chosen = counts[types == index]
            lowest, highest = int(chosen.min()), int(chosen.max())
            known = ranges.setdefault(config.elements[index], [lowest, highest])
            known[:] = min(known[0], lowest), max(known[1], highest)
    return dict(sorted(ranges.items()))


def _latents(
    model: Model,
    samples: Sequence[Sample],
    batch_size: int,
    known: Mapping[int, np.ndarray],
) -> dict[str, dict[str, Any]]:
    dtype = samples[0].vectors.dtype
    energy = copy.deepcopy(model.energy).set_dtype(dtype).cpu()
    ready = [sample for sample in samples if id(sample) in known]
    samples = [sample for sample in samples if id(sample) not in known]
    parts = [known[id(sample)] for sample in ready]
    types = [sample.types.numpy() for sample in ready]
    with torch.no_grad(), recording(energy) as recorder:
        for start in range(0, len(samples), batch_size):
            batch = collate(samples[start : start + batch_size], model.config)
            predict(energy, batch, forces=False, stress=False)
            parts.append(recorder.take(batch))
            types.append(batch.types.numpy())
    latents, kinds = np.concatenate(parts), np.concatenate(types)
    return {
        model.config.elements[index]: _distribution(latents[kinds == index])
        for index in np.unique(kinds)
    }


def _distribution(latents: np.ndarray) -> dict[str, Any]:
    """Describe latents [n, S] of an element by a Gaussian, see ``mahalanobis``."""
    mean = latents.mean(axis=0)
    values, vectors = np.linalg.eigh(
        np.cov(latents.T, bias=True).reshape(2 * [len(mean)])
    )
    # An element with the same surroundings everywhere varies in no direction.
    values = np.maximum(
        values, 1e-10 * values[-1] + 1e-16 * (latents**2).mean() + 1e-30
    )
    count = int(np.clip(len(latents) // _SAMPLES, 1, _DIRECTIONS))
    rest = values[:-count].mean() if count < len(values) else 0.0
    known = {
        "mean": _rounded(mean, 7),
        "directions": _rounded(vectors[:, : -count - 1 : -1].T, 5),
        "deviations": _rounded(np.sqrt(values[: -count - 1 : -1]), 5),
        "rest": float(np.sqrt(rest)),
    }
    # The frames themselves are within, in whatever precision.
    largest = _LARGER * float(mahalanobis(latents, known).max())
    return known | {"largest": max(largest, 1.0)}


def _rounded(values: np.ndarray, digits: int) -> Any:
    """Numbers with a few digits, as lists."""
    text = np.vectorize(lambda value: float(f"{value:.{digits}g}"), otypes=[float])
    return text(values).tolist()
