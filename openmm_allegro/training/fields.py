# SPDX-License-Identifier: MIT
"""The field of the charges of samples: kept in a training, or subtracted."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroConfig
from ..model.charges import with_total
from ..structure import Structure
from .config import TrainConfig
from .electrostatics import GRADIENT, STRAIN, field_of, matrices_of
from .samples import Sample

log = logging.getLogger(__name__)

# Bytes of the matrices of a training: from the first on they are logged, and beyond the
# second not kept.
NOTABLE, LARGEST = 1_000_000_000, 8_000_000_000
LARGEST_MISSING = 0.1  # e, by which the sum of a frame's charges may miss its total


def with_matrices(
    sets: Sequence[Sequence[Sample]],
    config: AllegroConfig,
    settings: TrainConfig,
) -> list[list[Sample]]:
    """Give samples their matrices, unless those of all sets are too large together.

    Parameters
    ----------
    sets : sequence of sequences of Sample
    config : AllegroConfig
    settings : TrainConfig

    Raises
    ------
    ValueError
        If they are too large for a compiled step, which must have them.
    """
    if not config.is_charged:
        return [list(samples) for samples in sets]

    dtype = getattr(torch, settings.dtype)
    stress = any(weights.stress > 0 for weights in settings.stages())

    def channels(sample: Sample) -> int:
        return STRAIN if stress and sample.stress is not None else GRADIENT

    entries = sum(channels(s) * len(s.types) ** 2 for part in sets for s in part)
    size = entries * dtype.itemsize
    if size > LARGEST and settings.compile:
        raise ValueError(
            f"training: expected at most {LARGEST / 1e9:g} GB of memory for the field "
            f"of the charges because compile = true, found {size / 1e9:.1f} GB of "
            f"{sum(map(len, sets))} structures"
        )
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


def check_charges(
    model: AllegroConfig,
    config: TrainConfig,
    training: Sequence[Structure],
    others: Sequence[Structure] = (),
) -> None:
    """Refuse weights of charges and dipoles that the model or the data do not have.

    Parameters
    ----------
    model : AllegroConfig
    config : TrainConfig
    training, others : sequence of Structure
        Frames of the training, and further ones that errors are computed of.

    Raises
    ------
    ValueError
    """
    for key, label in (("charge_weight", "charges"), ("dipole_weight", "dipole")):
        weight = getattr(config, key)
        if not weight:
            continue
        if not model.is_charged:
            raise ValueError(
                f"training: expected charges = 'constant' or 'learned' in [model] "
                f"because {key} = {weight:g}, found 'none'"
            )
        known = [s for s in training if getattr(s, label) is not None]
        if not known:
            name = "dipole moments" if label == "dipole" else label
            raise ValueError(
                f"training: expected {name} because {key} = {weight:g}, found none in "
                f"{len(training)} structures ({label}, {label}_key)"
            )
        for s in (*known, *others):
            values = getattr(s, label)
            if values is not None and np.isinf(values).any():
                raise ValueError(
                    f"{s.source or 'a structure'}: expected finite {label} or, where "
                    f"unknown, NaN because {key} = {weight:g}, found infinity"
                )
            if label == "charges" and values is not None:
                _check_sum(s)
    if not config.dipole_weight:
        return
    for index, s in enumerate((*training, *others)):
        if s.dipole is not None and s.periodic.any():
            raise ValueError(
                f"{s.source or f'structure {index}'}: expected dipole moments of "
                "molecules alone, found one of a periodic frame, whose dipole depends "
                f"on the images of its atoms; dipole_weight is {config.dipole_weight:g}"
            )


def _check_sum(structure: Structure) -> None:
    """Refuse labels of all charges of a frame that have another sum than its total."""
    found = float(structure.charges.sum())  # NaN where some are unknown
    if abs(found - structure.charge) > LARGEST_MISSING:
        raise ValueError(
            f"{structure.source or 'a structure'}: expected charges that add up to the "
            f"total of the frame, {structure.charge:g} e (charge or total_charge in "
            f"the comment line, 0 without), found a sum of {found:+.3f} e"
        )
