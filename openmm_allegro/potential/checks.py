# SPDX-License-Identifier: MIT
"""Checks of models and topologies before a System is made of them."""

import logging
from collections.abc import Sequence

import numpy as np
from openmm import app, unit

from ..model.model import Model
from ..structure import check_cell, check_lengths, has_volume, is_placeholder

log = logging.getLogger(__name__)

WITHOUT_BOX = (
    "set one (topology.setPeriodicBoxVectors, a CRYST1 record, --box), or leave it out "
    "with periodic=False (--no-periodic, no_periodic = true)"
)


def check_total(model: Model, where: str) -> None:
    """Refuse a model that is a correction to a force field.

    Parameters
    ----------
    model : Model
    where : str
        Beginning of the error message: the caller's name.

    Raises
    ------
    ValueError
    """
    if model.kind != "total":
        raise ValueError(
            f"{where}: expected a model of kind total, found kind {model.kind}: it "
            "corrects a force field, it is none by itself"
        )


def check_charges(
    models: Sequence[Model],
    total_charge: float,
    periodic: bool | Sequence[bool] = False,
) -> None:
    """Refuse what models with or without charges cannot be asked for.

    Parameters
    ----------
    models : sequence of Model
    total_charge : float, e
        Of the option.
    periodic : bool or sequence of 3 bool
        Whether the box repeats, in all directions or along each of its vectors.

    Raises
    ------
    ValueError
        If a total charge is asked of models without charges, some members of a
        committee alone have charges, or the box of a model with charges repeats along
        some of its vectors alone.
    """
    charged = [model.config.is_charged for model in models]
    if not any(charged):
        if total_charge != 0.0:
            raise ValueError(
                "total_charge: expected a model with charges for one other than 0, "
                f"found {total_charge:g} e with a model of charges = 'none'"
            )
        return
    if not all(charged):
        number = charged.index(not charged[0])
        raise ValueError(
            "committee: expected models with charges or models without, found charges "
            f"= {models[0].config.charges!r} (member 0) and "
            f"{models[number].config.charges!r} (member {number})"
        )
    directions = np.broadcast_to(periodic, 3)
    if directions.any() and not directions.all():
        raise ValueError(
            "periodic: expected a box that repeats along all of its vectors or none "
            "for a model with charges, whose sum at long range is of three dimensions, "
            f"found {directions.tolist()}; a slab has vacuum in a periodic box"
        )


def member_name(number: int, count: int) -> str:
    """Name of a member in errors about its elements."""
    return "topology" + (f", member {number} of the committee" if count > 1 else "")


def is_periodic(
    models: Sequence[Model], topology: app.Topology, periodic: bool | None
) -> bool:
    """Decide whether a System without a force field is periodic.

    Parameters
    ----------
    models : sequence of Model
    topology : openmm.app.Topology
    periodic : bool, optional
        The user's choice; by default, whether the topology has a box.

    Raises
    ------
    ValueError
        If a box is needed and there is none, or if it is degenerate or a placeholder.
    """
    box = topology.getPeriodicBoxVectors()
    trained = any(m.provenance.get("periodic") == "all" for m in models)
    if box is None and (periodic or (periodic is None and trained)):
        reason = (
            "periodic=True was asked for"
            if periodic
            else "the model was trained on periodic structures alone "
            "(periodic=False or --no-periodic overrides this)"
        )
        raise ValueError(
            f"topology: expected a box because {reason}, found none; set it with "
            "topology.setPeriodicBoxVectors, a CRYST1 record, or box_nm (--box)"
        )
    if periodic is not False:
        check_topology_box(topology)
    if periodic is None:
        periodic = box is not None
        warn_of_vacuum(models, periodic)
    return periodic


def warn_of_vacuum(models: Sequence[Model], periodic: bool) -> None:
    """Log that models which know molecules in vacuum alone are used in a box."""
    if periodic and all(m.provenance.get("periodic") == "none" for m in models):
        log.warning(
            "the model was trained on structures without periodic images, and is used "
            "in a periodic box: whether it describes matter in bulk, its training does "
            "not show (periodic=False, --no-periodic leaves out images)"
        )


def topology_box(topology: app.Topology) -> np.ndarray | None:
    """Box vectors [3, 3] (Å) of a topology; None also for those that are no box."""
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        return None
    box = np.array(vectors.value_in_unit(unit.angstrom))
    return None if is_placeholder(box) or not has_volume(box) else box


def check_topology_box(topology: app.Topology) -> None:
    """Refuse a degenerate box and a placeholder; a topology without one passes.

    Raises
    ------
    ValueError
    """
    box = topology.getPeriodicBoxVectors()
    if box is not None:
        vectors = np.array(box.value_in_unit(unit.angstrom))
        if not is_placeholder(vectors):
            check_cell(vectors, "topology")
        check_lengths(vectors, "topology", WITHOUT_BOX)
