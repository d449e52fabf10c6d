# SPDX-License-Identifier: MIT
"""Score frames by the disagreement of a committee, and place them by what is in them.

The deviation of the force on an atom is that of ``potential.committee``. A frame's
descriptor is, for each element, the mean over its atoms of the latents of the first
member (``training.latents``), whose components have a deviation of one over the atoms
of all frames compared.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..model.model import Model
from ..structure import Structure
from ..training.latents import recording
from ..training.predict import predict
from ..training.samples import collate, make_samples

_BATCH = 8
_PAIRS = 400  # frames at most, of whose pairs the median distance is taken


class Scores(NamedTuple):
    """What a committee says of F frames."""

    forces: list[np.ndarray]  # [N, 3] of each frame, mean of the members, eV/Å
    deviations: np.ndarray  # [F] largest deviation of an atom's force, eV/Å
    squares: np.ndarray  # [F] mean over the atoms of the squared deviation, eV²/Å²


def score(models: Sequence[Model], structures: Sequence[Structure]) -> Scores:
    """Compute mean forces of a committee and their deviations.

    Parameters
    ----------
    models : sequence of Model
        Two or more.
    structures : sequence of Structure
    """
    members = [_forces(model, structures) for model in models]
    means, largest, squares = [], [], []
    for parts in zip(*members, strict=True):
        forces = np.stack(parts)
        variances = forces.var(axis=0, ddof=1).sum(axis=-1)
        means.append(forces.mean(axis=0))
        largest.append(np.sqrt(variances.max()))
        squares.append(variances.mean())
    return Scores(means, np.array(largest), np.array(squares))


def _forces(model: Model, structures: Sequence[Structure]) -> list[np.ndarray]:
    result = []
    for start in range(0, len(structures), _BATCH):
        part = structures[start : start + _BATCH]
        samples = make_samples(part, model.config, torch.float64)
        batch = collate(samples, model.config)
        forces = predict(model.energy, batch, stress=False).forces.double().numpy()
        result += np.split(forces, np.cumsum([len(s) for s in part])[:-1])
    return result


def descriptors(model: Model, structures: Sequence[Structure]) -> np.ndarray:
    """Descriptors [F, E S] of frames: mean latents of the atoms of each element."""
    count, parts = len(model.config.elements), []
    sums = np.zeros((count, model.energy.network.scalars))
    squares, numbers = np.zeros_like(sums), np.zeros(count)
    with torch.no_grad(), recording(model.energy) as recorder:
        for structure in structures:
            samples = make_samples([structure], model.config, torch.float64)
            batch = collate(samples, model.config)
            predict(model.energy, batch, forces=False, stress=False)
            latents, types = recorder.take(batch), batch.types.numpy()
            means = np.zeros_like(sums)
            for element in np.unique(types):
                own = latents[types == element]
                means[element] = own.mean(axis=0)
                sums[element] += own.sum(axis=0)
                squares[element] += np.square(own).sum(axis=0)
                numbers[element] += len(own)
            parts.append(means)
    atoms = np.maximum(numbers, 1)[:, None]
    spread = np.sqrt(np.maximum(squares / atoms - np.square(sums / atoms), 0.0))
    scale = np.where(spread > 1e-9, spread, np.inf)
    return (np.array(parts) / scale).reshape(len(parts), -1)


def typical_distance(places: np.ndarray) -> float:
    """Median of the distances between pairs of descriptors [F, D]; 1 if it is zero."""
    step = max(1, -(-len(places) // _PAIRS))
    chosen = places[::step]
    if len(chosen) < 2:
        return 1.0
    pairs = np.linalg.norm(chosen[:, None] - chosen[None], axis=-1)
    return float(np.median(pairs[np.triu_indices(len(chosen), 1)])) or 1.0
