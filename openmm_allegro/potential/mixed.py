# SPDX-License-Identifier: MIT
"""Mixed Systems: a region of the model in a force field's System."""

import logging
from collections.abc import Iterable, Sequence

import openmm
from openmm import app

from ..classical.bonds import bond_markers
from ..mixing.checks import check_region, check_system
from ..mixing.link_atoms import find_caps
from ..mixing.region import mixed_system
from ..mixing.surroundings import (
    EMBEDDINGS,
    WHERE,
    find_surroundings,
    region_charge,
)
from ..model.long_range import charge_labels
from ..model.model import Model
from .force import region_force
from .options import ForceOptions

log = logging.getLogger(__name__)

# Largest distance of a region's charge from an integer, e: of whole molecules, and of
# those that are cut. Side chains of Amber have up to 0.15 e.
UNCUT, CUT = 0.01, 0.25


def make_mixed_system(
    models: Sequence[Model],
    topology: app.Topology,
    mm_system: openmm.System,
    atoms: Iterable[int],
    options: dict[str, object],
    *,
    embedding: str,
    total_charge: float | None,
    screened_charges: bool,
    interpolate: bool,
    remove_constraints: bool,
    link: str,
    force_group: int,
    reason: str = "",
) -> openmm.System:
    """Make a System as ``AllegroPotential.create_mixed_system`` does.

    Parameters
    ----------
    models : sequence of Model
        Of kind total.
    options : dict
        Values of ``ForceOptions``, but for the total charge.
    topology, mm_system, atoms, embedding, total_charge, screened_charges, interpolate
    remove_constraints, link, force_group
        As there.
    reason : str
        Its ``backend_reason``.

    Raises
    ------
    ImportError, ValueError
        As there.
    """
    ForceOptions(**options)  # an error about an option comes before all others
    if embedding not in EMBEDDINGS:
        raise ValueError(f"expected embedding of {EMBEDDINGS}, found {embedding!r}")
    atoms = check_region(topology, mm_system, atoms)
    caps = find_caps(topology, atoms, link)
    check_system(mm_system, atoms, max(m.config.cutoff for m in models))
    is_electrostatic = embedding == "electrostatic"
    if is_electrostatic:
        _check_embedded(models, screened_charges)
    if total_charge is None:
        tolerance = UNCUT if not caps else CUT
        total_charge = _total_charge(
            models, mm_system, atoms, tolerance if is_electrostatic else None
        )
    surroundings = None
    if is_electrostatic:
        _warn_of_other_charge(region_charge(mm_system, atoms), total_charge)
        alpha = min(model.config.alpha for model in models)
        surroundings = find_surroundings(
            topology, mm_system, atoms, caps, alpha, total_charge
        )
    bonds = bond_markers(topology, mm_system.usesPeriodicBoundaryConditions())
    force = region_force(
        models,
        topology,
        atoms,
        ForceOptions(**options, total_charge=total_charge),
        caps,
        bonds,
        surroundings,
        reason,
    )
    return mixed_system(
        mm_system,
        atoms,
        force,
        bonds,
        interpolate=interpolate,
        remove_constraints=remove_constraints,
        force_group=force_group,
        embedding=embedding,
    )


def _check_embedded(models: Sequence[Model], screened_charges: bool) -> None:
    """Refuse models whose charges cannot be among those of a force field."""
    for model in models:
        if not model.config.is_charged:
            raise ValueError(
                f"{WHERE}: expected a model with charges, found one of charges = "
                "'none', which embedding='mechanical' is for"
            )
        if not charge_labels(model) and not screened_charges:
            raise ValueError(
                f"{WHERE}: expected a model whose charges were trained on labels of "
                "charges or dipoles, found one without: charges from energies and "
                "forces of condensed matter are screened ones, some 0.6 of those that "
                "a force field's charges belong with; screened_charges=True takes them"
            )


def _warn_of_other_charge(by_force_field: float, total: float) -> None:
    """Log that a region has so much charge by the model that the whole System's is new.

    Parts of e that a cut leaves are put beside it.
    """
    if abs(by_force_field - total) > 0.5:
        log.warning(
            "the ML region has %+g e by the model (total_charge) and %+.3f e by the "
            "force field: the charge of the whole System is another than that of "
            "mm_system",
            total,
            by_force_field,
        )


def _total_charge(
    models: Sequence[Model],
    mm_system: openmm.System,
    atoms: Sequence[int],
    tolerance: float | None,
) -> float:
    """Charge of a region by the force field, rounded; 0 without charges.

    It may be so far from an integer, in e, as the tolerance says.
    """
    if not models[0].config.is_charged:
        return 0.0
    total = region_charge(mm_system, atoms)
    if tolerance is not None and abs(total - round(total)) > tolerance:
        raise ValueError(
            f"{WHERE}: expected total_charge, the charge of the ML region in e, since "
            f"the force field's charges there add up to {total:+.3f} e, which is no "
            "integer; found none"
        )
    return float(round(total))
