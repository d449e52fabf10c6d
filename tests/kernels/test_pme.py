# SPDX-License-Identifier: MIT
"""Sums over charges on a mesh: Fourier transforms, accuracy, derivatives, threads."""

import itertools

import numpy as np
import pytest
import torch

from openmm_allegro.kernels.inference import long_range as operator
from openmm_allegro.kernels.inference import mesh as compiled
from openmm_allegro.kernels.inference.long_range_twin import long_range, mesh_points
from openmm_allegro.kernels.library import Outcome, library
from openmm_allegro.model.ewald import ewald_sum, open_sum

ALPHA = 0.4
CELLS = {
    "cubic": np.diag([11.0, 11.0, 11.0]),
    "triclinic": np.array([[10.4, 0.0, 0.0], [1.3, 11.1, 0.0], [-4.1, 3.3, 9.9]]),
    "left-handed": np.array([[0.0, 10.4, 0.2], [11.1, 0.0, 0.4], [0.3, 0.1, 9.9]]),
    "thin": np.array([[24.0, 0.0, 0.0], [1.0, 2.1, 0.0], [0.0, 0.5, 19.0]]),
    "small": np.diag([2.2, 3.0, 0.7]),
    "none": np.zeros((3, 3)),
}


@pytest.fixture(scope="module")
def mesh():
    return compiled.Mesh(library())


def charges_in(cell, count=90, seed=0, size=0.4):
    """Positions, in several images, and charges of one size that sum up to 0."""
    rng = np.random.default_rng(seed)
    box = cell if cell.any() else CELLS["cubic"]
    positions = rng.uniform(-1.0, 2.0, size=(count, 3)) @ box
    charges = rng.permutation(np.tile([size, -size], count // 2))
    return positions, cell, charges


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values))))


def factors_are_small(length):
    for factor in (2, 3, 5, 7):
        while length % factor == 0:
            length //= factor
    return length == 1


@pytest.mark.parametrize("length", [*range(1, 65), 96, 105, 128, 343, 500, 864])
def test_fourier_transforms_are_those_of_numpy(length):
    rng = np.random.default_rng(length)
    real, imaginary = rng.normal(size=(2, 11, length))
    expected = np.fft.fft(real + 1j * imaginary)
    expected_real = np.fft.rfft(real)
    other, unused = real.copy(), np.zeros_like(real)
    transform = library().allegro_fourier
    outcome = transform(11, length, 0, real.ctypes.data, imaginary.ctypes.data)
    if not factors_are_small(length):
        assert outcome == Outcome.REFUSED
        return
    assert outcome == Outcome.OK
    scale = 1e-15 * np.sqrt(length) * 10
    assert np.abs(real + 1j * imaginary - expected).max() < scale
    outcome = transform(11, length, 1, other.ctypes.data, unused.ctypes.data)
    if length % 2:
        assert outcome == Outcome.REFUSED
        return
    half = (other + 1j * unused)[:, : length // 2 + 1]
    assert np.abs(half - expected_real).max() < scale


@pytest.mark.parametrize("name", [name for name in CELLS if name != "none"])
def test_forces_are_those_of_the_exact_sum(mesh, name):
    """Charges of 0.4 e on the mesh that is the default, and on one of 0.8 Å."""
    cell = CELLS[name]
    count = 2 * max(2, round(0.04 * abs(np.linalg.det(cell))))
    arrays = charges_in(cell, count)
    exact = ewald_sum(*tensors(*arrays), ALPHA, 1e-16)
    narrow = {"thin": 2.0, "small": 6.0}.get(name, 1.0)
    for spacing, order, bound in ((0.0, 7, 1e-5), (0.8, 6, 1.3e-5), (0.5, 8, 2e-8)):
        energy, potentials, forces, strain = mesh.sum(*arrays, ALPHA, spacing, order)
        bound *= narrow
        assert root_mean_square(forces - exact.forces.numpy()) < bound
        assert root_mean_square(potentials - exact.potentials.numpy()) < bound
        assert abs(energy - float(exact.energy)) < bound * len(forces) / 10
        assert np.abs(strain - exact.strain.numpy()).max() < 30 * bound


def test_errors_fall_with_spacing_and_order(mesh):
    arrays = charges_in(CELLS["triclinic"])
    exact = ewald_sum(*tensors(*arrays), ALPHA, 1e-16).forces.numpy()

    def error(spacing, order):
        return root_mean_square(mesh.sum(*arrays, ALPHA, spacing, order)[2] - exact)

    by_order = [error(0.8, order) for order in (4, 5, 6, 7, 8)]
    assert all(more > 2 * less for more, less in itertools.pairwise(by_order))
    for order in (4, 6, 8):  # the error goes with the order less one
        rate = np.log2(error(1.0, order) / error(0.5, order))
        assert rate > order - 1.2, (order, rate)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("order", [4, 5, 7, 8])
def test_compiled_is_twin(mesh, name, order):
    positions, cell, charges = charges_in(CELLS[name])
    charges = charges + 0.01  # a net charge too
    results = mesh.sum(positions, cell, charges, ALPHA, 0.9, order)
    twin = torch.jit.script(long_range)
    expected = twin(*tensors(positions, cell, charges), ALPHA, 0.9, order)
    for value, reference in zip(results, expected, strict=True):
        scale = max(1.0, float(reference.abs().max()))
        assert np.abs(value - reference.numpy()).max() < 1e-12 * scale
    if cell.any():
        points = compiled.mesh_points(library(), cell, ALPHA, 0.9)
        assert points == mesh_points(torch.from_numpy(cell), ALPHA, 0.9)
        lengths = np.linalg.norm(cell, axis=1)
        assert all(n % 2 == 0 and factors_are_small(n) for n in points)
        assert (lengths / points <= 0.9).all()


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_are_those_of_the_energy(mesh, name):
    """Not of the exact one: what is missing is the error of the mesh, see below."""
    positions, cell, charges = charges_in(CELLS[name], count=20)
    x, box, q = (t.requires_grad_() for t in tensors(positions, cell, charges))
    stretch = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    unit = torch.eye(3, dtype=torch.float64) + stretch
    moved = (x @ unit, box @ unit) if cell.any() else (x @ unit, box.detach())
    energy = long_range(*moved, q, ALPHA, 1.0, 6)[0]
    gradients = torch.autograd.grad(energy, (q, x, stretch))
    results = mesh.sum(positions, cell, charges, ALPHA, 1.0, 6)
    for value, sign, expected in zip(results[1:], (1, -1, 1), gradients, strict=True):
        scale = max(1.0, float(expected.abs().max()))
        assert np.abs(sign * value - expected.numpy()).max() < 1e-11 * scale
    step = np.zeros_like(positions)
    step[3] = 1e-4
    energies = [
        float(mesh.sum(positions + s * step, cell, charges, ALPHA, 1.0, 6)[0])
        for s in (1, -1)
    ]
    slope = (energies[0] - energies[1]) / 2e-4
    assert slope == pytest.approx(-results[2][3].sum(), abs=1e-7)


def test_the_sum_of_forces_is_an_error_of_the_mesh(mesh):
    """The mesh stands still when all charges move, so momentum has this error."""
    positions, cell, charges = charges_in(CELLS["triclinic"])
    for spacing, bound in ((0.0, 1e-4), (0.4, 1e-6)):
        forces = mesh.sum(positions, cell, charges, ALPHA, spacing)[2]
        assert np.abs(forces.sum(0)).max() < bound
        energies = [
            float(mesh.sum(positions + shift, cell, charges, ALPHA, spacing)[0])
            for shift in (0.0, 0.33, 12.3)
        ]
        assert np.ptp(energies) < bound
    # whole boxes and whole points of the mesh are no error
    points = compiled.mesh_points(library(), cell, ALPHA)
    by_point = cell[1] / points[1] - 3 * cell[2]
    moved = mesh.sum(positions + by_point, cell, charges, ALPHA)
    unmoved = mesh.sum(positions, cell, charges, ALPHA)
    for value, other in zip(unmoved, moved, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-11)


@pytest.mark.parametrize("name", ["triclinic", "thin", "none"])
def test_threads_do_not_change_a_bit(mesh, name):
    arrays = charges_in(CELLS[name], count=400)
    expected = mesh.sum(*arrays, ALPHA)
    for threads in (2, 3, 5, 64):
        results = mesh.sum(*arrays, ALPHA, threads=threads)
        for value, other in zip(expected, results, strict=True):
            assert np.array_equal(value, other)


def test_results_that_are_not_wanted_change_none(mesh):
    for name in ("triclinic", "none"):
        arrays = charges_in(CELLS[name])
        expected = mesh.sum(*arrays, ALPHA)
        energy, *zeros = mesh.sum(*arrays, ALPHA, only_energy=True)
        assert energy == expected[0]
        assert not any(array.any() for array in zeros)


def test_another_box_makes_another_mesh(mesh):
    """As if each were the first."""
    for name in ("cubic", "thin", "cubic", "none", "small", "triclinic"):
        arrays = charges_in(CELLS[name])
        new = compiled.Mesh(library()).sum(*arrays, ALPHA)
        for value, other in zip(mesh.sum(*arrays, ALPHA), new, strict=True):
            assert np.array_equal(value, other)


def test_a_large_box_tends_to_no_box():
    positions, _, charges = charges_in(CELLS["none"], count=10)
    positions = 0.3 * (positions - positions.mean(0))
    dipole = charges @ positions
    free = open_sum(*tensors(positions, charges), ALPHA)
    for length in (60.0, 120.0):
        box = torch.eye(3, dtype=torch.float64) * length
        x, q = tensors(positions, charges)
        energy = torch.ops.openmm_allegro.long_range(x, box, q, ALPHA)[0]
        # images of the dipole, in conducting surroundings
        images = -2.0 * np.pi / 3.0 * dipole @ dipole * 14.3996 / length**3
        assert float(energy - free.energy) == pytest.approx(images, rel=0.03, abs=1e-6)


def test_meshes_that_cannot_be_are_refused():
    x, q = torch.zeros(2, 3, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    sum_charges = torch.ops.openmm_allegro.long_range
    box = torch.eye(3, dtype=torch.float64) * 10.0
    flat = box * torch.tensor([1.0, 1.0, 0.0])
    for refused, message in (
        ((x, box * 1e4, q, ALPHA), "at most 2\\^28 points"),
        ((x, flat, q, ALPHA), "box with a volume"),
        ((x, box * torch.nan, q, ALPHA), "box with a volume"),
        ((x, box, q, 0.0), "finite alpha"),
        ((x, box, q, ALPHA, -1.0), "finite spacing"),
        ((x, box, q, ALPHA, 0.0, 9), "order 4 to 8"),
        ((x, box, q[:1], ALPHA), "charges of shape"),
        ((x.float(), box, q, ALPHA), "torch.float64"),
    ):
        with pytest.raises(ValueError, match=message):
            sum_charges(*refused)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_the_operator_is_either(monkeypatch, is_compiled):
    if not is_compiled:
        monkeypatch.setattr(operator, "library", lambda: None)
    for name in ("triclinic", "none"):
        arrays = tensors(*charges_in(CELLS[name]))
        results = torch.ops.openmm_allegro.long_range(*arrays, ALPHA)
        expected = long_range(*arrays, ALPHA, compiled.SPACING, compiled.ORDER)
        for value, reference in zip(results, expected, strict=True):
            torch.testing.assert_close(value, reference, atol=1e-11, rtol=1e-12)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_positions_that_are_no_numbers_give_none(monkeypatch, is_compiled):
    if not is_compiled:
        monkeypatch.setattr(operator, "library", lambda: None)
    for name in ("triclinic", "none"):
        x, box, q = tensors(*charges_in(CELLS[name], count=4))
        x[1, 2] = torch.nan
        results = torch.ops.openmm_allegro.long_range(x, box, q, ALPHA)
        assert all(bool(value.isnan().any()) for value in results)
