# SPDX-License-Identifier: MIT
"""Several models as one: the mean of energies and forces, and their deviation.

Models trained with several seeds agree where they had data, and differ where they had
none: C. Schran, K. Brezina and O. Marsalek, doi:10.1063/5.0016004. Of M members,

    F_i = 1/M Σ_m F_i^m,    s_i = sqrt(1/(M − 1) Σ_m |F_i^m − F_i|²),

where s_i, the deviation of the force on atom i, is the square root of the sum of the
variances of its three components.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from openmm import app

from ..classical.fingerprint import check_baseline
from ..model.model import Model
from ..utils.reasons import reason_of
from .charges import evaluation_inputs
from .checks import check_charges
from .computation import model_computation
from .options import ForceOptions


class Uncertainty(NamedTuple):
    """Mean and standard deviation (M − 1) over the members of a committee, N atoms.

    Each member shares its energy among the atoms in its own way, so the energies of
    single atoms may deviate more than the total energy suggests.
    """

    energy: float  # total, eV
    energy_std: float  # eV
    energies: np.ndarray  # [N] per atom, eV
    energies_std: np.ndarray  # [N] eV
    forces: np.ndarray  # [N, 3] eV/Å
    forces_std: np.ndarray  # [N] of the force vector, s_i above, eV/Å


def check_members(models: Sequence[Model]) -> None:
    """Refuse models that do not predict the same energy.

    Raises
    ------
    ValueError
        If there are none, they are of different kinds or have different baselines, or
        some alone have charges.
    """
    if not models:
        raise ValueError("expected one model or more, found none")
    check_charges(models, 0.0)
    first = models[0]
    for number, model in enumerate(models[1:], 1):
        if model.kind != first.kind:
            raise ValueError(
                f"committee: expected models of one kind, found {first.kind} (member "
                f"0) and {model.kind} (member {number})"
            )
        if model.kind == "delta":
            mine, others = (m.provenance.get("baseline") for m in (model, first))
            for a, b in ((mine, others), (others, mine)):
                check_baseline(a, b or {}, f"committee, member {number}")


def uncertainty(
    models: Sequence[Model],
    topology: app.Topology,
    positions: Any,
    options: ForceOptions,
    *,
    periodic: bool | None = None,
) -> Uncertainty:
    """Evaluate the members one by one; see ``AllegroPotential.uncertainty``."""
    if len(models) < 2:
        raise ValueError(
            "uncertainty: expected a committee, AllegroPotential([a, b, ...]), found "
            "a single model"
        )
    symbols, positions, box = evaluation_inputs(
        models, topology, positions, periodic, "uncertainty"
    )
    results = []
    for model in models:
        computation = model_computation(
            model, symbols, options, periodic=box is not None
        )
        try:
            results.append(computation.run(positions, box)[:2])
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"uncertainty: {reason_of(error)}") from error
    energies, forces = (np.stack(values) for values in zip(*results, strict=True))
    totals = energies.sum(axis=1)
    return Uncertainty(
        float(totals.mean()),
        float(totals.std(ddof=1)),
        energies.mean(axis=0),
        energies.std(axis=0, ddof=1),
        forces.mean(axis=0),
        np.sqrt(forces.var(axis=0, ddof=1).sum(axis=-1)),
    )
