# SPDX-License-Identifier: MIT
"""Module that an OpenMM force calls, made of a trained model and scripted."""

import copy
import logging
from collections.abc import Sequence

import torch

from ..kernels.inference.folded import folded, is_foldable
from ..kernels.inference.operator import register
from ..kernels.inference.pending import with_pending_table
from ..kernels.inference.program import Program
from ..kernels.inference.table import choose_intervals
from ..kernels.library import library
from ..mixing.surroundings import Surroundings
from ..model.elements import element_types
from ..model.long_range import long_range_settings
from ..model.model import Model
from .charged_module import ChargedModule
from .checks import check_charges
from .embedded_module import EmbeddedModule
from .local_module import ForceModule
from .options import ForceOptions, default_skin

# Of the network, by ForceOptions.precision; "mixed" differs from "single" in what it
# keeps in double.
PRECISIONS = {
    "single": torch.float32,
    "mixed": torch.float32,
    "double": torch.float64,
}

_log = logging.getLogger(__name__)


def force_module(
    model: Model,
    symbols: Sequence[str],
    *,
    atoms: Sequence[int] | None = None,
    periodic: bool | Sequence[bool],
    precision: str = "mixed",
    kernel: str = "auto",
    skin: float | None = None,
    two_body: str = "exact",
    total_charge: float = 0.0,
) -> torch.jit.ScriptModule:
    """Script a model for given atoms.

    Parameters
    ----------
    model : Model
    symbols : sequence of str
        Chemical symbols of the atoms of the model, n.
    atoms : sequence of int, optional
        Their particle indices; the first n particles if not given.
    periodic : bool or sequence of 3 bool
        Whether the box repeats, in all directions or along each of its vectors.
    precision, kernel, skin, two_body, total_charge
        As in ``ForceOptions``.

    Raises
    ------
    ImportError
        If the fused kernel was asked for and was not built.
    ValueError
        If there are no atoms, an element is unknown, or as ``ForceOptions`` and
        ``checks.check_charges``.
    """
    options = ForceOptions(
        precision=precision,
        kernel=kernel,
        skin=skin,
        two_body=two_body,
        total_charge=total_charge,
    )
    return script_model(model, symbols, options, atoms=atoms, periodic=periodic)


def script_model(
    model: Model,
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    atoms: Sequence[int] | None = None,
    periodic: bool | Sequence[bool],
    images: str = "all",
    surroundings: Surroundings | None = None,
    description: str = "",
) -> torch.jit.ScriptModule:
    """Script a model as ``force_module`` does, from options that were checked.

    Images are those that charges interact with, see ``model.long_range.IMAGES``, and
    surroundings are charges around those of the model.
    """
    check_charges([model], options.total_charge, periodic)
    wants_kernel = options.kernel == "fused" or options.two_body == "table"
    if wants_kernel and library() is None:
        raise ImportError(
            "expected the compiled kernel, which kernel='fused' and two_body='table' "
            "need, found none; install the package again where there is a C++ compiler"
        )
    types = torch.from_numpy(element_types(symbols, model.config.elements, "topology"))
    if len(types) == 0:
        raise ValueError("expected at least one atom, found none")
    if atoms is None:
        atoms = range(len(types))
    dtype = PRECISIONS[options.precision]
    energy = copy.deepcopy(model.energy).set_dtype(dtype)
    energy.requires_grad_(False)
    is_fused = wants_kernel
    if options.kernel == "auto" and not is_fused:
        if is_foldable(model):
            is_fused = library() is not None
        else:
            _log.info("plain torch computes the model: its energy has further terms")
    register()  # the operator, which every module names
    program = _program(model, options) if is_fused else None
    parts = (
        energy,
        torch.from_numpy(model.config.cutoff_table()),
        types,
        torch.tensor(list(atoms), dtype=torch.int64),
        periodic,
        torch.float32 if options.precision == "single" else torch.float64,
        default_skin(options, model.config.cutoff),
        program,
        description,
    )
    settings = long_range_settings(model, options.total_charge)
    if settings is None:
        return torch.jit.script(ForceModule(*parts).eval())
    parts = (*parts, settings, images, options.kernel == "fused")
    if surroundings is None:
        return torch.jit.script(ChargedModule(*parts).eval())
    module = EmbeddedModule(*parts, surroundings=surroundings)
    return torch.jit.script(module.eval())


def _program(model: Model, options: ForceOptions) -> Program:
    program = folded(model, options.precision)
    if options.two_body == "table":
        in_double = folded(model, "double")
        intervals = choose_intervals(program, in_double, model.config.elements)
        program = with_pending_table(program, intervals)
    return Program(*map(torch.tensor, program))  # copies, for the module to own
