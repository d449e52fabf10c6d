# SPDX-License-Identifier: MIT
"""Virials of the atoms, positions without images, and atoms of large numbers."""

import mmap

import numpy as np
import pytest
import torch
from kernel_calls import run_some, small_system, sums
from kernel_helpers import load

from openmm_allegro.kernels import library

pytestmark = pytest.mark.parametrize("build", library.BUILDS)
STEP = 1e-4  # Å
NORESERVE = 0x4000  # of Linux's mmap: memory is taken when it is written to


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_virials_sum_to_the_strain(build, dtype):
    """And without them the other results are the same to the last bit."""
    kernels = load(build)
    for kind in ("triclinic", "tiny", "slab", "isolated"):
        system = small_system(kind, dtype)
        for threads in (1, 3):
            results = sums(kernels, system, threads)
            scale = abs(results.virials).max()
            assert scale > 1e-2
            np.testing.assert_allclose(
                results.virials.sum(0), results.strain, atol=1e-13 * scale, rtol=0
            )
            others = sums(kernels, system, threads, has_virials=False)
            for value, reference in zip(others[:3], results[:3], strict=True):
                assert np.array_equal(value, reference)


def test_virial_of_an_atom_is_that_of_the_pairs_to_it(build):
    """W_j = Σ_i (r_j - r_i) ⊗ dE_i/dr_j, derivatives of energies by differences."""
    kernels, system = load(build), small_system("isolated")
    positions = system.positions
    derivatives = np.stack(
        [
            _slope(kernels, system, direction.reshape(positions.shape))
            for direction in np.eye(positions.size)
        ],
        axis=-1,
    ).reshape(len(positions), *positions.shape)  # of E_i by r_j along an axis
    vectors = positions[None, :] - positions[:, None]
    expected = np.einsum("ijk,ija->jka", vectors, derivatives)
    found = sums(kernels, system).virials
    np.testing.assert_allclose(found, expected, atol=1e-7 * abs(expected).max())


def test_virials_give_the_heat_flux(build):
    """-Σ W_j v_j = Σ r_j (dU_j/dt + F_j · v_j), doi:10.1103/PhysRevB.92.094301.

    Their transposes and their symmetric parts do not: by little in this model, nearly
    a sum over pairs, and yet by a hundred times the error of the differences.
    """
    kernels, system = load(build), small_system("isolated")
    results = sums(kernels, system)
    velocities = np.random.default_rng(1).normal(size=system.positions.shape)
    rates = _slope(kernels, system, velocities)
    powers = (results.forces * velocities).sum(1)
    assert rates.sum() + powers.sum() == pytest.approx(0.0, abs=1e-7)
    expected = system.positions.T @ (rates + powers)
    flux = -np.einsum("jka,ja->k", results.virials, velocities)
    transposed = -np.einsum("jak,ja->k", results.virials, velocities)
    scale = abs(expected).max()
    np.testing.assert_allclose(flux, expected, atol=1e-7 * scale)
    for wrong in (transposed, 0.5 * (flux + transposed)):
        assert abs(wrong - expected).max() > 1e-5 * scale


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_shifts_are_zeros(build, dtype):
    system = small_system("isolated", dtype)
    assert not system.shifts.any()
    without = sums(load(build), system._replace(shifts=None), threads=2)
    for value, reference in zip(without, sums(load(build), system, 2), strict=True):
        assert np.array_equal(value, reference)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_atoms_of_large_numbers(build, dtype):
    """Three times such a number is more than 32 bits hold, and as an index wrong."""
    kernels, system = load(build), small_system("triclinic", dtype)
    count = len(system.positions)
    first = 2**31 - 1 - count
    assert 3 * first > 2**32
    far = system._replace(
        **{
            name: _moved(getattr(system, name), first)
            for name in ("positions", "types", "offsets")
        },
        neighbors=system.neighbors + np.int32(first),
    )
    expected = sums(kernels, system)
    results = type(expected)(
        *(_moved(np.zeros_like(value), first) for value in expected[:2]),
        np.zeros_like(expected.strain),
        _moved(np.zeros_like(expected.virials), first),
    )
    run_some(kernels, far, first, first + count, results)
    for value, reference in zip(results, expected, strict=True):
        assert np.array_equal(value[-count:], reference)


def _slope(kernels, system, direction):
    """Derivatives of the atoms' energies along a direction of all positions."""
    energies = [
        sums(kernels, system._replace(positions=system.positions + step * direction))[0]
        for step in (STEP, -STEP, 2 * STEP, -2 * STEP)
    ]
    near, far = energies[0] - energies[1], energies[2] - energies[3]
    return (8.0 * near - far) / (12.0 * STEP)


def _moved(array, first):
    """The array from the row ``first`` on, of one that takes no memory before."""
    row = array.nbytes // len(array)
    size = first * row + array.nbytes
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    try:
        memory = mmap.mmap(-1, size, flags=flags)
    except OSError:
        pytest.skip("the system does not give addresses without memory")
    whole = np.frombuffer(memory, array.dtype).reshape(-1, *array.shape[1:])
    whole[first:] = array
    return whole
