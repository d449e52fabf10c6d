# SPDX-License-Identifier: MIT
"""Compute what the Allegro forces of a System do, whatever their backend.

A computation has the interface of ``plugin.engine.Engine``: arrays of numpy, positions
and box in nm, results in eV and Å.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import openmm

from ..forces import (
    NAMES,
    allegro_module,
    own_copy,
    register_operators,
    with_variables,
)
from ..model.model import Model
from ..plugin.engine import Engine, is_native
from .force import model_force, resolve
from .options import ForceOptions

if TYPE_CHECKING:
    import torch


class Computation(Protocol):
    """A force's models at work: an ``Engine``, or a ``TorchComputation``.

    Attributes and methods are described there.
    """

    particles: np.ndarray
    number_of_caps: int
    number_of_models: int
    is_charged: bool

    def run(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute energies, forces and strain derivative, as ``Engine.run``."""

    def deviation(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the deviation of the force on each atom, as ``Engine.deviation``."""

    def virials(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the virial of each atom, as ``Engine.virials``."""

    def charges(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the charge of each atom, as ``Engine.charges``."""


def computation(
    force: openmm.Force, context: openmm.Context | None = None
) -> Computation | None:
    """Make a computation of a force, or None of a force that is not Allegro's.

    Parameters
    ----------
    force : openmm.Force
    context : openmm.Context, optional
        Compute where it does, with a copy of the module; otherwise only the attributes
        may be used.
    """
    if is_native(force):
        return Engine(force)
    module = allegro_module(force)
    if module is None:
        return None
    from .torch_computation import TorchComputation

    return TorchComputation(module if context is None else own_copy(module, context))


def computations(
    system: openmm.System, context: openmm.Context | None = None
) -> list[Computation]:
    """Make computations of all Allegro forces of a System.

    Forces inside a CustomCVForce count, as those of an interpolation are.
    """
    made = [computation(force, context) for force in with_variables(system)]
    return [one for one in made if one is not None]


def model_computation(
    model: Model,
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    periodic: bool | Sequence[bool],
    device: "str | torch.device | None" = None,
) -> Computation:
    """Make a computation of a model, without a System.

    Parameters
    ----------
    model : Model
    symbols : sequence of str
        Chemical symbols of the atoms.
    options : ForceOptions
        Both backends over a module of torch mean the same here.
    periodic : bool or sequence of 3 bool
        Whether the box repeats; along each of its vectors only with torch.
    device : str or torch.device, optional
        Where torch computes, by default on the CPU.

    Raises
    ------
    ImportError, ValueError
        As ``force.model_force``.
    """
    options, _ = resolve([model], options, device)
    if options.backend == "native":
        return Engine(model_force([model], symbols, options, periodic=bool(periodic)))
    register_operators(f"backend={options.backend!r}")
    from .committee_module import committee_module
    from .torch_computation import TorchComputation

    module = committee_module([model], symbols, options, periodic=periodic)
    return TorchComputation(module.to(device or "cpu"))


def model_particles(system: openmm.System) -> set[int]:
    """Collect the particles of a System's Allegro forces, without caps."""
    particles: set[int] = set()
    for model in computations(system):
        particles.update(model.particles.tolist())
    return {i for i in particles if i < system.getNumParticles()}


def may_have_model(system: openmm.System) -> bool:
    """Tell by names, at once, if a System can have an Allegro force."""
    return any(
        is_native(force) or force.getName() in NAMES for force in with_variables(system)
    )
