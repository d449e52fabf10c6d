# SPDX-License-Identifier: MIT
"""Give a trained model inner cutoffs, from which on its network sees no pair closer.

A network that has seen no pair below some distance may do anything there, and what it
does grows with each layer. With inner cutoffs it goes on as at the closest pairs of the
data, and the repulsion of the nuclei or the pair core is what a closer pair feels.
"""

import dataclasses
import logging
from collections.abc import Sequence

from ..model.model import Model, Stored, weights
from ..structure import Structure
from .samples import make_samples
from .statistics import closest_pairs

log = logging.getLogger(__name__)

PART = 1.0  # of the closest distance: a network can go wrong at once inside of it


def inner_cutoffs(
    model: Model, structures: Sequence[Structure], part: float = PART
) -> dict[str, float]:
    """Find inner cutoffs by the closest pairs of structures.

    Parameters
    ----------
    model : Model
    structures : sequence of Structure
        Those of the training.
    part : float
        Of the closest distance of each pair of elements.

    Returns
    -------
    dict of str to float
        Å, by names such as "H-O" of the pairs that are within the cutoff of each other
        somewhere, rounded down to 0.001 Å.

    Raises
    ------
    ValueError
        If ``part`` is not above 0.1 and at most 1, or as ``make_samples``.
    """
    if not 0.1 < part <= 1.0:
        raise ValueError(
            f"expected inner cutoffs above 0.1 and at most 1 of the closest distances, "
            f"found {part}"
        )
    samples = make_samples(structures, model.config)
    return closest_pairs(samples, model.config, part, digits=3)


def add_inner_cutoffs(
    model: Model, structures: Sequence[Structure], part: float = PART
) -> Model:
    """Make a model that sees no pair closer than the structures have them.

    Energies and forces of the structures stay what they are.

    Parameters
    ----------
    model : Model
        With ``zbl`` or ``core_rates``; left as it is.
    structures, part
        As ``inner_cutoffs``; so are the errors.

    Raises
    ------
    ValueError
        If the model has neither ``zbl`` nor ``core_rates``, or has inner cutoffs.
    """
    if model.config.inner_cutoffs:
        raise ValueError(
            "expected a model without inner cutoffs, found "
            f"{model.config.inner_cutoffs}"
        )
    if not (model.config.zbl or model.config.core_rates):
        raise ValueError(
            "expected a model with zbl or core_rates for inner cutoffs (--inner), "
            "below which nothing else repels, found one without"
        )
    found = inner_cutoffs(model, structures, part)
    log.info("inner cutoffs (Å): %s", ", ".join(f"{k} {v}" for k, v in found.items()))
    config = dataclasses.replace(model.config, inner_cutoffs=found)
    return Model(
        config=config,
        statistics=model.statistics,
        kind=model.kind,
        dtype=model.dtype,
        provenance=model.provenance | {"inner_cutoffs_part": part},
        stored=Stored(weights(model)),
    )
