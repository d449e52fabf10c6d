# SPDX-License-Identifier: MIT
"""Module of a model with charges: two passes of the network around a sum at long range.

The charges of atoms are sums over pairs (``model.charges``), and depend on positions.
So the first pass finds them, the sum over all charges gives the potential at each, and
the second pass adds to the energies of pairs their part of the charges, times that
potential. Its derivatives are then those of the whole energy,

    dE/dr = Σ_i de_i/dr + ∂E_lr/∂r + Σ_i (φ_i - mean(φ)) draw_i/dr,    φ = ∂E_lr/∂q,

where the mean is taken off because a common change of all raw charges is undone by the
total charge. Charges that are the same for all atoms of an element need one pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.inference.long_range import MOST_POINTS
from ..kernels.inference.long_range_twin import mesh_spacing
from ..kernels.inference.mesh import SPACING
from ..kernels.inference.program import Program
from ..model.charges import with_total
from ..model.long_range import LongRangeSettings
from .local_module import ForceModule


class ChargedModule(ForceModule):
    """Energy and forces of atoms with charges, with the contract of ``ForceModule``.

    Energies of atoms have half of the product of charge and potential at the atom, so
    that their sum is the energy.

    Parameters
    ----------
    energy, cutoff_table, types, atoms, periodic, dtype, skin, program, description
        As ``ForceModule``.
    settings : LongRangeSettings
    images : str
        Of ``model.long_range.IMAGES``; of no effect where the box does not repeat.
    needs_fused : bool
        Whether to refuse a card, for which the compiled kernel has no charges.
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
        description: str,
        settings: LongRangeSettings,
        images: str,
        needs_fused: bool,
    ) -> None:
        super().__init__(
            energy,
            cutoff_table,
            types,
            atoms,
            periodic,
            dtype,
            skin,
            program,
            description,
        )
        start = torch.tensor(settings.start, dtype=torch.float64)[types]
        self.register_buffer("start", start)
        self.alpha: float = settings.alpha
        self.spacing: float = mesh_spacing(settings.alpha, SPACING)
        self.most_points: float = float(MOST_POINTS)
        self.total: float = settings.total
        self.learned: bool = settings.learned
        repeats = bool(self.periodic.all())
        self.has_images: bool = repeats and images == "all"
        self.takes_nearest: bool = repeats and images == "nearest"
        self.needs_fused: bool = needs_fused

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Potential energy and forces, as ``ForceModule.forward``."""
        if boxvectors is not None and self.has_images:
            # Here, for an error in a method of a frozen module, as TorchForce's is,
            # ends the process.
            check_mesh(boxvectors * self.to_angstrom, self.spacing, self.most_points)
        return self._for_openmm(positions, boxvectors)

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of atoms [n] (eV), forces [n, 3] (eV/Å), dE/d(strain) [3, 3] (eV).

        Parameters as ``forward``.
        """
        self._refuse_card(positions)
        positions, cell = self._prepared(positions, boxvectors)
        charges = self._charges(positions, cell)
        _, potentials, on_charges, of_field = self._field(positions, cell, charges)
        seeds = potentials - potentials.mean()
        energies, forces, strain = self._sums(positions, cell, seeds)
        energies = energies + 0.5 * charges * potentials
        return energies, forces + on_charges, strain + of_field

    def _refuse_card(self, positions: Tensor) -> None:
        if positions.is_cuda and self.needs_fused:
            raise RuntimeError(
                "Allegro: expected kernel='auto' or 'plain' for a model with charges "
                "on a card, for which the compiled kernel has none, found 'fused'"
            )

    @torch.jit.export
    def charges(self, positions: Tensor, boxvectors: Tensor | None = None) -> Tensor:
        """Charges of atoms [n] (e); parameters as ``forward``."""
        positions, cell = self._prepared(positions, boxvectors)
        return self._charges(positions, cell)

    def _charges(self, positions: Tensor, cell: Tensor) -> Tensor:
        """Charges [n] (e) by a pass without derivatives, if they need one."""
        charges = self.start.clone()
        if self.learned and self.fused and not positions.is_cuda:
            charges += torch.ops.openmm_allegro.charges(
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
        elif self.learned:
            for centers, neighbors, vectors in self._blocks(positions, cell):
                with torch.no_grad():
                    v = vectors.to(self.dtype)
                    raw = self._energies_and_raw(v, centers, neighbors)[1]
                charges[centers] += raw
        return with_total(charges, self.total)

    def _field(
        self, positions: Tensor, cell: Tensor, charges: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Energy, potentials, forces and strain, as the operator ``long_range``."""
        box = cell
        if not self.has_images:
            box = torch.zeros_like(cell)
        if self.takes_nearest:
            positions = nearest_images(positions - positions[:1], cell)
        return torch.ops.openmm_allegro.long_range(positions, box, charges, self.alpha)

    def _kernel(
        self, positions: Tensor, cell: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Results of ``_sums`` by the fused kernel."""
        if self.learned:
            return torch.ops.openmm_allegro.evaluate_charged(
                positions,
                cell,
                self.types,
                self.pairs.offsets,
                self.pairs.neighbors,
                self.pairs.shifts,
                self.integers,
                self.constants,
                self.weights,
                seeds,
            )
        return self._local(positions, cell)

    def _outputs(
        self, vectors: Tensor, centers: Tensor, neighbors: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the centres [C] of a block, and those with seeded charges."""
        energies, raw = self._energies_and_raw(vectors, centers, neighbors)
        return energies, energies.sum() + (raw * seeds[centers]).sum()

    def _energies_and_raw(
        self, vectors: Tensor, centers: Tensor, neighbors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies (eV) and raw charges (e) of the centres [C] of a block."""
        return self.energy.block_outputs(
            vectors.flatten(0, 1),
            self.types[centers],
            self.types[neighbors].flatten(),
            [(vectors.shape[0], vectors.shape[1])],
        )


def nearest_images(vectors: Tensor, cell: Tensor) -> Tensor:
    """Subtract vectors of a box from vectors, so that they become short.

    Of a box in OpenMM's form whatever is shorter than half of its smallest diagonal
    element comes out so, however oblique the box is: the third box vector is subtracted
    first, and the second and the first by what that leaves.

    Parameters
    ----------
    vectors : Tensor [..., 3]
    cell : Tensor [3, 3]
        Box vectors as rows, of any orientation.
    """
    # inv() would look at its outcome, for which CUDA makes the host wait.
    fractions = torch.matmul(vectors, torch.linalg.inv_ex(cell)[0])
    square = cell[0].square().sum()
    second = (cell[1] * cell[0]).sum() / square
    third = (cell[2] * cell[0]).sum() / square
    across = cell[1] - second * cell[0]
    slant = (cell[2] * across).sum() / across.square().sum()
    c = fractions[..., 2].round()
    left = fractions[..., 2] - c
    b = (fractions[..., 1] + slant * left).round()
    a = (fractions[..., 0] + second * (fractions[..., 1] - b) + third * left).round()
    return vectors - torch.matmul(torch.stack((a, b, c), -1), cell)


def check_mesh(cell: Tensor, spacing: float, most_points: float) -> None:
    """Refuse a box (Å) with too large a mesh; scriptable."""
    # A mesh has up to a tenth more points along a vector, for its Fourier transform.
    numbers = 1.1 * (torch.linalg.vector_norm(cell, dim=-1) / spacing + 2.0)
    if not float(numbers.prod()) <= most_points:
        raise RuntimeError(
            "Allegro: expected a box whose charges need a mesh of at most "
            f"{int(most_points)} points, found box vectors {cell} Å; is the box right?"
        )
