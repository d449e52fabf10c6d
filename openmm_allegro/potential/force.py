# SPDX-License-Identifier: MIT
"""The OpenMM force of one model or of a committee, by any backend."""

from collections.abc import Sequence

import openmm
import torch

from ..forces import FORCE_NAME, make_force
from ..kernels.inference.fold import fold
from ..kernels.inference.table import fold_with_table
from ..mixing.link_atoms import Cap
from ..model.elements import element_types
from ..model.model import Model
from ..plugin.force import FoldedModel, native_force
from .committee import committee_module, member_name
from .description import describe
from .module import PRECISIONS, default_skin
from .options import ForceOptions


def model_force(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    atoms: Sequence[int] | None = None,
    caps: Sequence[Cap] = (),
    periodic: bool,
    device: str | torch.device | None = None,
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
    if options.backend == "native":
        if device is not None:
            raise ValueError(
                "backend='native': expected no device, because it runs on the CPU, "
                f"found device={str(device)!r}"
            )
        return _native(models, symbols, options, atoms, caps, periodic)
    module = committee_module(
        models, symbols, options, atoms=atoms, caps=caps, periodic=periodic
    )
    return make_force(module, backend=options.backend, periodic=periodic, device=device)


def _native(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions,
    atoms: Sequence[int] | None,
    caps: Sequence[Cap],
    periodic: bool,
) -> openmm.Force:
    if not symbols:
        raise ValueError("expected at least one atom, found none")
    particles = list(range(len(symbols)) if atoms is None else atoms)
    particles = particles[: len(particles) - len(caps)]
    cutoff = max(model.config.cutoff for model in models)
    reach = max(m.config.cutoff + default_skin(m, options) for m in models)
    return native_force(
        [
            _folded(model, symbols, options, member_name(number, len(models)))
            for number, model in enumerate(models)
        ],
        particles,
        periodic=periodic,
        cutoff=cutoff,
        skin=0.0 if options.skin == 0.0 else reach - cutoff,
        caps=caps,
        about=describe(
            models,
            options,
            region=None if atoms is None else particles,
            caps=caps,
            periodic=periodic,
        ),
        name=FORCE_NAME,
    )


def _folded(
    model: Model, symbols: Sequence[str], options: ForceOptions, where: str
) -> FoldedModel:
    types = element_types(symbols, model.config.elements, where)
    dtype = PRECISIONS[options.precision]
    program = (
        fold_with_table(model.energy, dtype, model.config.elements)
        if options.two_body == "table"
        else fold(model.energy, dtype)
    )
    return FoldedModel(*[array.numpy() for array in program], types)
