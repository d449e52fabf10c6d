# SPDX-License-Identifier: MIT
"""Module of a model with charges among the point charges of a force field.

The energy at long range is that of the model's Gaussian charges q among themselves,
E_lr, and with the points Q around, in the same sum,

    E_lr(q, Q) - E_lr(Q) + Σ_ij k_e q_i Q_j erfc(α r_ij) / r_ij,

where the direct sum, which ends at a cutoff, makes points of the Gaussians that meet
points. E_lr(Q) is taken off because the force field has the energy of its points. If
they have a net charge, that energy includes the one of a uniform background,
-π k_e (ΣQ)² / (2 V α²), which E_lr leaves out. The background of the whole box is put
in its place, -π k_e (Σq + ΣQ)² / (2 V α²), so that a neutral box has none. Without a
box, charges and points have k_e q_i Q_j / r_ij.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import units
from ..mixing.surroundings import Surroundings
from .charged_module import ChargedModule, check_mesh, nearest_images

LARGEST = 1_000_000  # entries of a matrix of pairs that are in memory at once


class Embedded(NamedTuple):
    """Energy of the n charges of a region with its M surroundings, and derivatives."""

    energies: Tensor  # [n] shares of the charges, eV
    potentials: Tensor  # [n] dE/dq, V
    forces: Tensor  # [n + M, 3] eV/Å, the charges being what they are
    strain: Tensor  # [3, 3] dE/d(strain) in eV, likewise


class EmbeddedModule(ChargedModule):
    """Energy and forces of a region and forces on the charges around it.

    It has the contract of ``ForceModule``, but that ``forward`` gives forces on all
    particles; those of ``evaluate`` are on the region's atoms, and the strain is of
    all.

    Parameters
    ----------
    *charged
        As of ``ChargedModule``.
    surroundings : Surroundings
    """

    def __init__(self, *charged: Any, surroundings: Surroundings) -> None:
        super().__init__(*charged)
        points = surroundings.points
        ends = torch.tensor([point[:2] for point in points], dtype=torch.int64)
        self.register_buffer("others", ends.view(-1, 2)[:, 0].clone())
        self.register_buffer("seconds", ends.view(-1, 2)[:, 1].clone())
        ratios = torch.tensor([p.ratio for p in points], dtype=torch.float64)
        self.register_buffer("ratios", ratios.unsqueeze(1))
        self.are_between: bool = bool(ratios.any())
        charges = torch.tensor([p.charge for p in points], dtype=torch.float64)
        self.register_buffer("points", charges)
        self.reach: float = surroundings.cutoff
        self.largest: int = LARGEST
        of_points = float(charges.sum())
        squares = of_points**2 - (of_points + self.total) ** 2
        # energy times volume
        k_e = units.COULOMB_EV_ANGSTROM_CODATA
        self.background: float = math.pi * k_e * squares / (2.0 * self.alpha**2)

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Potential energy (kJ/mol) and forces [N, 3] on all particles."""
        if boxvectors is not None and self.has_images:  # here, as ChargedModule.forward
            check_mesh(boxvectors * self.to_angstrom, self.spacing, self.most_points)
        energies, forces, _ = self._everything(positions, boxvectors)
        return energies.sum() * self.energy_unit, forces * self.force_unit

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of atoms [n] (eV), forces [n, 3] (eV/Å), dE/d(strain) [3, 3] (eV).

        Parameters as ``forward``.
        """
        energies, forces, strain = self._everything(positions, boxvectors)
        return energies, forces[self.atoms], strain

    def _everything(
        self, positions: Tensor, boxvectors: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Results of ``evaluate``, with forces on all particles [N, 3]."""
        self._refuse_card(positions)
        own, cell = self._prepared(positions, boxvectors)
        others = self._places(positions.detach().to(torch.float64), cell)
        charges = self._charges(own, cell)
        field = self._embedded(own, others, cell, charges)
        seeds = field.potentials - field.potentials.mean()
        energies, inner, strain = self._sums(own, cell, seeds)
        forces = torch.zeros(
            positions.shape, dtype=torch.float64, device=positions.device
        )
        on_points = field.forces[len(own) :]
        if self.are_between:
            forces.index_add_(0, self.others, (1.0 - self.ratios) * on_points)
            forces.index_add_(0, self.seconds, self.ratios * on_points)
        else:
            forces.index_copy_(0, self.others, on_points)
        forces.index_copy_(0, self.atoms, inner + field.forces[: len(own)])
        return energies + field.energies, forces, strain + field.strain

    def _places(self, positions: Tensor, cell: Tensor) -> Tensor:
        """Where the points [M, 3] are, Å, of positions of all particles in nm."""
        places = positions[self.others] * self.to_angstrom
        if not self.are_between:
            return places
        bonds = positions[self.seconds] * self.to_angstrom - places
        if self.has_images:
            bonds = nearest_images(bonds, cell)
        return places + self.ratios * bonds

    def _embedded(
        self, own: Tensor, others: Tensor, cell: Tensor, charges: Tensor
    ) -> Embedded:
        """Energy of charges [n] at ``own`` [n, 3] with the points at ``others``, Å."""
        direct = self._direct(own, others, cell, charges)
        energies = direct.energies
        if not self.has_images:
            _, potentials, forces, strain = self._field(own, cell, charges)
            return Embedded(
                energies + 0.5 * charges * potentials,
                direct.potentials + potentials,
                direct.forces + torch.cat((forces, torch.zeros_like(others))),
                direct.strain + strain,
            )
        count = own.shape[0]
        sites = torch.cat((own, others))
        everything = torch.cat((charges, self.points))
        _, potentials, forces, strain = self._field(sites, cell, everything)
        points = torch.cat((torch.zeros_like(charges), self.points))
        _, of_points, less, strain_less = self._field(sites, cell, points)
        potentials, of_points = potentials[:count], of_points[:count]
        shares = 0.5 * charges * (potentials + of_points)
        background = self.background / torch.det(cell).abs()
        unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
        return Embedded(
            energies + shares + background / count,
            direct.potentials + potentials,
            direct.forces + forces - less,
            direct.strain + strain - strain_less - background * unit,
        )

    def _direct(
        self, own: Tensor, others: Tensor, cell: Tensor, charges: Tensor
    ) -> Embedded:
        """Sum over pairs of a charge and a point: k_e q Q / r, with erfc in a box."""
        count = own.shape[0]
        potentials = torch.zeros_like(charges)
        forces = torch.zeros_like(own)
        reactions = torch.zeros_like(others)
        strain = torch.zeros_like(cell)
        step = max(1, self.largest // max(1, others.shape[0]))
        for begin in range(0, count, step):
            v = others.unsqueeze(0) - own[begin : begin + step].unsqueeze(1)
            if self.has_images:
                v = nearest_images(v, cell)
                near = v.square().sum(-1) < self.reach * self.reach  # [m, M]
            else:
                near = torch.ones(v.shape[:2], dtype=torch.bool, device=v.device)
            pairs = near.nonzero()  # once: on CUDA the host waits for it
            rows, columns = pairs[:, 0], pairs[:, 1]
            v = v[rows, columns]  # [P, 3]
            rows = rows + begin
            r = torch.linalg.vector_norm(v, dim=-1)
            kernel = units.COULOMB_EV_ANGSTROM_CODATA / r
            slope = -kernel / r
            if self.has_images:
                erfc = torch.erfc(self.alpha * r)
                rate = 2.0 * self.alpha / math.sqrt(math.pi)
                gauss = rate * torch.exp(-(self.alpha * r).square())
                slope = slope * erfc - kernel * gauss
                kernel = kernel * erfc
            points = self.points[columns]
            potentials.index_add_(0, rows, points * kernel)
            gradient = (charges[rows] * points * slope / r).unsqueeze(-1) * v
            forces.index_add_(0, rows, gradient)
            reactions.index_add_(0, columns, -gradient)
            strain += torch.matmul(v.t(), gradient)
        return Embedded(
            charges * potentials, potentials, torch.cat((forces, reactions)), strain
        )
