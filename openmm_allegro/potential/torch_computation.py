# SPDX-License-Identifier: MIT
"""Compute what the module of a TorchForce or PythonForce does."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..neighbors import center_blocks
from ..units import NM_TO_ANGSTROM
from ..utils.reasons import reason_of


class TorchComputation:
    """A TorchForce's or a PythonForce's module, as ``Engine``.

    Parameters
    ----------
    module : ScriptModule
        Of ``potential.module``, ``potential.committee`` or ``mixing.link_atoms``.

    Attributes
    ----------
    particles, number_of_caps, number_of_models, is_charged
        As of ``Engine``.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self._module = module
        if hasattr(module, "needs_card"):  # a CardModule, around those below
            module = module.module
        members = [module]
        if hasattr(module, "members"):  # of a committee
            members = list(module.members.children())
        self._members = members
        self.number_of_models = len(members)
        self.number_of_caps = len(getattr(members[0], "ratio", ()))
        inner = members[0].module if self.number_of_caps else members[0]
        self.is_charged = hasattr(inner, "charges")
        if hasattr(module, "atoms"):
            self.particles = module.atoms.cpu().numpy()
        else:  # a capped module wraps the one that has the atoms, caps being last
            atoms = module.module.atoms.cpu().numpy()
            self.particles = atoms[: len(atoms) - self.number_of_caps]

    def run(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute energies, forces and strain derivative, as ``Engine.run``."""
        with torch.enable_grad(), _plain_errors():
            results = self._module.evaluate(*self._arguments(positions, box))
        # On CUDA results may carry a graph although the module detaches them.
        energies, forces, strain = (x.detach().cpu().numpy() for x in results)
        return energies, forces, strain

    def deviation(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the deviation of the force on each atom, as ``Engine.deviation``."""
        with torch.enable_grad(), _plain_errors():
            deviation = self._module.deviation(*self._arguments(positions, box))
        return deviation.cpu().numpy()

    def virials(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the virial of each atom, as ``Engine.virials``."""
        self._refuse_caps("virials")
        if self.is_charged:
            raise ValueError(
                "expected a model without charges for virials of the atoms, found one "
                "with charges, whose energy at long range is of all atoms"
            )
        arguments = self._arguments(positions, box)
        with _plain_errors():
            virials = [_virials(member, *arguments) for member in self._members]
        return torch.stack(virials).mean(0).cpu().numpy()

    def charges(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the charge of each atom, as ``Engine.charges``."""
        self._refuse_caps("charges")
        if not self.is_charged:
            raise ValueError(
                "expected a model with charges for those of the atoms, found one of "
                "charges = 'none'"
            )
        arguments = self._arguments(positions, box)
        with _plain_errors():
            charges = [member.charges(*arguments) for member in self._members]
        return torch.stack(charges).mean(0).cpu().numpy()

    def _refuse_caps(self, wanted: str) -> None:
        if self.number_of_caps:
            raise ValueError(
                f"expected a model without link atoms for {wanted} of the atoms, found "
                f"{self.number_of_caps}"
            )

    def _arguments(
        self, positions: np.ndarray, box: np.ndarray | None
    ) -> list[torch.Tensor]:
        device = next(self._module.buffers()).device
        given = [positions] if box is None else [positions, box]
        return [torch.tensor(array, device=device) for array in given]


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise an error of TorchScript, which is no RuntimeError, as one."""
    try:
        yield
    except torch.jit.Error as error:
        raise RuntimeError(reason_of(error)) from error


def _virials(
    module: torch.jit.ScriptModule, positions: Tensor, box: Tensor | None = None
) -> Tensor:
    """Virials [n, 3, 3] (eV) of a ``ForceModule``, whose network runs in torch.

    Not in the module itself: it would become part of each System that has one.
    """
    positions = positions[module.atoms].to(torch.float64) * NM_TO_ANGSTROM
    cell = torch.zeros_like(positions[:3]) if box is None else box * NM_TO_ANGSTROM
    module.pairs(positions, cell, module.periodic)
    centers, neighbors, vectors = module.pairs.vectors(positions, cell)
    limits = module.cutoffs[module.types[centers], module.types[neighbors]]
    near = vectors.square().sum(-1) < limits.square()
    count = len(positions)
    virials = torch.zeros((count, 3, 3), dtype=torch.float64, device=positions.device)
    for block_centers, block_neighbors, block_vectors in center_blocks(
        centers[near],
        neighbors[near],
        vectors[near],
        count,
        module.padding,
        module.largest_block,
    ):
        with torch.enable_grad():
            v = block_vectors.detach().requires_grad_(True)
            kinds = module.types[block_centers], module.types[block_neighbors]
            (gradient,) = torch.autograd.grad(module.energy(v, *kinds).sum(), v)
        each = block_vectors.unsqueeze(-1) * gradient.unsqueeze(-2)
        virials.index_add_(0, block_neighbors.flatten(), each.flatten(0, 1))
    return virials
