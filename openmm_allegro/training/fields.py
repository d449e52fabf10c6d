# SPDX-License-Identifier: MIT
"""The field of the charges of samples: kept in a training, or subtracted."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import AllegroConfig
from ..model.charges import with_total
from .electrostatics import GRADIENT, STRAIN, field_of, matrices_of
from .samples import Sample

log = logging.getLogger(__name__)

# Bytes of the matrices of a training: from the first on they are logged, and beyond the
# second not kept.
NOTABLE, LARGEST = 1_000_000_000, 8_000_000_000


def with_matrices(
    sets: Sequence[Sequence[Sample]],
    config: AllegroConfig,
    dtype: torch.dtype,
    stress: bool,
) -> list[list[Sample]]:
    """Give samples their matrices, unless those of all sets are too large together.

    Parameters
    ----------
    sets : sequence of sequences of Sample
    config : AllegroConfig
    dtype : torch.dtype
    stress : bool
        Whether a loss needs stresses, of the samples that have one.
    """
    if not config.is_charged:
        return [list(samples) for samples in sets]

    def channels(sample: Sample) -> int:
        return STRAIN if stress and sample.stress is not None else GRADIENT

    entries = sum(channels(s) * len(s.types) ** 2 for part in sets for s in part)
    size = entries * dtype.itemsize
    if size > LARGEST:
        log.warning(
            "the field of the charges would take %.1f GB of memory, and is computed in "
            "each step instead, which takes longer",
            size / 1e9,
        )
        return [list(samples) for samples in sets]
    if size > NOTABLE:
        log.info("the field of the charges takes %.1f GB of memory", size / 1e9)

    def with_matrix(sample: Sample) -> Sample:
        known = sample.electrostatics
        has_stress = channels(sample) == STRAIN
        matrix = matrices_of(known, config.alpha, dtype, has_stress)
        return sample._replace(electrostatics=known._replace(matrices=[matrix]))

    return [[with_matrix(sample) for sample in samples] for samples in sets]


def without_field(samples: Sequence[Sample], config: AllegroConfig) -> list[Sample]:
    """Subtract the field of the charges at the start of a training from all labels."""
    if not config.is_charged:
        return list(samples)
    start = [config.charge_start[element] for element in config.elements]
    changed = []
    for sample in samples:
        known, sizes = sample.electrostatics, torch.tensor([len(sample.types)])
        charges = torch.tensor(start, dtype=torch.float64)[sample.types]
        charges = with_total(charges, float(known.totals))
        stress = sample.stress is not None
        field = field_of(known, sizes, charges, config.alpha, stress=stress)
        labels: dict[str, float | Tensor] = {}
        if sample.energy is not None:
            labels["energy"] = sample.energy - float(field.energies)
        if sample.forces is not None:
            labels["forces"] = sample.forces - field.forces.to(sample.forces)
        if stress:
            part = field.strains[0] / sample.volume
            labels["stress"] = sample.stress - part.to(sample.stress)
        changed.append(sample._replace(**labels))
    return changed
