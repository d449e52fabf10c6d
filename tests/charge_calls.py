# SPDX-License-Identifier: MIT
"""Calls of the kernels for programs with charges, and for any choice of results."""

import numpy as np
import torch

from openmm_allegro.kernels.header import filled
from openmm_allegro.kernels.inference.compiled import opened
from openmm_allegro.kernels.library import Outcome
from openmm_allegro.model import forces_from_pairs, virial_from_pairs
from openmm_allegro.neighbors import PairList, VerletList, center_blocks

ATOMS = ("positions", "cell", "types", "offsets", "neighbors", "shifts")
# Shapes for each thread; energies and charges are of all threads.
SHAPES = {"forces": (3,), "virials": (3, 3)}


def with_pairs(config, atoms):
    """Arrays of atoms with their pairs: the first six arguments of the operators."""
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
        From ``with_pairs``.
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


def reference(energy, config, atoms, seeds=None):
    """Results of ``run`` by torch and its derivatives; the strain is symmetric.

    Parameters
    ----------
    energy : AllegroEnergy
    config : AllegroConfig
    atoms : Atoms
    seeds : Tensor, optional
    """
    count = len(atoms.types)
    pairs = PairList(config.cutoff)(atoms.positions, atoms.cell, atoms.periodic)
    results = {name: torch.zeros(count).double() for name in ("energies", "charges")}
    results["forces"] = torch.zeros(count, 3).double()
    results["strain"] = torch.zeros(3, 3).double()
    for centers, neighbors, r in center_blocks(*pairs, count, 1.5 * config.cutoff, 64):
        r = r.detach().requires_grad_(True)
        kinds = atoms.types[centers], atoms.types[neighbors].flatten()
        energies, charges = energy.block_outputs(
            r.flatten(0, 1), *kinds, [tuple(neighbors.shape)]
        )
        total = energies.sum()
        if seeds is not None:
            total = total + (seeds[centers] * charges).sum()
        (gradient,) = torch.autograd.grad(total, r)
        results["energies"][centers] = energies.detach()
        results["charges"][centers] = charges.detach()
        results["forces"] += forces_from_pairs(gradient, centers, neighbors, count)
        results["strain"] += virial_from_pairs(gradient, r.detach())
    return results
