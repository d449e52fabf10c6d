# SPDX-License-Identifier: MIT
"""g(r) and coordination: ideal gas, lattices and brute-force counts."""

import itertools

import numpy as np
import pytest
from analysis_helpers import (
    CUBIC,
    ORTHORHOMBIC,
    TRICLINIC,
    make_trajectory,
    uniform_gas,
)

from openmm_allegro.analysis import coordination_number, diffusion, rdf, unwrap
from openmm_allegro.analysis.frames import cell_vectors


def smallest_width(cell):
    volume = abs(np.linalg.det(cell))
    a, b, c = cell
    faces = (np.cross(b, c), np.cross(c, a), np.cross(a, b))
    return min(volume / np.linalg.norm(face) for face in faces)


def brute_force_number(trajectory, a, b, r_max):
    """Mean count of b within r_max of a, over 343 images of every pair."""
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    count = 0
    for xyz, cell in zip(trajectory.xyz, trajectory.unitcell_vectors, strict=True):
        for i, j in itertools.product(a, b):
            images = xyz[j].astype(float) - xyz[i] + shifts @ cell.astype(float)
            count += int(i != j and np.linalg.norm(images, axis=1).min() < r_max)
    return count / (len(a) * trajectory.n_frames)


@pytest.mark.parametrize("cell", [CUBIC, ORTHORHOMBIC, TRICLINIC])
def test_cells_are_those_of_the_trajectory(cell):
    """In float64, of lengths and angles that are float32; no cell is an error."""
    trajectory = make_trajectory(np.zeros((3, 1, 3)), cell, ["Ar"])
    cells = cell_vectors(trajectory)
    np.testing.assert_allclose(cells, trajectory.unitcell_vectors, rtol=0, atol=1e-6)
    np.testing.assert_allclose(cells[1], cell, rtol=0, atol=1e-6)
    trajectory.unitcell_angles[1] = [60.0, 60.0, 130.0]  # closes no volume
    with pytest.raises(ValueError, match=r"with a volume .* found none in frame 1"):
        cell_vectors(trajectory)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
@pytest.mark.parametrize("like", [True, False], ids=["like", "unlike"])
def test_ideal_gas_has_unit_g_within_poisson_error(cell, like):
    rng = np.random.default_rng(1)
    n_frames, n_a, n_b = 40, 60, 90
    gas = uniform_gas(cell, n_frames, n_a + n_b, rng)
    trajectory = make_trajectory(gas, cell, ["Na"] * n_a + ["Cl"] * n_b)
    second = "element Na" if like else "element Cl"
    r, g = rdf(trajectory, "element Na", second, bin_width=0.05, chunk_frames=7)

    # Pairs of an ideal gas are independent, so the counts are Poisson distributed.
    n_pairs = n_a * (n_a - 1) / 2 if like else n_a * n_b
    width = r[1] - r[0]
    shells = 4 / 3 * np.pi * ((r + width / 2) ** 3 - (r - width / 2) ** 3)
    expected = n_frames * n_pairs * shells / abs(np.linalg.det(cell))
    z = ((g - 1) * np.sqrt(expected))[expected > 20]
    assert len(z) > 10
    assert np.abs(z).max() < 4
    assert abs(np.sum(z**2) - len(z)) < 4 * np.sqrt(2 * len(z))


def test_ideal_gas_stays_at_one_in_a_changing_cell():
    rng = np.random.default_rng(2)
    scale = np.linspace(0.7, 1.3, 60)
    cells = scale[:, None, None] * CUBIC
    gas = uniform_gas(cells, 60, 100, rng)
    trajectory = make_trajectory(gas, cells, ["Ar"] * 100)
    r, g = rdf(trajectory, "all", "all", bin_width=0.05)
    expected = 4950 * 4 * np.pi * r**2 * 0.05 * np.sum(1 / (27 * scale**3))
    assert np.abs((g - 1) * np.sqrt(expected))[expected > 20].max() < 4
    # The smallest frame bounds the radius.
    assert r[-1] < 0.7 * 1.5


@pytest.mark.parametrize(
    ("basis", "neighbours", "distance"),
    [
        ([[0, 0, 0]], 6, 1.0),
        ([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 12, np.sqrt(0.5)),
    ],
    ids=["simple cubic", "fcc"],
)
def test_lattice_peaks_and_coordination(basis, neighbours, distance):
    constant, repeats = 0.4, 5
    corners = np.array(list(itertools.product(range(repeats), repeat=3)))
    sites = constant * (corners[:, None] + np.array(basis)).reshape(-1, 3)
    trajectory = make_trajectory(
        [sites] * 2, constant * repeats * np.eye(3), ["Ar"] * len(sites)
    )
    shell = coordination_number(trajectory, "all", "all")
    assert shell.number == neighbours
    assert shell.r_peak == pytest.approx(constant * distance, abs=0.0026)
    # The cut lies between the first two shells.
    second = {6: np.sqrt(2), 12: 1.0}[neighbours] * constant
    assert constant * distance < shell.r_max < second

    r, g = rdf(trajectory, "all", "all")
    peaks = r[g > 0]
    assert peaks[0] == pytest.approx(constant * distance, abs=0.0026)
    assert np.any(np.abs(peaks - second) < 0.0026)
    assert not np.any((r > shell.r_peak + 0.006) & (r < second - 0.006) & (g > 0))


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["ortho", "triclinic"])
def test_coordination_equals_brute_force_count(cell):
    rng = np.random.default_rng(3)
    gas = uniform_gas(cell, 3, 40, rng) + rng.integers(-1, 2, (3, 40, 3)) @ cell
    trajectory = make_trajectory(gas, cell, ["Na"] * 10 + ["O"] * 30)
    r_max = 0.49 * smallest_width(cell)
    sodium, oxygen, everything = np.arange(10), np.arange(10, 40), np.arange(40)
    for a, b in [(sodium, oxygen), (oxygen, oxygen), (sodium, everything)]:
        found = coordination_number(trajectory, a, b, r_max=r_max)
        assert found.r_max == pytest.approx(r_max)
        expected = brute_force_number(trajectory, a, b, r_max)
        assert found.number == pytest.approx(expected, rel=1e-12)


def test_coordination_is_the_integral_of_g():
    rng = np.random.default_rng(4)
    trajectory = make_trajectory(
        uniform_gas(CUBIC, 20, 80, rng), CUBIC, ["Na"] * 20 + ["O"] * 60
    )
    for second, n_b in [("element O", 60), ("element Na", 19)]:
        r, g = rdf(trajectory, "element Na", second, r_max=1.0, bin_width=0.01)
        shells = 4 / 3 * np.pi * ((r + 0.005) ** 3 - (r - 0.005) ** 3)
        shell = coordination_number(trajectory, "element Na", second, r_max=1.0)
        assert shell.number == pytest.approx(n_b / 27 * np.sum(g * shells), rel=1e-5)


def test_first_shell_is_found_in_noise():
    """A shell of 4 at 0.3 ± 0.02 nm in a sparse gas: the cut lies outside it."""
    rng = np.random.default_rng(5)
    n_frames = 200
    directions = rng.normal(size=(n_frames, 4, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    radii = rng.normal(0.3, 0.02, (n_frames, 4, 1))
    gas = uniform_gas(CUBIC, n_frames, 900, rng)
    # An empty shell around the ion, then the bulk.
    away = np.linalg.norm(gas - 1.5, axis=-1) > 0.45
    gas[~away] = 0.0
    positions = np.concatenate(
        [np.full((n_frames, 1, 3), 1.5), 1.5 + radii * directions, gas], axis=1
    )
    trajectory = make_trajectory(positions, CUBIC, ["Na"] + ["O"] * 904)
    shell = coordination_number(trajectory, "element Na", "element O")
    assert shell.number == pytest.approx(4, abs=0.02)
    assert shell.r_peak == pytest.approx(0.3, abs=0.03)
    assert 0.36 < shell.r_max < 0.47


def test_no_shell_is_an_error():
    rng = np.random.default_rng(6)
    gas = make_trajectory(uniform_gas(CUBIC, 20, 60, rng), CUBIC, ["Ar"] * 60)
    with pytest.raises(ValueError, match="--shell, r_max"):
        coordination_number(gas, "all", "all")


@pytest.mark.parametrize("cell", [CUBIC, ORTHORHOMBIC, TRICLINIC])
def test_r_max_is_guarded_by_perpendicular_width(cell):
    rng = np.random.default_rng(7)
    trajectory = make_trajectory(uniform_gas(cell, 2, 20, rng), cell, ["Ar"] * 20)
    allowed = smallest_width(cell) / 2
    rdf(trajectory, "all", "all", r_max=allowed)
    r, _ = rdf(trajectory, "all", "all")
    assert r[-1] < allowed < r[-1] + 0.005
    with pytest.raises(ValueError, match=rf"up to {allowed:.4g}.* nm"):
        rdf(trajectory, "all", "all", r_max=1.01 * allowed)


def test_bad_selections_and_cells_are_errors():
    rng = np.random.default_rng(8)
    gas = uniform_gas(CUBIC, 30, 4, rng)
    trajectory = make_trajectory(gas, CUBIC, ["Ar"] * 4)
    with pytest.raises(ValueError, match="element Li"):
        rdf(trajectory, "all", "element Li")
    with pytest.raises(ValueError, match="element Li"):
        diffusion(trajectory, "element Li")
    with pytest.raises(ValueError, match="elment Ar"):
        rdf(trajectory, "elment Ar", "all")
    with pytest.raises(ValueError, match="0 to 3"):
        rdf(trajectory, "all", [2, 4])
    with pytest.raises(ValueError, match="repeated"):
        rdf(trajectory, "all", [2, 2])
    with pytest.raises(ValueError, match="integer"):
        rdf(trajectory, "all", [0.5])
    with pytest.raises(ValueError, match="pair"):
        rdf(trajectory, [0], [0])
    with pytest.raises(ValueError, match="bin_width"):
        rdf(trajectory, "all", "all", bin_width=0.0)
    without = make_trajectory(gas, None, ["Ar"] * 4)
    for function in (rdf, coordination_number):
        with pytest.raises(ValueError, match="unit cell"):
            function(without, "all", "all")
    with pytest.raises(ValueError, match="unit cell"):
        unwrap(without)
    with pytest.raises(ValueError, match="unit cell"):
        diffusion(without, "all")
