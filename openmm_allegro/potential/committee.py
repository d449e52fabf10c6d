# SPDX-License-Identifier: MIT
"""Several models as one: the mean of energies and forces, and their deviation.

Models trained with several seeds agree where they had data, and differ where they had
none: C. Schran, K. Brezina and O. Marsalek, doi:10.1063/5.0016004. Of M members,

    F_i = 1/M Σ_m F_i^m,    s_i = sqrt(1/(M − 1) Σ_m |F_i^m − F_i|²),

where s_i, the deviation of the force on atom i, is the square root of the sum of the
variances of its three components.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from openmm import app, unit
from torch import Tensor

from ..classical.fingerprint import check_baseline
from ..mixing.link_atoms import Cap, capped
from ..model.elements import element_types
from ..model.model import Model
from ..structure import topology_symbols
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
from ..utils.reasons import reason_of
from .checks import is_periodic
from .description import describe
from .module import script_model
from .options import DEFAULT_OPTIONS, ForceOptions


class Uncertainty(NamedTuple):
    """Mean and standard deviation (M − 1) over the members of a committee, N atoms.

    Each member shares its energy among the atoms in its own way, so the energies of
    single atoms may deviate more than the total energy suggests.
    """

    energy: float  # total, eV
    energy_std: float  # eV
    energies: np.ndarray  # [N] per atom, eV
    energies_std: np.ndarray  # [N] eV
    forces: np.ndarray  # [N, 3] eV/Å
    forces_std: np.ndarray  # [N] of the force vector, s_i above, eV/Å


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
    periodic: bool,
) -> torch.jit.ScriptModule:
    """Script one model, or several as a CommitteeModule.

    Parameters
    ----------
    models : sequence of Model
    symbols, atoms, periodic
        As ``force_module``; the last of the atoms are the caps.
    options : ForceOptions
    caps : sequence of Cap
        Caps of each member, see ``mixing.link_atoms.capped``.

    Raises
    ------
    ImportError, ValueError
        As ``force_module``.
    """
    members = []
    own = list(range(len(symbols)) if atoms is None else atoms)
    own = own[: len(own) - len(caps)]
    about = describe(
        models,
        options,
        region=None if atoms is None else own,
        caps=caps,
        periodic=periodic,
    )
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
            description=about,
        )
        members.append(capped(module, caps, about))
    if len(members) == 1:
        return members[0]
    committee = CommitteeModule(members, own, about)
    return torch.jit.script(committee.eval())


def member_name(number: int, count: int) -> str:
    """Name of a member in errors about its elements."""
    return "topology" + (f", member {number} of the committee" if count > 1 else "")


def check_members(models: Sequence[Model]) -> None:
    """Refuse models that do not predict the same energy.

    Raises
    ------
    ValueError
        If there are none, or they are of different kinds or have different baselines.
    """
    if not models:
        raise ValueError("expected one model or more, found none")
    first = models[0]
    for number, model in enumerate(models[1:], 1):
        if model.kind != first.kind:
            raise ValueError(
                f"committee: expected models of one kind, found {first.kind} (member "
                f"0) and {model.kind} (member {number})"
            )
        if model.kind == "delta":
            mine, others = (m.provenance.get("baseline") for m in (model, first))
            for a, b in ((mine, others), (others, mine)):
                check_baseline(a, b or {}, f"committee, member {number}")


def uncertainty(
    models: Sequence[Model],
    topology: app.Topology,
    positions: Any,
    options: ForceOptions,
    *,
    periodic: bool | None = None,
) -> Uncertainty:
    """Evaluate the members one by one; see ``AllegroPotential.uncertainty``."""
    if len(models) < 2:
        raise ValueError(
            "uncertainty: expected a committee, AllegroPotential([a, b, ...]), found "
            "a single model"
        )
    symbols = topology_symbols(topology)
    if unit.is_quantity(positions):
        positions = positions.value_in_unit(unit.nanometer)
    positions = np.array(positions, dtype=float)
    if positions.shape != (len(symbols), 3):
        raise ValueError(
            f"uncertainty: expected positions of shape ({len(symbols)}, 3), found "
            f"{positions.shape}"
        )
    periodic = is_periodic(models, topology, periodic)
    arguments = [torch.tensor(positions)]
    if periodic:
        box = topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
        arguments.append(torch.tensor(box, dtype=torch.float64))
    results = []
    for model in models:
        module = committee_module([model], symbols, options, periodic=periodic)
        try:
            with torch.enable_grad():
                results.append([x.numpy() for x in module.evaluate(*arguments)[:2]])
        except torch.jit.Error as error:
            raise ValueError(f"uncertainty: {reason_of(error)}") from error
    energies, forces = (np.stack(values) for values in zip(*results, strict=True))
    totals = energies.sum(axis=1)
    return Uncertainty(
        float(totals.mean()),
        float(totals.std(ddof=1)),
        energies.mean(axis=0),
        energies.std(axis=0, ddof=1),
        forces.mean(axis=0),
        np.sqrt(forces.var(axis=0, ddof=1).sum(axis=-1)),
    )
