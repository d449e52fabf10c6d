# SPDX-License-Identifier: MIT
"""Calls of the kernels for programs with charges, and for any choice of results."""

import numpy as np
import torch
from helpers import random_atoms

from openmm_allegro.kernels.header import filled
from openmm_allegro.kernels.inference.compiled import opened
from openmm_allegro.kernels.library import Outcome
from openmm_allegro.neighbors import VerletList

ATOMS = ("positions", "cell", "types", "offsets", "neighbors", "shifts")
# Shapes for each thread; energies and charges are of all threads.
SHAPES = {"forces": (3,), "virials": (3, 3)}


def atoms_and_pairs(config, kind, count=None, seed=0):
    """Random atoms with their pairs: the first six arguments of the operators."""
    atoms = random_atoms(kind, seed, count)
    pairs = VerletList(config.cutoff, 0.4)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    arrays = atoms.positions, atoms.cell, atoms.types
    return [*arrays, pairs.offsets, pairs.neighbors, pairs.shifts]


def run(kernels, program, arrays, wanted, seeds=None, threads=1):
    """Results by name, the others NULL; summed over threads.

    Parameters
    ----------
    kernels : CDLL
    program : Program
        Tensors, as are the arrays.
    arrays : list
        From ``atoms_and_pairs``.
    wanted : sequence of str
        Fields of an ``allegro_results``.
    seeds : Tensor, optional
    threads : int
    """
    count = len(arrays[0])
    given = {name: x.numpy() for name, x in zip(ATOMS, arrays, strict=True)}
    given["seeds"] = None if seeds is None else seeds.numpy()
    results = dict.fromkeys(("energies", "forces", "strain", "virials", "charges"))
    for name in wanted:
        if name in ("energies", "charges"):
            results[name] = np.full(count, 7.0)  # overwritten
        elif name == "strain":
            results[name] = np.zeros((threads, 3, 3))
        else:
            results[name] = np.zeros((threads, count, *SHAPES[name]))
    atoms = filled("allegro_atoms", count=count, **given)
    with opened(kernels, program) as model:
        outcome = kernels.allegro_run_threads(
            model, atoms, threads, filled("allegro_results", **results)
        )
    assert outcome == Outcome.OK
    return {
        name: torch.from_numpy(x if name in ("energies", "charges") else x.sum(0))
        for name, x in results.items()
        if x is not None
    }
