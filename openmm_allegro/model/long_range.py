# SPDX-License-Identifier: MIT
"""Describe what stands beside the network of a model with charges, without torch."""

from typing import NamedTuple

from .model import CHARGES, Model, weights

# Settings of a training whose labels are charges, and what the labels are.
_WEIGHTS = {"charge_weight": "charges", "dipole_weight": "dipole"}

# Which images of the atoms charges interact with: all that the box has; or, in vacuum,
# as those of a region of a mixed System are, the nearest ones or those given.
IMAGES = ("all", "nearest", "none")


class LongRangeSettings(NamedTuple):
    """Numbers that turn raw charges into the energy of their field."""

    start: tuple[float, ...]  # of each element, e
    alpha: float  # of the Gaussian charges, 1/Å
    total: float  # charge of the atoms that the model computes, e
    learned: bool  # False: raw charges are zeros, and need no pass of the network


def long_range_settings(model: Model, total: float = 0.0) -> LongRangeSettings | None:
    """Settings of a model; None of one without charges.

    Parameters
    ----------
    model : Model
    total : float, e
        Charge of the atoms that it computes.
    """
    config = model.config
    if not config.is_charged:
        return None
    if model.is_built:
        start = model.energy.charges.start.detach().cpu().numpy()
    else:
        start = weights(model)[f"{CHARGES}start"]
    learned = config.charges == "learned"
    return LongRangeSettings(
        tuple(map(float, start)), config.alpha, float(total), learned
    )


def charge_labels(model: Model) -> tuple[str, ...]:
    """Kinds of labels that a model's charges were trained on: "charges", "dipole".

    Without any they come from energies and forces alone: of condensed matter they are
    screened by its electrons, which do not move with the atoms.
    """
    settings = model.provenance.get("train", {})
    return tuple(label for key, label in _WEIGHTS.items() if settings.get(key))
