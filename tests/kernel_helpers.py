# SPDX-License-Identifier: MIT
"""Networks of all kinds, and their programs through one of the kernels."""

import functools
import importlib.util

import pytest
import torch
from helpers import FULL, tiny_config, tiny_energy

from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference import operator as fused
from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Program
from openmm_allegro.kernels.inference.table import with_table
from openmm_allegro.neighbors import VerletList

CASES = {
    "two layers": {},
    "all options": FULL,
    "l_max 3": {"l_max": 3, "num_layers": 3},
    "l_max 0": {"l_max": 0, "num_layers": 1},
    "l_max 4, mish and gelu": {
        "l_max": 4,
        "latent_nonlinearity": "mish",
        "readout_nonlinearity": "gelu",
    },
    "spline": {"radial_embedding": "spline", "embedding_dim": 9},
    "no hidden layers": {
        "num_layers": 3,
        "latent_depth": 0,
        "readout_depth": 0,
        "two_body_depth": 0,
    },
    "linear": {"latent_depth": 2, "latent_nonlinearity": "none"},
    "deep": {"latent_depth": 3, "two_body_depth": 2, "readout_depth": 2},
    "uncoupled": {"path_channel_coupling": False, "num_layers": 4, "parity": False},
    "trained roots": {"bessel_trainable": True, "envelope_p": 5.5},
    "odd sizes": {
        "num_tensor_features": 17,
        "num_scalar_features": 34,
        "latent_width": 33,
        "embedding_dim": 10,
    },
    "chosen irreps": {
        "edge_irreps": ("0e", "1e", "2e"),
        "tensor_irreps": ("0e", "2e"),
        "num_layers": 3,
    },
    "a degree left out": {"edge_irreps": ("0e", "2e")},
    "pair core": {**FULL, "l_max": 3, "core_rates": (0.5, 1.5, 4.0)},
    "pair core alone": {"l_max": 1, "core_rates": (2.0,)},
    "pair core, l_max 0": {"l_max": 0, "zbl": True, "core_rates": (1.0, 3.0)},
    # of many of the atoms: some pairs are within the transition, and some below it
    "inner cutoffs": {
        **FULL,
        "core_rates": (1.0, 3.0),
        "inner_cutoffs": {"H-H": 1.25, "H-O": 1.6, "O-O": 1.9, "Na-O": 2.1},
    },
    "inner cutoffs of splines": {
        "radial_embedding": "spline",
        "embedding_dim": 9,
        "zbl": True,
        "inner_cutoffs": {"H-O": 1.6, "O-O": 1.9},
    },
}
BUILDS = ["twin", *library.BUILDS]


@functools.cache
def network_of(case):
    """Config and network of one of ``CASES``, the same for all tests."""
    config = tiny_config(**CASES[case])
    return config, tiny_energy(config)


@functools.cache
def program_of(case, dtype, points=0):
    """Its program, with a table of so many intervals if any."""
    _, energy = network_of(case)
    return tabulated(energy, dtype, points) if points else fold(energy, dtype)


def in_numpy(program):
    """A program of tensors as one of arrays."""
    return Program(*(values.numpy() for values in program))


def tabulated(energy, dtype, intervals):
    """The program of a model with a table of so many intervals, as tensors."""
    program = with_table(in_numpy(fold(energy, dtype)), intervals)
    return Program(*map(torch.from_numpy, program))


def evaluate(build, energy, config, atoms, dtype, threads=1, points=0):
    """Energies, forces and symmetric strain derivative through one of the builds."""
    program = tabulated(energy, dtype, points) if points else fold(energy, dtype)
    return evaluate_program(build, program, config, atoms, threads)


def evaluate_program(build, program, config, atoms, threads=1):
    """The same of a program."""
    pairs = VerletList(config.cutoff, 0.4)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    arguments = atoms.positions, atoms.cell, atoms.types
    arguments += (
        pairs.offsets,
        pairs.neighbors,
        pairs.shifts,
        *program,
    )
    if build == "twin":
        found = twin.evaluate(*arguments)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused, "library", lambda: load(build))
            patch.delenv("OPENMM_CPU_THREADS", raising=False)
            patch.setattr(torch, "get_num_threads", lambda: threads)
            found = torch.ops.openmm_allegro.evaluate(*arguments)
    energies, forces, strain = found
    return energies, forces, 0.5 * (strain + strain.T)


def load(build):
    """A compiled library; only what cannot run here is left out."""
    loaded = library.load(build)
    if loaded is None:
        assert not library.BUILDS[build].needs <= library.processor_flags() or not any(
            importlib.util.find_spec(f"openmm_allegro.kernels.cpu.{name}")
            for name in library.BUILDS
        )
        pytest.skip(f"{build} was not built or does not run here")
    assert library.is_current(loaded)
    return loaded
