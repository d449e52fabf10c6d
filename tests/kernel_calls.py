# SPDX-License-Identifier: MIT
"""A small system, and calls of the compiled kernels' functions with its arrays."""

from typing import NamedTuple

import numpy as np
import torch
from helpers import FULL, random_atoms, tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.header import filled
from openmm_allegro.kernels.inference.compiled import opened
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Program
from openmm_allegro.kernels.library import Outcome
from openmm_allegro.neighbors import VerletList


class System(NamedTuple):
    """A program, and the arrays of an ``allegro_atoms``."""

    program: Program
    positions: np.ndarray
    cell: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    neighbors: np.ndarray
    shifts: np.ndarray | None


class Sums(NamedTuple):
    """Arrays of an ``allegro_results``, summed over threads."""

    energies: np.ndarray
    forces: np.ndarray
    strain: np.ndarray
    virials: np.ndarray


def small_system(kind="triclinic", dtype=torch.float64, count=None):
    """Random atoms in a model that has everything."""
    config = tiny_config(**FULL)
    atoms = random_atoms(kind, count=count)
    pairs = VerletList(config.cutoff, 0.4)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    return System(
        in_numpy(fold(tiny_energy(config), dtype)),
        *(x.numpy() for x in (atoms.positions, atoms.cell, atoms.types)),
        *(x.numpy() for x in (pairs.offsets, pairs.neighbors, pairs.shifts)),
    )


def sums(kernels, system, threads=1, has_virials=True):
    """Results of ``allegro_run_threads``."""
    count = len(system.positions)
    shape = (threads, count, 3, 3) if has_virials else (0,)
    results = Sums(
        np.zeros(count),
        np.zeros((threads, count, 3)),
        np.zeros((threads, 3, 3)),
        np.zeros(shape),
    )
    arrays = results if has_virials else results._replace(virials=None)
    with opened(kernels, system.program) as model:
        outcome = kernels.allegro_run_threads(
            model, _atoms(system), threads, _results(arrays)
        )
    assert outcome == Outcome.OK
    return Sums(results.energies, *(part.sum(0) for part in results[1:]))


def run_some(kernels, system, begin, end, results):
    """Add results of the centres from ``begin`` on, by ``allegro_run``."""
    with opened(kernels, system.program) as model:
        outcome = kernels.allegro_run(
            model, _atoms(system), begin, end, _results(results)
        )
    assert outcome == Outcome.OK


def _atoms(system):
    arrays = system._asdict()
    del arrays["program"]
    count = len(system.positions)
    return filled("allegro_atoms", count=count, seeds=None, **arrays)


def _results(arrays):
    return filled("allegro_results", charges=None, **arrays._asdict())
