# SPDX-License-Identifier: MIT
"""S(q): ideal gas, dimers and lattices; Fourier transform of g(r); weights."""

import tracemalloc

import numpy as np
import pytest
from analysis_helpers import CUBIC, TRICLINIC, make_trajectory, uniform_gas
from scipy.integrate import trapezoid

from openmm_allegro.analysis import radial_distributions, structure_factor
from openmm_allegro.analysis.structure.waves import wave_indices


def dimers(cell, n_frames, n, length, elements, rng):
    """An ideal gas of pairs of atoms at a fixed distance."""
    first = uniform_gas(cell, n_frames, n, rng)
    arms = rng.normal(size=first.shape)
    arms *= length / np.linalg.norm(arms, axis=-1, keepdims=True)
    positions = np.concatenate([first, first + arms], axis=1)
    symbols = [elements[0]] * n + [elements[1]] * n
    return make_trajectory(positions, cell, symbols)


def fourier_of_rdf(r, g, density, q, *, lorch=False):
    """S(q) = 1 + 4 π ρ ∫ r² [g(r) - 1] sin(qr) / qr dr, up to the end of g(r).

    With Lorch's window, doi:10.1088/0022-3719/2/2/305.
    """
    kernel = r**2 * (g - 1)
    if lorch:
        kernel = kernel * np.sinc(r / (r[-1] + 0.5 * (r[1] - r[0])))
    waves = np.sinc(np.outer(q, r) / np.pi)
    return 1 + 4 * np.pi * density * trapezoid(kernel * waves, r, axis=1)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_dimers_have_their_molecular_form_factor(cell):
    rng = np.random.default_rng(91)
    trajectory = dimers(cell, 60, 40, 0.25, ["C", "O"], rng)
    found = structure_factor(trajectory, 40.0, bin_width=2.0, vectors_per_bin=60)
    wave = np.sinc(found.q * 0.25 / np.pi)

    def deviation(estimate, exact):
        z = (estimate.value - exact) / estimate.error
        assert np.abs(z).max() < 5
        assert np.mean(z**2) < 3

    assert list(found.partial) == ["C-C", "C-O", "O-O"]
    deviation(found.partial["C-C"], 1)
    # x = 1/2 and one partner in N / 2: 1 + 2 sin(qd) / qd
    deviation(found.partial["C-O"], 1 + 2 * wave)
    deviation(found.number, 1 + wave)
    carbon, oxygen = 6.646, 5.803  # fm
    share = 2 * carbon * oxygen / (carbon + oxygen) ** 2
    deviation(found.neutron, 1 + 2 * share * wave)
    assert found.q[0] < found.q[-1] < 40


def test_fourier_of_g_is_the_structure_factor():
    rng = np.random.default_rng(92)
    trajectory = dimers(CUBIC, 150, 60, 0.25, ["Ar", "Ar"], rng)
    (g,) = radial_distributions(trajectory, {"": ("all", "all")}).values()
    q = np.arange(3.0, 40.0)
    transformed = fourier_of_rdf(g.r, g.g, 120 / 27, q)
    exact = 1 + np.sinc(q * 0.25 / np.pi)
    assert np.abs(transformed - exact).max() < 0.15
    direct = structure_factor(trajectory, 40.0)
    expected = fourier_of_rdf(g.r, g.g, 120 / 27, direct.q)
    assert np.abs(direct.number.value - expected)[direct.q > 5].max() < 0.25
    # A window that falls to zero at the end broadens, and leaves S(q) at large q.
    damped = fourier_of_rdf(g.r, g.g, 120 / 27, q, lorch=True)
    assert np.abs(damped - exact).max() < 0.2


def test_lattice_scatters_at_its_reciprocal_vectors_alone():
    sites = np.stack(np.meshgrid(*[np.arange(6) * 0.5] * 3), -1).reshape(-1, 3)
    trajectory = make_trajectory([sites] * 10, CUBIC, ["Cu"] * 216)
    found = structure_factor(trajectory, 14.0, bin_width=0.5, vectors_per_bin=1000)
    bragg = np.abs(found.q - 12.75) < 0.25
    assert np.all(np.abs(found.number.value[~bragg]) < 1e-6)
    # Of the 63 pairs ±(h, k, l) with h² + k² + l² from 36 to 38, which share the bin,
    # three are the lattice's own: (6, 0, 0), (0, 6, 0) and (0, 0, 6).
    assert found.number.value[bragg] * 63 == pytest.approx(3 * 216, rel=1e-5)


def test_weights_are_those_of_the_tables():
    rng = np.random.default_rng(93)
    trajectory = dimers(CUBIC, 12, 20, 0.1, ["O", "H"], rng)
    options = {"bin_width": 3.0, "vectors_per_bin": 20}
    square = structure_factor(trajectory, 30.0, **options)
    options["norm"] = "squared mean"
    found = structure_factor(trajectory, 30.0, **options)
    heavy = structure_factor(trajectory, 30.0, isotopes={"H": 2}, **options)

    def mix(oxygen, hydrogen):
        p = {name: found.partial[name].value - 1 for name in ("O-O", "H-O", "H-H")}
        total = oxygen**2 * p["O-O"] + hydrogen**2 * p["H-H"]
        total = total + 2 * oxygen * hydrogen * p["H-O"]
        return 1 + total / (oxygen + hydrogen) ** 2

    np.testing.assert_allclose(found.neutron.value, mix(5.8037, -3.7409), rtol=1e-3)
    np.testing.assert_allclose(heavy.neutron.value, mix(5.8037, 6.6681), rtol=1e-3)
    factor = (5.8037 - 3.7409) ** 2 / (2 * (5.8037**2 + 3.7409**2))
    np.testing.assert_allclose(
        square.neutron.value - 1, factor * (found.neutron.value - 1), rtol=1e-4
    )
    # As an intensity, which it is, it cannot be negative.
    assert square.neutron.value.min() > 0
    with pytest.raises(ValueError, match="norm of"):
        structure_factor(trajectory, 30.0, norm="mean")
    # Electrons: 8 and 1 at small q.
    assert found.xray.value[0] == pytest.approx(mix(8.0, 1.0)[0], rel=0.02)
    np.testing.assert_allclose(found.number.value, mix(1.0, 1.0))
    with pytest.raises(ValueError, match=r"--bin-width, .*--q-max"):
        structure_factor(trajectory, 1.0)
    with pytest.raises(ValueError, match=r"wave vector below .*--q-max"):
        structure_factor(trajectory, 2.0)


def test_a_changing_cell_takes_its_wave_vectors_along():
    rng = np.random.default_rng(94)
    cells = CUBIC * rng.uniform(0.9, 1.1, (60, 1, 1))
    trajectory = make_trajectory(uniform_gas(cells, 60, 50, rng), cells, ["Ar"] * 50)
    found = structure_factor(trajectory, 30.0, bin_width=3.0, vectors_per_bin=40)
    z = (found.number.value - 1) / found.number.error
    assert np.abs(z).max() < 5


def test_wave_vectors_of_a_large_cell_are_a_fair_few():
    """20 of each bin of 3 million within reach, without holding the 3 million."""
    tracemalloc.start()
    found = wave_indices(6 * np.eye(3), 100.0, 5.0, 20, 20, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Three integers of each would be 84 MB.
    assert peak < 30e6
    q = np.linalg.norm(found, axis=1) * 2 * np.pi / 6
    np.testing.assert_array_equal(np.bincount((q / 5).astype(int))[1:], 20)
    assert len(np.unique(np.concatenate([found, -found]), axis=0)) == 2 * len(found)
    # No direction is preferred: h, which is never below 0, is |cos| of mean 1/2.
    assert np.mean(found[:, 0] * 2 * np.pi / 6 / q) == pytest.approx(0.5, abs=0.06)

    every = wave_indices(TRICLINIC, 12.0, 3.0, 4, 10**6, seed=0)
    grid = np.arange(-9, 10)
    direct = np.stack(np.meshgrid(grid, grid, grid), -1).reshape(-1, 3)
    q = np.linalg.norm(direct @ np.linalg.inv(TRICLINIC).T, axis=1) * 2 * np.pi
    assert 2 * len(every) == np.sum(q < 12.0) - 1
