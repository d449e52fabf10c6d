# SPDX-License-Identifier: MIT
"""The module of one model, or of the mean of several, see ``committee``."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..mixing.capped_module import capped
from ..mixing.link_atoms import Cap
from ..mixing.surroundings import Surroundings
from ..model.elements import element_types
from ..model.model import Model
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
from .card_module import on_cards
from .checks import member_name
from .module import script_model
from .options import DEFAULT_OPTIONS, ForceOptions


class CommitteeModule(torch.nn.Module):
    """Mean of force modules, with the contract of ``ForceModule``; scriptable.

    Parameters
    ----------
    members : sequence of ScriptModule
        Two or more of ``force_module``, which may be ``capped``.
    atoms : sequence of int
        Particle indices of the models' n atoms, without caps.
    description : str
        From ``potential.description``.
    """

    def __init__(
        self,
        members: Sequence[torch.nn.Module],
        atoms: Sequence[int],
        description: str = "",
    ) -> None:
        super().__init__()
        self.description: str = description
        self.members = torch.nn.ModuleList(members)
        self.register_buffer("atoms", torch.tensor(list(atoms), dtype=torch.int64))
        self.all_atoms: bool = list(atoms) == list(range(len(atoms)))
        self.force_unit: float = EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean energy (kJ/mol) and forces [N, 3] (kJ/(mol nm)), as ``ForceModule``."""
        energies: list[Tensor] = []
        forces: list[Tensor] = []
        for member in self.members:
            energy, force = member(positions, boxvectors)
            energies.append(energy)
            forces.append(force)
        return torch.stack(energies).mean(0), torch.stack(forces).mean(0)

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean results of ``ForceModule.evaluate``: eV, eV/Å, eV.

        Raises
        ------
        RuntimeError
            If the members are capped, because a cap's energy belongs to no atom.
        """
        energies: list[Tensor] = []
        forces: list[Tensor] = []
        strains: list[Tensor] = []
        for member in self.members:
            if hasattr(member, "evaluate"):
                energy, force, strain = member.evaluate(positions, boxvectors)
                energies.append(energy)
                forces.append(force)
                strains.append(strain)
            else:
                raise RuntimeError("Allegro: expected members without caps, found caps")
        return (
            torch.stack(energies).mean(0),
            torch.stack(forces).mean(0),
            torch.stack(strains).mean(0),
        )

    @torch.jit.export
    def parts(self) -> list[Tensor]:
        """Programs and types of all members, as ``ForceModule.parts``."""
        parts: list[Tensor] = []
        for member in self.members:
            parts += member.parts()
        return parts

    @torch.jit.export
    def deviation(self, positions: Tensor, boxvectors: Tensor | None = None) -> Tensor:
        """Deviation s_i of the force on each of ``atoms`` [n], eV/Å.

        Forces on caps count where they act, on the atoms of the region.
        """
        forces: list[Tensor] = []
        for member in self.members:
            forces.append(member(positions, boxvectors)[1][self.atoms])
        # torch counts M - 1
        return torch.stack(forces).var(0).sum(-1).sqrt() / self.force_unit


def committee_module(
    models: Sequence[Model],
    symbols: Sequence[str],
    options: ForceOptions = DEFAULT_OPTIONS,
    *,
    atoms: Sequence[int] | None = None,
    caps: Sequence[Cap] = (),
    periodic: bool | Sequence[bool],
    images: str = "all",
    surroundings: Surroundings | None = None,
    description: str = "",
) -> torch.jit.ScriptModule:
    """Script one model, or several as a CommitteeModule.

    Parameters
    ----------
    models : sequence of Model
    symbols, atoms, periodic
        As ``force_module``; the last of the atoms are the caps.
    options : ForceOptions
    caps : sequence of Cap
        Caps of each member, see ``mixing.capped_module.capped``.
    images : str
        As ``model.long_range.IMAGES``.
    surroundings : Surroundings, optional
        Charges around those of the models.
    description : str
        From ``potential.description``.

    Raises
    ------
    ImportError, ValueError
        As ``force_module``.
    """
    own = list(range(len(symbols)) if atoms is None else atoms)
    own = own[: len(own) - len(caps)]
    members, are_fused = [], True
    for number, model in enumerate(models):
        if len(models) > 1:
            where = member_name(number, len(models))
            element_types(symbols, model.config.elements, where)
        module = script_model(
            model,
            symbols,
            options,
            atoms=atoms,
            periodic=periodic,
            images=images,
            surroundings=surroundings,
            description=description,
        )
        has_card = bool(module.fused) and not model.config.is_charged
        are_fused = are_fused and has_card
        members.append(capped(module, caps, description))
    if len(members) > 1:
        committee = CommitteeModule(members, own, description)
        members = [torch.jit.script(committee.eval())]
    if not are_fused:
        return members[0]
    return on_cards(members[0], models, options, own, caps, periodic)
