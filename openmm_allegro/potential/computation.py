# SPDX-License-Identifier: MIT
"""Compute what the Allegro forces of a System do, whatever their backend.

A computation has the interface of ``plugin.engine.Engine``: arrays of numpy, positions
and box in nm, results in eV and Å.
"""

import numpy as np
import openmm
import torch

from ..forces import NAMES, allegro_module, own_copy, with_variables
from ..plugin.engine import Engine, is_native


class TorchComputation:
    """A TorchForce's or a PythonForce's module, as ``Engine``.

    Parameters
    ----------
    module : ScriptModule
        Of ``potential.module``, ``potential.committee`` or ``mixing.link_atoms``.

    Attributes
    ----------
    particles, number_of_caps, number_of_models
        As of ``Engine``.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self._module = module
        members = [module]
        if hasattr(module, "members"):  # of a committee
            members = list(module.members.children())
        self.number_of_models = len(members)
        self.number_of_caps = len(getattr(members[0], "ratio", ()))
        if hasattr(module, "atoms"):
            self.particles = module.atoms.cpu().numpy()
        else:  # a capped module wraps the one that has the atoms, caps being last
            atoms = module.module.atoms.cpu().numpy()
            self.particles = atoms[: len(atoms) - self.number_of_caps]

    def run(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute energies, forces and strain derivative, as ``Engine.run``."""
        with torch.enable_grad():
            results = self._module.evaluate(*self._arguments(positions, box))
        energies, forces, strain = (x.cpu().numpy() for x in results)
        return energies, forces, strain

    def deviation(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the deviation of the force on each atom, as ``Engine.deviation``."""
        with torch.enable_grad():
            deviation = self._module.deviation(*self._arguments(positions, box))
        return deviation.cpu().numpy()

    def _arguments(
        self, positions: np.ndarray, box: np.ndarray | None
    ) -> list[torch.Tensor]:
        device = next(self._module.buffers()).device
        given = [positions] if box is None else [positions, box]
        return [torch.tensor(array, device=device) for array in given]


def computation(
    force: openmm.Force, context: openmm.Context | None = None
) -> Engine | TorchComputation | None:
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
    return TorchComputation(module if context is None else own_copy(module, context))


def computations(
    system: openmm.System, context: openmm.Context | None = None
) -> list[Engine | TorchComputation]:
    """Make computations of all Allegro forces of a System.

    Forces inside a CustomCVForce count, as those of an interpolation are.
    """
    made = [computation(force, context) for force in with_variables(system)]
    return [one for one in made if one is not None]


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
