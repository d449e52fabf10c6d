# SPDX-License-Identifier: MIT
"""The OpenMM force of one model or of a committee, by any backend."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import openmm
from openmm import app

from ..forces import (
    FORCE_NAME,
    UNKNOWN,
    PlannedRun,
    choose_backend,
    make_force,
    register_operators,
    register_torch_force,
)
from ..kernels.inference.folded import folded, is_foldable
from ..kernels.inference.table import choose_intervals
from ..mixing.link_atoms import Cap
from ..mixing.region import is_connected
from ..mixing.surroundings import Surroundings
from ..model.elements import element_types
from ..model.long_range import long_range_settings
from ..model.model import Model
from ..plugin.force import FoldedModel, native_force
from ..structure import topology_symbols
from .checks import check_charges, member_name
from .description import describe
from .options import ForceOptions, common_skin

if TYPE_CHECKING:
    import torch


_OFF_CARD = "the kernels for cards lack the charges of a force field"
_log = logging.getLogger(__name__)


def model_force(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    atoms: Sequence[int] | None = None,
    caps: Sequence[Cap] = (),
    periodic: bool,
    images: str = "all",
    surroundings: Surroundings | None = None,
    device: "str | torch.device | None" = None,
    reason: str = "",
) -> openmm.Force:
    """Make the force of one model, or of the mean of several.

    Parameters
    ----------
    models : sequence of Model
    symbols : sequence of str
        Chemical symbols of the models' atoms, of which caps are the last.
    options : ForceOptions
    atoms : sequence of int, optional
        Particles that the atoms are, by default the first ones; those of caps do not
        exist and come after all that do.
    caps : sequence of Cap
    periodic : bool
        Whether the System's box repeats.
    images : str
        Images of the atoms that charges interact with, "all", "nearest" or "none", as
        ``model.long_range.IMAGES``.
    surroundings : Surroundings, optional
        Charges of a force field around those of the models, which feel each other.
    device : str or torch.device, optional
        As ``forces.make_force``.
    reason : str
        Why the backend was chosen, where the caller did so.

    Raises
    ------
    ImportError
        If the backend's package or the compiled kernel is missing.
    ValueError
        If there are no atoms, an element is unknown, or an option does not fit.
    """
    embedded = surroundings is not None
    options, chosen_for = resolve(models, options, device, embedded=embedded)
    particles = list(range(len(symbols)) if atoms is None else atoms)
    particles = particles[: len(particles) - len(caps)]
    about = describe(
        models,
        options,
        region=None if atoms is None else particles,
        caps=caps,
        periodic=periodic,
        reason=reason or chosen_for,
        embedding="mechanical" if surroundings is None else "electrostatic",
    )
    if options.backend == "native":
        return _native(
            models,
            symbols,
            options,
            particles,
            caps,
            periodic,
            images,
            surroundings,
            about,
        )
    if options.backend == "torchforce":
        register_torch_force()  # an error comes before any long work
    register_operators(f"backend={options.backend!r}")
    from .committee_module import committee_module

    module = committee_module(
        models,
        symbols,
        options,
        atoms=atoms,
        caps=caps,
        periodic=periodic,
        images=images,
        surroundings=surroundings,
        description=about,
    )
    if models[0].config.is_charged and _may_be_on_card(device):
        _log.info(
            "plain torch computes the model on a card: where it has charges, only the "
            "native force has kernels for that"
        )
    return make_force(module, backend=options.backend, periodic=periodic, device=device)


def region_force(
    models: Sequence[Model],
    topology: app.Topology,
    atoms: Sequence[int],
    options: ForceOptions,
    caps: Sequence[Cap],
    bonds: openmm.HarmonicBondForce,
    surroundings: Surroundings | None = None,
    reason: str = "",
) -> openmm.Force:
    """Make the force of a region of a mixed System, in vacuum or among charges.

    Parameters
    ----------
    models : sequence of Model
    topology : openmm.app.Topology
    atoms : sequence of int
        The region, checked.
    options : ForceOptions
    caps : sequence of Cap
    bonds : openmm.HarmonicBondForce
        The topology's, periodic if the System is.
    surroundings : Surroundings, optional
    reason : str
        As ``model_force``.

    Raises
    ------
    ImportError, ValueError
        As ``model_force``.
    """
    # caps come after all particles, as atoms of the model alone
    count = topology.getNumAtoms()
    return model_force(
        models,
        [*topology_symbols(topology, atoms), *["H"] * len(caps)],
        options,
        atoms=[*atoms, *range(count, count + len(caps))],
        caps=caps,
        periodic=bonds.usesPeriodicBoundaryConditions(),
        images="all" if surroundings else images_in_vacuum(bonds, atoms),
        surroundings=surroundings,
        reason=reason,
    )


def images_in_vacuum(bonds: openmm.HarmonicBondForce, atoms: Sequence[int]) -> str:
    """Images of a region's atoms that its charges interact with where it has no others.

    OpenMM keeps a molecule whole, so the atoms of one are where they are; several may
    lie on different sides of the box.
    """
    return "none" if is_connected(bonds, atoms) else "nearest"


def resolve(
    models: Sequence[Model],
    options: ForceOptions,
    device: "str | torch.device | None" = None,
    *,
    embedded: bool = False,
    run: PlannedRun = UNKNOWN,
) -> tuple[ForceOptions, str]:
    """Choose the backend that options leave open, and say why.

    Parameters
    ----------
    models, options, device
        As of ``model_force``.
    embedded : bool
        Whether charges are summed with those of a force field.
    run : PlannedRun
        As of ``forces.choose_backend``.

    Returns
    -------
    options : ForceOptions
        With a backend other than "auto".
    reason : str
        See ``forces.choose_backend``.

    Raises
    ------
    ImportError
        If there is no backend.
    ValueError
        If the native backend is asked for and a device, too, or as ``check_charges``.
    """
    check_charges(models, options.total_charge)
    if options.backend == "native" and device is not None:
        raise ValueError(
            "backend='native': expected no device, because it computes where the "
            f"OpenMM Platform does, found device={str(device)!r}"
        )
    choice = choose_backend(
        options.backend,
        device=device,
        not_native=_obstacle(models, options),
        not_on_card=_OFF_CARD if embedded else "",
        run=run,
    )
    return dataclasses.replace(options, backend=choice.backend), choice.reason


def _may_be_on_card(device: "str | torch.device | None") -> bool:
    """Tell if torch can use a card, and is not told to leave it."""
    import torch

    return torch.cuda.is_available() and str(device) != "cpu"


def _obstacle(models: Sequence[Model], options: ForceOptions) -> str:
    """Why the native force cannot compute models; empty if it can."""
    if options.kernel == "plain":
        return "kernel='plain' was asked for, which is torch's"
    if not all(is_foldable(model) for model in models):
        return "a model has terms of the energy that the compiled kernel lacks"
    return ""


def _native(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions,
    particles: Sequence[int],
    caps: Sequence[Cap],
    periodic: bool,
    images: str,
    surroundings: Surroundings | None,
    about: str,
) -> openmm.Force:
    if not symbols:
        raise ValueError("expected at least one atom, found none")
    cutoffs = [model.config.cutoff for model in models]
    return native_force(
        [
            _folded(model, symbols, options, member_name(number, len(models)))
            for number, model in enumerate(models)
        ],
        particles,
        periodic=periodic,
        cutoff=max(cutoffs),
        skin=common_skin(options, cutoffs),
        caps=caps,
        images=images,
        points=surroundings.points if surroundings else None,
        reach=surroundings.cutoff if surroundings else 0.0,
        about=about,
        name=FORCE_NAME,
    )


def _folded(
    model: Model, symbols: Sequence[str], options: ForceOptions, where: str
) -> FoldedModel:
    types = element_types(symbols, model.config.elements, where)
    program, intervals = folded(model, options.precision), 0
    if options.two_body == "table":
        exact = folded(model, "double")
        intervals = choose_intervals(program, exact, model.config.elements)
    settings = long_range_settings(model, options.total_charge)
    return FoldedModel(*program, types, intervals, settings)
