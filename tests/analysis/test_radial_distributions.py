# SPDX-License-Identifier: MIT
"""g(r) with errors, in one pass and from a stream; potential of mean force."""

import mdtraj
import numpy as np
import pytest
from analysis_helpers import (
    CUBIC,
    TRICLINIC,
    make_trajectory,
    uniform_gas,
)

from openmm_allegro.analysis import (
    RadialDistribution,
    coordination_number,
    element_pairs,
    potential_of_mean_force,
    radial_distributions,
    rdf,
)
from openmm_allegro.analysis.structure.pairs import (
    _count_all,
    _count_near,
    neighbor_pairs,
)
from openmm_allegro.analysis.structure.rdf import histograms


def gas_of_ions(cell, n_frames, rng):
    """20 Na, 30 Cl and 1 Li of an ideal gas, some of them in other images."""
    gas = uniform_gas(cell, n_frames, 51, rng)
    gas += rng.integers(-2, 3, gas.shape) @ cell
    return make_trajectory(gas, cell, ["Na"] * 20 + ["Cl"] * 30 + ["Li"])


def test_errors_are_the_scatter_of_an_ideal_gas():
    rng = np.random.default_rng(31)
    trajectory = gas_of_ions(CUBIC, 200, rng)
    pairs = {"Na-Cl": ("element Na", "element Cl")}
    found = radial_distributions(trajectory, pairs, bin_width=0.1, n_blocks=20)["Na-Cl"]
    z = ((found.g - 1) / found.g_error)[3:]
    # Errors are 1.03 standard errors (Student); 99.8 % limits of a mean of 12 squares.
    assert 0.15 < np.mean(z**2) < 3.1
    # The counts are Poisson: the error is that of the number of pairs in a bin.
    volume = 4 * np.pi * found.r**2 * 0.1
    poisson = 1 / np.sqrt(200 * 600 * volume / 27)
    assert np.mean((found.g_error / poisson)[3:]) == pytest.approx(1.03, abs=0.15)
    sphere = 4 / 3 * np.pi * (found.r + 0.05) ** 3
    z = (found.number - 30 * sphere / 27) / found.number_error
    assert np.abs(z[3:]).max() < 4.5


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
@pytest.mark.parametrize("count", [_count_near, _count_all])
def test_pairs_in_one_molecule_are_left_out(cell, count):
    """Those that are left are all but the pairs within, measured one by one."""
    rng = np.random.default_rng(35)
    centers = uniform_gas(cell, 3, 20, rng)
    bonds = rng.normal(0.0, 0.05, (3, 20, 3, 3))
    atoms = (centers[:, :, None] + bonds).reshape(3, 60, 3)
    trajectory = make_trajectory(atoms, cell, ["O", "H", "H"] * 20)
    o, h = np.arange(0, 60, 3), np.setdiff1d(np.arange(60), np.arange(0, 60, 3))
    molecules, cells = np.arange(60) // 3, trajectory.unitcell_vectors
    more = (cells,) if count is _count_near else ()
    for a, b in ((o, h), (h, h)):
        left = count(trajectory, *more, a, b, 1.0, 25, molecules)
        every = count(trajectory, *more, a, b, 1.0, 25, None)
        within = [(i, j) for i in a for j in b if i // 3 == j // 3 and i != j]
        distances = mdtraj.compute_distances(trajectory, within)
        inside = [np.histogram(row, 25, (0, 1.0))[0] for row in distances]
        np.testing.assert_array_equal(left + inside, every)
    pairs = [(o, h), (h, h)]
    counted = histograms(trajectory, pairs, 1.0, 0.04, molecules=molecules)
    for histogram, number in zip(counted, (20 * 38, 40 * 38), strict=True):
        volume = abs(np.linalg.det(cell))
        sphere = 4 / 3 * np.pi * 3 * number / volume
        assert histogram.ideal.sum() == pytest.approx(sphere, rel=1e-5)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_one_pass_gives_every_partial_and_the_total(cell):
    rng = np.random.default_rng(32)
    trajectory = gas_of_ions(cell, 30, rng)
    pairs = element_pairs(trajectory)
    assert list(pairs) == "Cl-Cl Cl-Li Cl-Na Li-Na Na-Na total".split()
    found = radial_distributions(trajectory, pairs, r_max=1.0, bin_width=0.05)
    for label, (a, b) in pairs.items():
        r, g = rdf(trajectory, a, b, r_max=1.0, bin_width=0.05)
        np.testing.assert_allclose(found[label].r, r)
        np.testing.assert_allclose(found[label].g, g)
        within = coordination_number(trajectory, a, b, r_max=1.0)
        assert found[label].number[-1] == pytest.approx(within.number)
        assert found[label].number_error[-1] == pytest.approx(within.number_error)
    # The total is the sum of the partials, weighted by their numbers of pairs.
    weights = {"Cl-Cl": 870, "Cl-Na": 1200, "Na-Na": 380, "Cl-Li": 60, "Li-Na": 40}
    total = sum(n * found[label].g for label, n in weights.items()) / 2550
    np.testing.assert_allclose(found["total"].g, total)


def test_a_stream_of_chunks_is_the_trajectory(tmp_path):
    rng = np.random.default_rng(33)
    trajectory = gas_of_ions(CUBIC, 30, rng)
    trajectory.save_dcd(str(tmp_path / "gas.dcd"))
    stored = mdtraj.load(str(tmp_path / "gas.dcd"), top=trajectory.topology)

    def stream():
        return mdtraj.iterload(
            str(tmp_path / "gas.dcd"), top=trajectory.topology, chunk=7
        )

    pairs = {"Na-Cl": ("element Na", "element Cl")}
    whole = radial_distributions(stored, pairs, r_max=1.2)["Na-Cl"]
    found = radial_distributions(stream(), pairs, r_max=1.2)["Na-Cl"]
    np.testing.assert_allclose(found.g, whole.g)
    assert np.all(found.g_error[-100:] > 0)
    with pytest.raises(ValueError, match="r_max with a stream"):
        radial_distributions(stream(), pairs)
    with pytest.raises(ValueError, match="at least one frame"):
        radial_distributions(iter([]), pairs, r_max=1.2)
    with pytest.raises(ValueError, match="chunks of 51 atoms, found one of 50"):
        rdf([stored, stored.atom_slice(range(50))], "all", "all", r_max=1.0)
    smaller = make_trajectory(stored.xyz, 0.7 * CUBIC, ["Ar"] * 51)
    with pytest.raises(ValueError, match=r"up to 1\.05 nm"):
        rdf([stored, smaller], "all", "all", r_max=1.2)
    with pytest.raises(ValueError, match="fewer --blocks"):
        radial_distributions(stored, pairs, n_blocks=31)
    with pytest.raises(ValueError, match="at least one pair of selections"):
        radial_distributions(stored, {})


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_search_and_brute_force_find_the_same_pairs(cell):
    rng = np.random.default_rng(34)
    trajectory = gas_of_ions(cell, 4, rng)
    everything, some = np.arange(51), np.arange(10, 40)
    for a, b in [(everything, everything), (some, everything), (some[:9], some[9:])]:
        near = _count_near(trajectory, trajectory.unitcell_vectors, a, b, 0.9, 30, None)
        brute = _count_all(trajectory, a, b, 0.9, 30, None)
        # Rounding in float32 may put a distance into the next bin.
        assert np.abs(np.cumsum(near - brute, axis=1)).max() <= 1
        assert near.sum() > 50
        centers, neighbors, vectors = neighbor_pairs(
            trajectory.xyz[0], trajectory.unitcell_vectors[0], a, b, 0.9
        )
        assert len(centers) == near[0].sum()
        assert set(centers) <= set(a) and set(neighbors) <= set(b)
        pairs = np.stack([centers, neighbors], axis=1)
        expected = mdtraj.compute_displacements(trajectory[0], pairs)[0]
        np.testing.assert_allclose(vectors, expected, atol=2e-6)


def test_potential_of_mean_force_inverts_boltzmann():
    r = np.linspace(0.2, 1.0, 50)
    energy = 4.0 * ((0.3 / r) ** 12 - (0.3 / r) ** 6)
    rt = 8.31446e-3 * 350
    g = np.where(r < 0.25, 0.0, np.exp(-energy / rt))
    distribution = RadialDistribution(r, g, 0.05 * g, r, r)
    found = potential_of_mean_force(distribution, 350)
    np.testing.assert_array_equal(found.r, r[r >= 0.25])
    np.testing.assert_allclose(found.potential, energy[r >= 0.25], rtol=1e-5)
    np.testing.assert_allclose(found.error, 0.05 * rt, rtol=1e-5)
    with pytest.raises(ValueError, match="above 0 K"):
        potential_of_mean_force(distribution, 0.0)
