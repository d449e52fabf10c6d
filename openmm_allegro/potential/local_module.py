# SPDX-License-Identifier: MIT
"""Energy and forces of atoms from a local model, in nm and kJ/mol; scriptable."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.inference.program import Program
from ..model import forces_from_pairs, virial_from_pairs
from ..neighbors import LARGEST_BLOCK, PADDING, VerletList, center_blocks
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM


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
        Precision of the vectors between atoms, and of the radial functions and
        spherical harmonics of them.
    skin : float
        Reach of the pair list beyond the cutoff, Å.
    program : Program, optional
        Program of the fused kernel, which runs on the CPU instead of the network.
    description : str
        From ``potential.description``.
    """

    def __init__(
        self,
        energy: torch.nn.Module,
        cutoff_table: Tensor,
        types: Tensor,
        atoms: Tensor,
        periodic: bool | Sequence[bool],
        dtype: torch.dtype,
        skin: float,
        program: Program | None,
        description: str = "",
    ) -> None:
        super().__init__()
        self.energy = energy
        self.description: str = description
        self.fused: bool = program is not None
        empty = Program(*[torch.empty(0)] * 3)
        for name, values in (program or empty)._asdict().items():
            self.register_buffer(name, values)
        self.cutoff: float = float(cutoff_table.max())
        self.pairs = VerletList(self.cutoff, skin)
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
            If a position or the box is not finite.
        """
        return self._for_openmm(positions, boxvectors)

    def _for_openmm(
        self, positions: Tensor, boxvectors: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Results of ``forward``."""
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
    def parts(self) -> list[Tensor]:
        """Program and types [n], for a card; see ``evaluate_atoms``."""
        return [self.integers, self.constants, self.weights, self.types]

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of atoms [n] (eV), forces [n, 3] (eV/Å), dE/d(strain) [3, 3] (eV).

        Parameters as ``forward``.
        """
        positions, cell = self._prepared(positions, boxvectors)
        return self._sums(positions, cell, positions.new_zeros(0))

    def _sums(
        self, positions: Tensor, cell: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Results of ``evaluate`` from positions (Å) for which the list is valid.

        Seeds are for ``_outputs`` of models with charges.
        """
        if self.fused and not positions.is_cuda:
            return self._kernel(positions, cell, seeds)
        count = positions.shape[0]
        energies = torch.zeros(count, dtype=torch.float64, device=positions.device)
        forces = torch.zeros((count, 3), dtype=torch.float64, device=positions.device)
        strain = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        for block_centers, block_neighbors, block_vectors in self._blocks(
            positions, cell
        ):
            # Detached: to() may be no copy, and strain would then come with a graph.
            v = block_vectors.to(self.dtype).detach().requires_grad_(True)
            center_energies, total = self._outputs(
                v, block_centers, block_neighbors, seeds
            )
            gradient = torch.autograd.grad([total], [v])[0]
            assert gradient is not None  # for TorchScript
            gradient = gradient.to(torch.float64)
            energies[block_centers] = center_energies.detach()
            forces += forces_from_pairs(gradient, block_centers, block_neighbors, count)
            strain += virial_from_pairs(gradient, block_vectors)
        return energies, forces, strain

    def _kernel(
        self, positions: Tensor, cell: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Results of ``_sums`` by the fused kernel."""
        return self._local(positions, cell)

    def _local(self, positions: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Results of the operator ``evaluate``."""
        return torch.ops.openmm_allegro.evaluate(
            positions,
            cell,
            self.types,
            self.pairs.offsets,
            self.pairs.neighbors,
            self.pairs.shifts,
            self.integers,
            self.constants,
            self.weights,
        )

    def _outputs(
        self, vectors: Tensor, centers: Tensor, neighbors: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the centres [C] of a block, and what forces are derived from."""
        energies = self.energy(vectors, self.types[centers], self.types[neighbors])
        return energies, energies.sum()

    def _prepared(
        self, positions: Tensor, boxvectors: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Positions of the atoms and box vectors, Å, for which the list is valid."""
        positions = positions[self.atoms].detach().to(torch.float64) * self.to_angstrom
        cell = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        if boxvectors is not None:
            cell = boxvectors.detach().to(torch.float64) * self.to_angstrom
        if not self.pairs.is_valid(positions, cell):
            _check_finite(positions, cell)  # which would crash the pair search
            self.pairs(positions, cell, self.periodic)
        return positions, cell

    def _blocks(
        self, positions: Tensor, cell: Tensor
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Centres and their neighbours within the cutoffs, as ``center_blocks``."""
        centers, neighbors, vectors = self.pairs.vectors(positions, cell)
        limits = self.cutoffs[self.types[centers], self.types[neighbors]]
        near = (vectors * vectors).sum(-1) < limits * limits
        near = near.nonzero().squeeze(1)  # once: on CUDA the host waits for it
        return center_blocks(
            centers[near],
            neighbors[near],
            vectors[near],
            positions.shape[0],
            self.padding,
            self.largest_block,
        )


def _check_finite(positions: Tensor, cell: Tensor) -> None:
    """Refuse NaN and infinity; scriptable."""
    if not bool(torch.isfinite(positions).all()):
        raise RuntimeError(
            "Allegro: expected finite positions, found NaN or infinity; the "
            "simulation has become unstable or was started from bad coordinates"
        )
    if not bool(torch.isfinite(cell).all()):
        raise RuntimeError(
            "Allegro: expected finite box vectors, found NaN or infinity"
        )
