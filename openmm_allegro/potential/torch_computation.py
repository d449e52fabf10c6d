# SPDX-License-Identifier: MIT
"""Compute what the module of a TorchForce or PythonForce does."""

import numpy as np
import torch


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
        if hasattr(module, "needs_card"):  # a CardModule, around those below
            module = module.module
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
        # On CUDA results may carry a graph although the module detaches them.
        energies, forces, strain = (x.detach().cpu().numpy() for x in results)
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
