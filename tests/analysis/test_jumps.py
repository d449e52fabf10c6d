# SPDX-License-Identifier: MIT
"""Jumps between sites, of walks on lattices whose rates are known."""

import numpy as np
import pytest
from kmc_helpers import CUBIC, TRICLINIC, solid, walk

from openmm_allegro.analysis.solids.density import density_sites
from openmm_allegro.analysis.solids.host import follow_in_host
from openmm_allegro.analysis.solids.jumps import find_stays
from openmm_allegro.analysis.solids.placement import place_sites
from openmm_allegro.analysis.solids.rates import jumps
from openmm_allegro.analysis.solids.sites import Sites, SiteTree, core_radii
from openmm_allegro.runs.crystal import Crystal

RATE, STEP = 0.05, 0.2  # 1/ps to each neighbour; ps


def crystal(vectors, strain=1.0, labels=("Li1",), sites=((0.0, 0.0, 0.0),)):
    """Cell of one host atom and its sites."""
    fractional = np.array([*sites, (0.5, 0.5, 0.5)])
    symbols = np.array(["Li"] * len(sites) + ["Cl"])
    return Crystal(strain * vectors, fractional, symbols, np.array([*labels, "Cl1"]))


@pytest.fixture(scope="module", params=["cubic", "triclinic"])
def lattice(request):
    """Vectors, and the paths of 60 walkers that drift with their host."""
    vectors = {"cubic": CUBIC, "triclinic": TRICLINIC}[request.param]
    steps = walk(60, 800, RATE, STEP, seed=4)
    # large enough that two jumps between frames are less than half of it
    trajectory = solid(steps, vectors, size=5, drift=2e-3, time_step=STEP)
    return vectors, steps, follow_in_host(trajectory, "element Li")


def test_rates_residence_and_diffusion_are_those_of_the_walk(lattice):
    vectors, steps, paths = lattice
    symbols = ["Cl"] * len(paths.host)
    # of a cell that is 3 % larger than the run's, and has its origin elsewhere
    file, shift = crystal(vectors, strain=1.03), np.array([0.21, 0.4, 0.77])
    file = file._replace(fractional=(file.fractional + shift) % 1)
    sites, distance = place_sites(file, "Li", paths, symbols)
    assert len(sites.kinds) == 125 and distance < 0.01
    assert paths.host_spread == pytest.approx(np.sqrt(3) * 0.02, rel=0.05)
    assert paths.drift == pytest.approx(799 * 2e-3 * np.sqrt(1.34), rel=0.01)
    stays = find_stays(paths, sites)
    result = jumps(stays, sites, edges=())
    (rate,), (error,) = result.rates
    assert result.kinds == ("Li1-Li1",) and result.doubts == ()
    # a jump and the next within a frame are one jump, or none
    assert rate == pytest.approx(6 * RATE, abs=3 * error + 0.02 * 6 * RATE)
    assert 0.002 < error < 0.02
    exact = RATE * (np.linalg.norm(vectors, axis=1) ** 2).sum() / 3 * 1e-2
    value, error = result.diffusion
    assert value == pytest.approx(exact, abs=3 * error + 0.02 * exact)
    assert result.cosine.value == pytest.approx(0, abs=0.03)
    assert result.returns.value == pytest.approx(1 / 6, abs=0.02)
    # stays that were cut off by the ends count as long as they were seen
    stay = result.residences["Li1"]
    time, error = stay.time
    assert time == pytest.approx(1 / (6 * RATE), abs=3 * error + 0.07)
    law = np.exp(-6 * RATE * stay.lag_times)
    near = law > 0.05
    allowed = 4 * stay.survival_error[near] + 0.03
    assert np.all(np.abs(stay.survival - law)[near] < allowed)
    assert 0 < stay.censored <= 60
    assert result.occupations["Li1"] == pytest.approx(60 / 125, rel=0.01)
    # places follow the ions through the boundaries
    moved = stays.places[~stays.ended]
    first = stays.places[np.searchsorted(stays.ions, np.arange(60))]
    np.testing.assert_allclose(
        moved - first, (steps[-1] - steps[0]) @ vectors, atol=0.01
    )


def test_sites_are_found_in_the_density():
    vectors = TRICLINIC
    steps = walk(60, 400, RATE, STEP, seed=4)
    trajectory = solid(steps, vectors, drift=2e-3, time_step=STEP)
    paths = follow_in_host(trajectory, "element Li")
    found = density_sites(paths.fractional, paths.cell)
    assert len(found.kinds) == 64
    known, _ = place_sites(crystal(vectors), "Li", paths, ["Cl"] * len(paths.host))
    offsets = found.fractional[:, None] - known.fractional
    offsets = (offsets - np.round(offsets)) @ paths.cell
    nearest = np.linalg.norm(offsets, axis=2).min(axis=1)
    assert nearest.max() < 0.01
    one, other = (
        jumps(find_stays(paths, sites), sites, edges=()) for sites in (found, known)
    )
    np.testing.assert_allclose(one.rates.value, other.rates.value, rtol=1e-3)


def test_rattling_is_no_jump():
    """Sites 0.15 nm apart: an ion that swings past the middle stays where it is."""
    still = np.zeros((1500, 20, 3)) + np.arange(20)[:, None] % 4
    trajectory = solid(still, CUBIC, spread=0.022)
    paths = follow_in_host(trajectory, "element Li")
    pair = ((0.0, 0.0, 0.0), (0.5, 0.0, 0.0))
    file = crystal(CUBIC, labels=("A", "B"), sites=pair)
    sites, _ = place_sites(file, "Li", paths, ["Cl"] * 64)
    np.testing.assert_allclose(core_radii(sites), 0.6 * 0.5 * 0.15, rtol=1e-5)
    nearest = SiteTree(sites).nearest(paths.fractional)[0]
    assert (np.diff(nearest, axis=0) != 0).sum() > 10
    stays = find_stays(paths, sites)
    assert stays.ended.sum() == 0
    with pytest.raises(ValueError, match="expected jumps between sites, found none"):
        jumps(stays, sites)


def test_each_kind_of_pair_has_its_rate():
    """A chain A B A B with rates of 0.2 and 0.05 per ps to either side."""
    random = np.random.default_rng(5)
    n_frames, step = 2000, 0.1
    at, path = np.zeros(24, dtype=int), []
    for _ in range(5 * n_frames):
        path.append(at)
        leave = np.where(at % 2 == 0, 0.2, 0.05) * 2 * step / 5
        moves = random.random(24) < leave
        at = at + moves * random.choice([-1, 1], 24)
    steps = np.zeros((n_frames, 24, 3))
    steps[:, :, 0] = 0.5 * np.array(path[::5])
    steps[:, :, 1] = np.arange(24) % 4
    steps[:, :, 2] = np.arange(24) // 4 % 4
    long = CUBIC * [2, 1, 1]
    trajectory = solid(steps, long.T, time_step=step)
    paths = follow_in_host(trajectory, "element Li")
    file = crystal(long.T, labels=("A", "B"), sites=((0, 0, 0), (0.5, 0, 0)))
    sites, _ = place_sites(file, "Li", paths, ["Cl"] * 64)
    result = jumps(find_stays(paths, sites), sites)
    assert result.kinds[:2] == ("A-B", "B-A")  # and B-B: two jumps in a frame
    np.testing.assert_allclose(result.lengths[:2], 0.3, atol=1e-3)
    for value, error, exact in zip(*result.rates, (0.4, 0.1), strict=False):
        assert value == pytest.approx(exact, abs=3 * error + 0.02 * exact)
    ratio = result.occupations["B"] / result.occupations["A"]
    assert ratio == pytest.approx(4, rel=0.2)
    times = [result.residences[kind].time.value for kind in "AB"]
    assert times == pytest.approx([2.5, 10.0], rel=0.1)


def test_jumps_that_go_back_have_the_cosine_of_theirs():
    steps = walk(60, 800, RATE, STEP, seed=6, reverse=0.5)
    paths = follow_in_host(solid(steps, CUBIC, time_step=STEP), "element Li")
    sites, _ = place_sites(crystal(CUBIC), "Li", paths, ["Cl"] * 64)
    result = jumps(find_stays(paths, sites), sites)
    assert result.returns.value == pytest.approx(0.5, abs=0.04)
    # the five others add up to one step on
    assert result.cosine.value == pytest.approx(-0.5 + 0.5 / 5, abs=0.03)


def test_cages_tell_jumps_apart():
    """Two sites around each host atom: hops within, and to the next."""
    steps = walk(40, 800, RATE, STEP, seed=7)
    paths = follow_in_host(solid(steps, CUBIC, time_step=STEP), "element Li")
    places = [(0, 0, 0), (0, 0, 0.5), (0.5, 0.5, 0.25), (0.5, 0.5, 0.75)]
    file = Crystal(
        CUBIC * [1, 1, 2],
        np.array([*places, (0.1, 0.1, 0.25)]),
        np.array(["Li", "Li", "Cl", "Cl", "Br"]),
        np.array(["Li1", "Li1", "Cl1", "Cl1", "C"]),
    )
    sites, _ = place_sites(file, "Li", paths, ["Cl"] * 64, cage="C")
    centers = np.unique(np.round(sites.cages % 1, 3) % 1, axis=0)
    assert len(centers) == 32
    result = jumps(find_stays(paths, sites), sites, edges=())
    assert result.kinds == ("Li1-Li1 in a cage", "Li1-Li1 between cages")
    within, between = result.rates.value
    assert between / within == pytest.approx(5, rel=0.3)
    # a cage for each cell of the run: the next one is that of an image
    grid = np.stack(np.meshgrid(*3 * [np.arange(4)], indexing="ij"), -1).reshape(-1, 3)
    whole = Crystal(
        4 * CUBIC,
        np.concatenate([grid / 4, (grid + 0.5) / 4, [[0.375] * 3]]),
        np.array(["Li"] * 64 + ["Cl"] * 64 + ["Br"]),
        np.array(["Li1"] * 64 + ["Cl1"] * 64 + ["C"]),
    )
    sites, _ = place_sites(whole, "Li", paths, ["Cl"] * 64, cage="C")
    within, between = jumps(find_stays(paths, sites), sites, edges=()).rates.value
    assert between / within == pytest.approx(1 / 3, rel=0.2)


def test_what_does_not_fit_is_refused():
    steps = walk(10, 30, RATE, STEP, seed=8)
    trajectory = solid(steps, CUBIC, time_step=STEP)
    paths = follow_in_host(trajectory, "element Li")
    symbols = ["Cl"] * 64
    with pytest.raises(ValueError, match="supercell of the sites' cell"):
        place_sites(crystal(5 / 3 * CUBIC), "Li", paths, symbols)
    with pytest.raises(ValueError, match="expected sites of Na"):
        place_sites(crystal(CUBIC), "Na", paths, symbols)
    with pytest.raises(ValueError, match="expected labels of Cl1, Li1, found Li9"):
        place_sites(crystal(CUBIC), "Li", paths, symbols, labels=["Li9"])
    with pytest.raises(ValueError, match="without common atoms"):
        follow_in_host(trajectory, "element Li", "all")
    sites = Sites(np.zeros((1, 3)), np.eye(3), ("x",))
    with pytest.raises(ValueError, match=r"core below 0.5 nm.*found 0.6"):
        core_radii(sites, 0.6)
    shifted = crystal(CUBIC, sites=((0.0, 0.0, 0.0),))
    shifted = shifted._replace(symbols=np.array(["Li", "Br"]))
    place_sites(shifted, "Li", paths, symbols)  # another element at the host's place
