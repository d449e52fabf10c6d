# SPDX-License-Identifier: MIT
"""From a trained model to the module that an OpenMM force calls, in nm and kJ/mol."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from .dataset import LARGEST_BLOCK, PADDING, element_types
from .model import forces_from_pairs, virial_from_pairs
from .modelfile import Model
from .neighbors import PairList, center_blocks
from .units import (
    EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM,
    EV_TO_KJ_PER_MOL,
    NM_TO_ANGSTROM,
)

# Of the network; "mixed" differs from "single" in distances, radial functions and
# spherical harmonics, which it keeps in double.
PRECISIONS = {
    "single": torch.float32,
    "mixed": torch.float32,
    "double": torch.float64,
}


class ForceModule(torch.nn.Module):
    """Energy and forces of a set of atoms; scriptable.

    Sums over pairs are in double precision, the network in that of its weights.
    Centres are processed in blocks with a backward pass each, so that memory beyond the
    pair list does not grow with the system.

    Parameters
    ----------
    energy : AllegroEnergy
    types : Tensor [n], int64
        Index into the model's elements.
    atoms : Tensor [n], int64
        Which of the particles they are.
    periodic : bool or sequence of 3 bool
        Whether the box repeats, in all directions or along each of its vectors.
    dtype : torch.dtype
        Of the vectors that the network is given, and of what it makes of them alone.
    """

    def __init__(
        self,
        energy: torch.nn.Module,
        cutoff_table: Tensor,
        types: Tensor,
        atoms: Tensor,
        periodic: bool | Sequence[bool],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.energy = energy
        self.cutoff: float = float(cutoff_table.max())
        self.uniform: bool = bool((cutoff_table == self.cutoff).all())
        self.pairs = PairList(self.cutoff)
        self.register_buffer("cutoffs", cutoff_table.to(torch.float64))
        self.register_buffer("types", types)
        self.register_buffer("atoms", atoms)
        self.register_buffer("periodic", torch.tensor(periodic).expand(3).clone())
        self.all_atoms: bool = bool((atoms == torch.arange(len(atoms))).all())
        self.padding: float = PADDING * self.cutoff
        self.largest_block: int = LARGEST_BLOCK
        self.dtype: torch.dtype = dtype
        self.to_angstrom: float = NM_TO_ANGSTROM
        self.energy_unit: float = EV_TO_KJ_PER_MOL
        self.force_unit: float = EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Potential energy and forces.

        Parameters
        ----------
        positions : Tensor [N, 3]
            Of all particles, nm; may lie outside the box.
        boxvectors : Tensor [3, 3]
            Rows are box vectors, nm; needed where periodic.

        Returns
        -------
        energy : Tensor [], float64, kJ/mol
        forces : Tensor [N, 3], float64, kJ/(mol nm)

        Raises
        ------
        RuntimeError
            If a position is not finite.
        """
        energies, forces, _ = self.evaluate(positions, boxvectors)
        energy = energies.sum() * self.energy_unit
        forces = forces * self.force_unit
        if self.all_atoms and forces.shape[0] == positions.shape[0]:
            return energy, forces
        everywhere = torch.zeros(
            positions.shape, dtype=forces.dtype, device=forces.device
        )
        return energy, everywhere.index_copy(0, self.atoms, forces)

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of atoms [n] (eV), forces [n, 3] (eV/Å), dE/d(strain) [3, 3] (eV).

        Parameters as ``forward``.
        """
        positions = positions[self.atoms].detach().to(torch.float64) * self.to_angstrom
        if not bool(torch.isfinite(positions).all()):
            raise RuntimeError(
                "Allegro: expected finite positions, found NaN or infinity; the "
                "simulation has become unstable or was started from bad coordinates"
            )
        cell = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        if boxvectors is not None:
            cell = boxvectors.detach().to(torch.float64) * self.to_angstrom
        centers, neighbors, vectors = self.pairs(positions, cell, self.periodic)
        if not self.uniform:
            limits = self.cutoffs[self.types[centers], self.types[neighbors]]
            near = (vectors * vectors).sum(-1) < limits * limits
            centers, neighbors, vectors = centers[near], neighbors[near], vectors[near]

        count = positions.shape[0]
        energies = torch.zeros(count, dtype=torch.float64, device=positions.device)
        forces = torch.zeros((count, 3), dtype=torch.float64, device=positions.device)
        strain = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        for block_centers, block_neighbors, block_vectors in center_blocks(
            centers, neighbors, vectors, count, self.padding, self.largest_block
        ):
            # Detached: to() may be no copy, and strain would then come with a graph.
            v = block_vectors.to(self.dtype).detach().requires_grad_(True)
            of_centers = self.energy(
                v, self.types[block_centers], self.types[block_neighbors]
            )
            gradient = torch.autograd.grad([of_centers.sum()], [v])[0]
            assert gradient is not None  # for TorchScript
            gradient = gradient.to(torch.float64)
            energies[block_centers] = of_centers.detach()
            forces += forces_from_pairs(gradient, block_centers, block_neighbors, count)
            strain += virial_from_pairs(gradient, block_vectors)
        return energies, forces, strain


def force_module(
    model: Model,
    symbols: Sequence[str],
    *,
    atoms: Sequence[int] | None = None,
    periodic: bool | Sequence[bool],
    precision: str = "mixed",
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
    precision : str
        "single", "double", or "mixed": distances, radial functions and spherical
        harmonics in double, the network in single. Sums are always in double.

    Raises
    ------
    ValueError
        If an element or the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"expected precision of {tuple(PRECISIONS)}, found {precision!r}"
        )
    types = element_types(symbols, model.config.elements, "topology")
    if atoms is None:
        atoms = range(len(types))
    energy = copy.deepcopy(model.energy).set_dtype(PRECISIONS[precision])
    energy.requires_grad_(False)
    module = ForceModule(
        energy,
        model.config.cutoff_table(),
        types,
        torch.tensor(list(atoms), dtype=torch.int64),
        periodic,
        torch.float32 if precision == "single" else torch.float64,
    )
    return torch.jit.script(module.eval())
