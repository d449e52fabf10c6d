# SPDX-License-Identifier: MIT
"""The processor in the place of a card: for the operator ``evaluate_atoms``."""

import ctypes

import numpy as np
import torch

from openmm_allegro.kernels.inference import on_card
from openmm_allegro.kernels.inference import operator as fused
from openmm_allegro.neighbors import VerletList
from openmm_allegro.potential.card_module import CardModule


def play_card(patch, engine=None, device=None):
    """Have modules that are made from now on take the processor for a card.

    Parameters
    ----------
    patch : MonkeyPatch
    engine : type, optional
        In place of ``Engine``.
    device : callable, optional
        Makes the device, of nothing.
    """
    patch.setattr(CardModule, "_plays_card", True)
    patch.setattr(on_card, "make_device", lambda place: device() if device else None)
    if engine is not None:
        patch.setattr(on_card, "Engine", engine)


class ProcessorEngine:
    """An ``Engine`` that computes by the kernel for processors."""

    opened = 0
    alive = 0

    def __init__(self, device, programs, atoms):
        type(self).opened += 1
        type(self).alive += 1
        self.programs = [tuple(map(torch.from_numpy, p)) for p in programs]
        self.atoms, self.problem = atoms, None
        self.pairs = VerletList(4.5, atoms.skin)  # beyond the cutoffs of the tests

    def __del__(self):
        type(self).alive -= 1

    def step(
        self,
        positions,
        box,
        *,
        is_double,
        to_angstrom,
        member=-1,
        energies,
        forces,
        strain,
    ):
        self.finish()
        atoms = self.atoms
        count, caps = atoms.types.shape[1], len(atoms.ratios)
        particles = int(max(atoms.particles.max(), *atoms.ends.ravel(), 0)) + 1
        kind = np.float64 if is_double else np.float32
        x = _array(positions, (particles, 3), kind).astype(float) * to_angstrom
        cell = np.zeros((3, 3))
        if box is not None:
            cell = _array(box, (3, 3), kind).astype(float) * to_angstrom
        wanted = [
            _array(energies, (count,), np.float64),
            _array(forces, (count, 3), np.float64),
            _array(strain, (3, 3), np.float64),
        ]
        own = self._placed(x, cell, caps)
        if not np.isfinite(own).all() or not np.isfinite(cell).all():
            what = "box vectors" if np.isfinite(own).all() else "positions"
            self.problem = f"Allegro: expected finite {what}, found NaN or infinity"
            for array in wanted:
                array[...] = np.nan
            return
        chosen = range(len(self.programs)) if member < 0 else [member]
        results = [self._evaluated(own, cell, m) for m in chosen]
        for array, values in zip(wanted, zip(*results, strict=True), strict=True):
            array[...] = np.mean([v.numpy() for v in values], axis=0)

    def finish(self):
        problem, self.problem = self.problem, None
        if problem:
            raise RuntimeError(problem)

    def _placed(self, x, cell, caps):
        """Positions of atoms and caps, Å."""
        if not caps:
            return x[self.atoms.particles]
        inner, outer = self.atoms.ends.T
        bonds = x[outer] - x[inner]
        if any(self.atoms.periodic):
            bonds -= np.round(bonds @ np.linalg.inv(cell)) @ cell
        placed = x[inner] + self.atoms.ratios[:, None] * bonds
        return np.concatenate([x[self.atoms.particles], placed])

    def _evaluated(self, x, cell, member):
        x, cell = torch.tensor(x), torch.tensor(cell)
        self.pairs(x, cell, torch.tensor(self.atoms.periodic))
        arrays = self.pairs.offsets, self.pairs.neighbors, self.pairs.shifts
        types = torch.tensor(self.atoms.types[member])
        return fused._evaluate_on_cpu(x, cell, types, *arrays, *self.programs[member])


def _array(address, shape, kind):
    """Memory at an address as an array."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, kind).reshape(shape)
