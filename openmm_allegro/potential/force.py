# SPDX-License-Identifier: MIT
"""The OpenMM force of one model or of a committee, by any backend."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import openmm

from ..forces import (
    FORCE_NAME,
    choose_backend,
    make_force,
    register_operators,
    register_torch_force,
)
from ..kernels.inference.folded import folded, is_foldable
from ..kernels.inference.table import choose_table
from ..mixing.link_atoms import Cap
from ..model.elements import element_types
from ..model.model import Model
from ..plugin.force import FoldedModel, native_force
from .checks import member_name
from .description import describe
from .options import ForceOptions, common_skin

if TYPE_CHECKING:
    import torch


def model_force(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    atoms: Sequence[int] | None = None,
    caps: Sequence[Cap] = (),
    periodic: bool,
    device: "str | torch.device | None" = None,
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
    device : str or torch.device, optional
        As ``forces.make_force``.

    Raises
    ------
    ImportError
        If the backend's package or the compiled kernel is missing.
    ValueError
        If there are no atoms, an element is unknown, or an option does not fit.
    """
    options, reason = resolve(models, options, device)
    particles = list(range(len(symbols)) if atoms is None else atoms)
    particles = particles[: len(particles) - len(caps)]
    about = describe(
        models,
        options,
        region=None if atoms is None else particles,
        caps=caps,
        periodic=periodic,
        reason=reason,
    )
    if options.backend == "native":
        return _native(models, symbols, options, particles, caps, periodic, about)
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
        description=about,
    )
    return make_force(module, backend=options.backend, periodic=periodic, device=device)


def resolve(
    models: Sequence[Model],
    options: ForceOptions,
    device: "str | torch.device | None" = None,
) -> tuple[ForceOptions, str]:
    """Choose the backend that options leave open, and say why.

    Parameters as of ``model_force``.

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
        If the native backend is asked for and a device, too.
    """
    if options.backend == "native" and device is not None:
        raise ValueError(
            "backend='native': expected no device, because it computes where the "
            f"OpenMM Platform does, found device={str(device)!r}"
        )
    choice = choose_backend(
        options.backend, device=device, not_native=_obstacle(models, options)
    )
    return dataclasses.replace(options, backend=choice.backend), choice.reason


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
        intervals, _ = choose_table(program, exact, model.config.elements)
    return FoldedModel(*program, types, intervals)
