# SPDX-License-Identifier: MIT
"""Predict energies, forces and stresses of a batch, also for a loss."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..model import as_blocks, forces_from_pairs
from ..neighbors import LARGEST_BLOCK
from .electrostatics import Field, dipoles_of, field_of, mean_free
from .samples import Batch, Block


class Prediction(NamedTuple):
    """Energies, forces and stresses of B frames with N atoms."""

    energies: Tensor  # [B] float64, eV
    forces: Tensor  # [N, 3] eV/Å, zero where they are not asked for
    stresses: Tensor  # [B, 3, 3] eV/Å³, zero where there is none (``gather_arrays``)
    charges: Tensor | None = None  # [N] float64, e; None of a model without
    dipoles: Tensor | None = None  # [B, 3] float64, e Å; of a box without a meaning


def predict(
    energy: torch.nn.Module,
    batch: Batch,
    *,
    training: bool = False,
    forces: bool = True,
    stress: bool = True,
) -> Prediction:
    """Predict energies, forces and stresses of a batch.

    Parameters
    ----------
    energy : AllegroEnergy
    batch : Batch
    training : bool
        Keep the graph, so that a loss can be differentiated.
    forces, stress : bool
        Whether to compute them; zeros otherwise. Energies alone need no derivative.
    """
    if energy.charged:
        return _predict_charged(energy, batch, training, forces, stress)
    derive = forces or stress
    sums = _Sums(batch)
    for group in _groups(batch):
        group.vectors.requires_grad_(derive)
        with torch.set_grad_enabled(training or derive):
            parts = energy.block_energies(*group.inputs)  # of the centres
            summed = parts.sum()
        kept = parts if training else parts.detach()
        sums.add_energies(group, kept)
        if derive:
            (gradient,) = torch.autograd.grad(
                summed, group.vectors, create_graph=training
            )
            sums.add_gradient(group, gradient, stress)
    return sums.prediction()


def _predict_charged(
    energy: torch.nn.Module, batch: Batch, training: bool, forces: bool, stress: bool
) -> Prediction:
    """Do what ``predict`` does with a model that has charges."""
    derive = forces or stress
    groups = _groups(batch)
    # Outside of a training the graphs of all groups would not fit the memory.
    twice = derive and not training and len(groups) > 1
    outputs = []
    for group in groups:
        group.vectors.requires_grad_(derive)
        with torch.set_grad_enabled(training or (derive and not twice)):
            outputs.append(energy.block_outputs(*group.inputs))
    sums = _Sums(batch)
    raw = torch.zeros_like(batch.types, dtype=torch.float64)
    for group, values in zip(groups, outputs, strict=True):
        energies, charges = (v if training else v.detach() for v in values)
        sums.add_energies(group, energies)
        raw = raw.index_add(0, group.centers, charges)
    known = batch.electrostatics
    with torch.set_grad_enabled(training):
        charges = energy.charges(raw, batch.types, batch.frames, known.totals)
        field = field_of(
            *(known, batch.sizes, charges, energy.charges.alpha),
            forces=forces,
            stress=stress,
        )
        sums.add_field(field)
        seeds = mean_free(field.potentials.to(raw), batch.frames, batch.sizes)
    for group, (energies, raw_charges) in zip(groups, outputs, strict=True):
        if not derive:
            break
        if twice:
            with torch.enable_grad():
                energies, raw_charges = energy.block_outputs(*group.inputs)
        values, weights = [energies], [torch.ones_like(energies)]
        if energy.learned:
            values.append(raw_charges)
            weights.append(seeds[group.centers])
        (gradient,) = torch.autograd.grad(
            values, group.vectors, weights, create_graph=training
        )
        sums.add_gradient(group, gradient, stress)
    dipoles = dipoles_of(known.positions, charges, batch.frames, len(batch.sizes))
    return sums.prediction()._replace(charges=charges, dipoles=dipoles)


class _Group(NamedTuple):
    """Blocks for one call of the network."""

    blocks: list[Block]
    centers: Tensor  # [ΣC]
    vectors: Tensor  # [P, 3]
    types: tuple[Tensor, Tensor]  # of centres and neighbours
    shapes: list[tuple[int, int]]

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, int]]]:
        """Arguments of ``AllegroEnergy.block_energies``."""
        return self.vectors, *self.types, self.shapes


class _Sums:
    """Energies, forces and strains of a batch so far."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.energies = torch.zeros_like(batch.energies)
        self.forces = torch.zeros_like(batch.forces)
        self.strains = torch.zeros_like(batch.stresses)

    def add_energies(self, group: _Group, energies: Tensor) -> None:
        """Add energies of centres."""
        frames = self.batch.frames[group.centers]
        self.energies = self.energies.index_add(0, frames, energies)

    def add_gradient(self, group: _Group, gradient: Tensor, stress: bool) -> None:
        """Add forces, and strains if ``stress``, from derivatives by the vectors."""
        batch = self.batch
        gradients = as_blocks(gradient, group.shapes)
        for (c, n, v), g in zip(group.blocks, gradients, strict=True):
            forces = forces_from_pairs(g, c, n, len(batch.types))
            self.forces = self.forces + forces
            if stress:
                # dE/d(strain) of each centre, then of each frame
                outer = torch.matmul(v.transpose(1, 2), g)
                self.strains = self.strains.index_add(0, batch.frames[c], outer)

    def add_field(self, field: Field) -> None:
        """Add what charges do to each other."""
        self.energies = self.energies + field.energies
        self.forces = self.forces + field.forces.to(self.forces.dtype)
        self.strains = self.strains + field.strains.to(self.strains.dtype)

    def prediction(self) -> Prediction:
        """Energies, forces and stresses."""
        stresses = stresses_of(self.strains, self.batch.volumes)
        return Prediction(self.energies, self.forces, stresses)


def predict_labels(energy: torch.nn.Module, batch: Batch) -> Prediction:
    """Predict energies, and the forces and stresses that the batch has labels of."""
    forces, stress = (
        bool(torch.isfinite(labels).any()) for labels in (batch.forces, batch.stresses)
    )
    return predict(energy, batch, forces=forces, stress=stress)


def stresses_of(strains: Tensor, volumes: Tensor) -> Tensor:
    """Stresses from dE/d(strain) [B, 3, 3] (eV) and volumes [B] (Å³).

    Zeros without a volume.
    """
    volumes = torch.where(volumes > 0, volumes, torch.inf)[:, None, None]
    return 0.5 * (strains + strains.transpose(1, 2)) / volumes


def _groups(batch: Batch) -> list[_Group]:
    """Group blocks for the network: few operations, bounded memory."""
    groups: list[list[Block]] = []
    entries = 0
    for block in batch.blocks:
        entries += block[1].numel()
        if not groups or entries > LARGEST_BLOCK:
            groups.append([])
            entries = block[1].numel()
        groups[-1].append(block)
    return [_join_group(group, batch.types) for group in groups]


def _join_group(group: list[Block], types: Tensor) -> _Group:
    """Join blocks: centres, vectors, types of centres and neighbours, and shapes."""
    centers = torch.cat([c for c, _, _ in group])
    neighbors = torch.cat([n.flatten() for _, n, _ in group])
    vectors = torch.cat([v.flatten(0, 1) for _, _, v in group])
    shapes = [(n.shape[0], n.shape[1]) for _, n, _ in group]
    return _Group(group, centers, vectors, (types[centers], types[neighbors]), shapes)
