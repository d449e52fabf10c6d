# SPDX-License-Identifier: MIT
"""Charges of a program, and forces seeded with derivatives by them."""

import pytest
import torch
from charge_calls import atoms_and_pairs, run
from helpers import FULL, tiny_config, tiny_energy
from kernel_helpers import load

from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference.fold import fold

ALL = ("energies", "forces", "strain", "virials", "charges")


@pytest.mark.parametrize("build", library.BUILDS)
def test_a_program_without_charges_gives_zeros(build):
    """And seeds add nothing to its forces, to the last bit."""
    config = tiny_config(**FULL)
    kernels, arrays = load(build), atoms_and_pairs(config, "triclinic")
    program = fold(tiny_energy(config), torch.float64)
    seeds = torch.linspace(-9.0, 9.0, len(arrays[0]), dtype=torch.float64)
    before = run(kernels, program, arrays, ALL[:3], threads=2)
    after = run(kernels, program, arrays, ALL, seeds, threads=2)
    assert not after["charges"].any()
    for name, value in before.items():
        assert torch.equal(after[name], value)
    assert not torch.ops.openmm_allegro.charges(*arrays, *program).any()
    seeded = torch.ops.openmm_allegro.evaluate_charged(*arrays, *program, seeds)
    plain = torch.ops.openmm_allegro.evaluate(*arrays, *program)
    for one, other in zip(seeded, plain, strict=True):
        assert torch.equal(one, other)
