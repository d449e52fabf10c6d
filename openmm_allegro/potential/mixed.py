# SPDX-License-Identifier: MIT
"""Mixed Systems: a region of the model in a force field's System."""

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
    Surroundings,
    find_surroundings,
    region_charge,
)
from ..model.long_range import charge_labels
from ..model.model import Model
from .force import region_force
from .options import ForceOptions


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
    surroundings = None
    if embedding == "electrostatic":
        if caps:
            raise ValueError(
                f"{WHERE}: expected a region of whole molecules, found {len(caps)} "
                "link atoms, which embedding='mechanical' has"
            )
        surroundings = _surroundings(models, mm_system, atoms, screened_charges)
    if total_charge is None:
        total_charge = _total_charge(models, mm_system, atoms, embedding)
    bonds = bond_markers(topology, mm_system.usesPeriodicBoundaryConditions())
    force = region_force(
        models,
        topology,
        atoms,
        ForceOptions(**options, total_charge=total_charge),
        caps,
        bonds,
        surroundings,
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


def _surroundings(
    models: Sequence[Model],
    mm_system: openmm.System,
    atoms: Sequence[int],
    screened_charges: bool,
) -> Surroundings:
    """Charges around a region, for models whose charges can be among them."""
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
    alpha = min(model.config.alpha for model in models)
    return find_surroundings(mm_system, atoms, alpha)


def _total_charge(
    models: Sequence[Model],
    mm_system: openmm.System,
    atoms: Sequence[int],
    embedding: str,
) -> float:
    """Charge of a region by the force field, rounded; 0 without charges."""
    if not models[0].config.is_charged:
        return 0.0
    total = region_charge(mm_system, atoms)
    if embedding == "electrostatic" and abs(total - round(total)) > 0.01:
        raise ValueError(
            f"{WHERE}: expected total_charge, the charge of the ML region in e, since "
            f"the force field's charges there add up to {total:+.3f} e, which is no "
            "integer; found none"
        )
    return float(round(total))
