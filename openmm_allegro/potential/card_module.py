# SPDX-License-Identifier: MIT
"""A force module that runs on a card by the fused kernel, and elsewhere as it is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..mixing.link_atoms import Cap
from ..model.model import Model
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL
from .options import ForceOptions, common_skin


def on_cards(
    module: torch.jit.ScriptModule,
    models: Sequence[Model],
    options: ForceOptions,
    atoms: Sequence[int],
    caps: Sequence[Cap],
    periodic: bool | Sequence[bool],
) -> torch.jit.ScriptModule:
    """Script a module that computes the same on a card, by the fused kernel.

    Parameters
    ----------
    module : ScriptModule
        Of one model or a committee, with ``parts``.
    models : sequence of Model
    options : ForceOptions
    atoms : sequence of int
        Particle indices of the models' atoms, without caps.
    caps : sequence of Cap
    periodic : bool or sequence of 3 bool
    """
    skin = common_skin(options, [model.config.cutoff for model in models])
    needs_card = options.kernel == "fused"
    made = CardModule(module, atoms, caps, periodic, skin, needs_card, len(models))
    return torch.jit.script(made.eval())


class CardModule(torch.nn.Module):
    """Force module with a program, with the contract of ``ForceModule``; scriptable.

    On CUDA the operator ``evaluate_atoms`` computes it, which keeps the pair list on
    the card; see ``kernels.inference.on_card``. Where that cannot be, and on the CPU,
    the module within does.

    Parameters
    ----------
    module : ScriptModule
        Of ``module``, ``committee_module`` or ``mixing.capped_module``, with ``parts``.
    atoms : sequence of int
        Particle indices of the models' atoms, without caps.
    caps : sequence of Cap
    periodic : bool or sequence of 3 bool
        As ``ForceModule``.
    skin : float
        Reach of the pair list beyond the cutoff, Å.
    needs_card : bool
        Whether to refuse a card on which the fused kernel cannot run.
    models : int
        Number of the models.
    """

    # Whether tensors on the CPU count as tensors on a card, for tests without one.
    _plays_card = False

    def __init__(
        self,
        module: torch.nn.Module,
        atoms: Sequence[int],
        caps: Sequence[Cap],
        periodic: bool | Sequence[bool],
        skin: float,
        needs_card: bool,
        models: int,
    ) -> None:
        super().__init__()
        self.description: str = module.description
        self.module = module
        ends = torch.tensor([cap[:2] for cap in caps], dtype=torch.int64)
        ratios = torch.tensor([cap.ratio for cap in caps], dtype=torch.float64)
        self.register_buffer("atoms", torch.tensor(list(atoms), dtype=torch.int64))
        self.register_buffer("ends", ends.view(-1, 2))
        self.register_buffer("ratios", ratios)
        self.register_buffer("periodic", torch.tensor(periodic).expand(3).clone())
        self.all_atoms: bool = list(atoms) == list(range(len(atoms))) and not caps
        self.skin: float = float(skin)
        self.needs_card: bool = needs_card
        self.models: int = models
        self.plays_card: bool = self._plays_card
        # A plain attribute, neither saved as a buffer nor moved with the module.
        self.handle = torch.empty(0, dtype=torch.int64)
        self.energy_unit: float = EV_TO_KJ_PER_MOL
        self.force_unit: float = EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute energy and forces on all particles, as ``ForceModule``.

        On a card, positions or a box that are not finite are an error of the next call.
        """
        if positions.is_cuda or self.plays_card:
            # Not by a method: torch frees those of a frozen module, as TorchForce's is,
            # but forward, and crashes where an operator in them has failed.
            energies, forces, _, handle = torch.ops.openmm_allegro.evaluate_atoms(
                positions,
                boxvectors,
                [self.atoms, self.ends, self.ratios, self.periodic],
                self.module.parts(),
                self.skin,
                self.needs_card,
                -1,
                False,
                self.handle,
            )
            self.handle = handle
            if energies.shape[0] > 0:
                energy = energies.sum() * self.energy_unit
                return energy, self._on_particles(forces * self.force_unit, positions)
        return self.module(positions, boxvectors)

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what ``ForceModule.evaluate`` does, of a module without caps.

        Raises
        ------
        RuntimeError
            If there are caps, because a cap's energy belongs to no atom.
        """
        if hasattr(self.module, "evaluate"):
            if positions.is_cuda or self.plays_card:
                results = self._evaluate(positions, boxvectors, -1)
                if results[0].shape[0] > 0:
                    return results
            return self.module.evaluate(positions, boxvectors)
        else:
            raise RuntimeError("Allegro: expected a module without caps, found caps")

    @torch.jit.export
    def deviation(self, positions: Tensor, boxvectors: Tensor | None = None) -> Tensor:
        """Compute what ``CommitteeModule.deviation`` does, of a committee.

        Raises
        ------
        RuntimeError
            If there is one model.
        """
        if hasattr(self.module, "deviation"):
            forces: list[Tensor] = []
            if positions.is_cuda or self.plays_card:
                for member in range(self.models):
                    results = self._evaluate(positions, boxvectors, member)
                    if results[0].shape[0] > 0:
                        on_particles = self._on_particles(results[1], positions)
                        forces.append(on_particles[self.atoms])
            if len(forces) > 0:
                return torch.stack(forces).var(0).sum(-1).sqrt()
            return self.module.deviation(positions, boxvectors)
        else:
            raise RuntimeError("Allegro: expected a committee, found one model")

    def _evaluate(
        self, positions: Tensor, boxvectors: Tensor | None, member: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate on the card, and wait; nothing where it lacks the fused kernel."""
        energies, forces, strain, handle = torch.ops.openmm_allegro.evaluate_atoms(
            positions,
            boxvectors,
            [self.atoms, self.ends, self.ratios, self.periodic],
            self.module.parts(),
            self.skin,
            self.needs_card,
            member,
            True,
            self.handle,
        )
        self.handle = handle
        return energies, forces, strain

    def _on_particles(self, forces: Tensor, positions: Tensor) -> Tensor:
        """Give forces on atoms and caps to the particles that they act on."""
        if self.all_atoms and forces.shape[0] == positions.shape[0]:
            return forces
        count = self.atoms.shape[0]
        everywhere = torch.zeros(
            positions.shape, dtype=forces.dtype, device=forces.device
        )
        everywhere.index_copy_(0, self.atoms, forces[:count])
        if self.ratios.shape[0] > 0:
            ratios, on_caps = self.ratios.unsqueeze(1), forces[count:]
            shares = torch.cat(((1.0 - ratios) * on_caps, ratios * on_caps))
            # Its sums have one order on CUDA too, unlike those of index_add.
            everywhere.index_put_([self.ends.t().flatten()], shares, accumulate=True)
        return everywhere
