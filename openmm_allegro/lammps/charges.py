# SPDX-License-Identifier: MIT
"""Charges of models, as the input and the data file of LAMMPS have them."""

import math

import numpy as np

from ..model.long_range import long_range_settings
from .plan import ChargePlan, Plan
from .replicas import Counts
from .source import Source

# Of the forces of the waves, over that between two charges of 1 e that are 1 Å apart.
KSPACE_ACCURACY = 1e-6


def plan_charges(source: Source, replicate: Counts) -> ChargePlan | None:
    """Plan the charges of all replicas; None where the models have none.

    Raises
    ------
    ValueError
        If the members of a committee have charges of different widths.
    """
    charges = [long_range_settings(model, source.charge) for model in source.models]
    found = {one.alpha for one in charges if one is not None}
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(
            "committee: expected models whose charges have one width for LAMMPS, which "
            f"sums all waves with it, found charge_alpha of {sorted(found)} 1/Å"
        )
    return ChargePlan(found.pop(), source.charge * math.prod(replicate))


def start_charges(source: Source) -> np.ndarray | None:
    """Charges [N] (e) of the atoms of one box before the model has computed them.

    LAMMPS chooses the resolution of its waves by them.
    """
    model = source.models[0]
    settings = long_range_settings(model, source.charge)
    if settings is None:
        return None
    start = dict(zip(model.config.elements, settings.start, strict=True))
    charges = np.array([start[symbol] for symbol in source.symbols])
    return charges + (settings.total - charges.sum()) / len(charges)


def total_charge(plan: Plan) -> str:
    """Arguments of the pair style, with a space before them where there are some."""
    if plan.charges is None or plan.charges.total == 0.0:
        return ""
    return f" total_charge {plan.charges.total:.17g}"


def charge_lines(plan: Plan) -> list[str]:
    """Commands of the waves, which LAMMPS sums for the pair style."""
    if plan.charges is None or not plan.periodic:
        return []
    return [
        "# waves of the charges, for the pair style; a smaller number is more exact",
        f"kspace_style    pppm {KSPACE_ACCURACY:g}",
        f"kspace_modify   gewald {plan.charges.alpha:.17g} compute no",
    ]
