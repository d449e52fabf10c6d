# SPDX-License-Identifier: MIT
"""Checks of models and topologies before a System is made of them."""

from collections.abc import Sequence

import numpy as np
from openmm import app, unit

from ..model.file import Model
from ..structure import check_cell


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
        If a box is needed and there is none, or if it is degenerate.
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
            "topology.setPeriodicBoxVectors or a CRYST1 record"
        )
    check_topology_box(topology)
    return box is not None if periodic is None else periodic


def check_topology_box(topology: app.Topology) -> None:
    """Refuse a degenerate box; a topology without one passes.

    Raises
    ------
    ValueError
    """
    box = topology.getPeriodicBoxVectors()
    if box is not None:
        check_cell(np.array(box.value_in_unit(unit.angstrom)), "topology")
