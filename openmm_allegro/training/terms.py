# SPDX-License-Identifier: MIT
"""Labels without the terms of the energy that a training leaves as they are.

The loss of labels from which these terms were subtracted, of the network alone, is the
loss of the whole energy, and costs nothing at each step.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import forces_from_pairs
from .predict import stresses_of
from .samples import Sample


def subtract_terms(
    samples: Sequence[Sample], terms: torch.nn.ModuleDict, factor: float = 1.0
) -> list[Sample]:
    """Subtract terms of the energy from energies, forces and stresses.

    Parameters
    ----------
    samples : sequence of Sample
    terms : ModuleDict
        See ``model.energy.make_terms``.
    factor : float
        Of what is subtracted; -1 undoes it.
    """
    if not len(terms):
        return list(samples)
    return [_without(sample, terms, factor) for sample in samples]


def _without(sample: Sample, terms: torch.nn.ModuleDict, factor: float) -> Sample:
    if not len(sample.centers):
        return sample
    centers, neighbors = sample.centers, sample.neighbors
    vectors = sample.vectors.detach().double().requires_grad_(True)
    with torch.enable_grad():
        r = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        kinds = sample.types[centers], sample.types[neighbors].unsqueeze(-1)
        parts = [term(r, *kinds).sum() for term in terms.values()]
        energy = torch.stack(parts).sum()
        (gradient,) = torch.autograd.grad(energy, vectors)
    changed: dict[str, float | Tensor] = {}
    if sample.energy is not None:
        changed["energy"] = sample.energy - factor * float(energy.detach())
    if sample.forces is not None:
        forces = forces_from_pairs(
            gradient.unsqueeze(1), centers, neighbors.unsqueeze(1), len(sample.types)
        )
        changed["forces"] = _difference(sample.forces, factor * forces)
    if sample.stress is not None:
        strain = vectors.detach().T @ gradient
        volume = torch.tensor([sample.volume], dtype=strain.dtype)
        stress = stresses_of(strain.unsqueeze(0), volume)[0]
        changed["stress"] = _difference(sample.stress, factor * stress)
    return sample._replace(**changed)


def _difference(label: Tensor, part: Tensor) -> Tensor:
    """Subtract in double precision; what is unknown, NaN, stays so."""
    return (label.double() - part).to(label.dtype)
