# SPDX-License-Identifier: MIT
"""Free energy surfaces of wells in closed form, and whether errors hold the truth."""

import numpy as np
import pytest

from openmm_allegro.analysis.free_energy.axes import Axis, make_axis
from openmm_allegro.analysis.free_energy.basins import (
    basin_difference,
    basins,
    supported_basins,
)
from openmm_allegro.analysis.free_energy.hills import (
    Hills,
    bias_offsets,
    hills_surface,
    sum_hills,
)
from openmm_allegro.analysis.free_energy.surface import (
    balance,
    reweighted_surface,
)
from openmm_allegro.analysis.free_energy.windows import combine_windows
from openmm_allegro.measure.free_energy_remarks import remarks
from openmm_allegro.units import GAS_CONSTANT

KELVIN = 300.0
RT = GAS_CONSTANT * KELVIN
BETWEEN = (0.5, 0.86)  # of the coverage of 68 % intervals over the seeds here


def well(x):
    """A double well, kJ/mol: minima near -1 and 1, a barrier of 7 near 0."""
    return 6.0 * (x * x - 1) ** 2 + x


def slope(x):
    return 24.0 * x * (x * x - 1) + 1.0


def exact(axis):
    """-R T ln of the mean density of each bin, normalised over the axis."""
    points = np.linspace(axis.edges[0], axis.edges[-1], 200 * len(axis.centers) + 1)
    density = np.exp(-well(0.5 * (points[1:] + points[:-1])) / RT)
    density = density.reshape(len(axis.centers), -1).mean(axis=1)
    return -RT * np.log(density / density.sum() / axis.width)


def coverage(surfaces, axis):
    """Part of bins and seeds of which the error holds the exact value."""
    inside = []
    for surface in surfaces:
        density = np.exp(-surface.values / RT)
        values = surface.values + RT * np.log(np.nansum(density) * axis.width)
        away = np.abs(values - exact(axis)) / surface.errors
        inside.append(away[np.isfinite(away)] < 1)
    return np.concatenate(inside).mean()


def langevin(force, start, steps, seed, interval=10, step=2e-3):
    """Overdamped motion of many particles; [frames, particles]."""
    rng, x, frames = np.random.default_rng(seed), np.array(start, dtype=float), []
    for number in range(steps):
        kick = np.sqrt(2 * RT * step) * rng.standard_normal(len(x))
        x = x + step * force(x) + kick
        if number % interval == 0:
            frames.append(x)
    return np.array(frames)


AXIS = Axis("x", "", np.linspace(-1.4, 1.4, 15))


def test_reweighted_double_well():
    """A run on the flattened well, weighted by the bias that flattened it."""
    seeds = 24
    paths = langevin(lambda x: -0.4 * slope(x), [-1.0] * seeds, 16000, seed=1)[100:]
    surfaces = [
        reweighted_surface(
            [x[:, None]], (AXIS,), KELVIN, log_weights=[-0.6 * well(x) / RT]
        )
        for x in paths.T
    ]
    assert BETWEEN[0] < coverage(surfaces, AXIS) < 0.95
    assert all(1 < s.effective < len(paths) for s in surfaces)
    plain = reweighted_surface([paths[:, :1]], (AXIS,), KELVIN)
    assert plain.effective == pytest.approx(len(paths))


def test_runs_of_different_biases():
    """The constant of a bias does not decide which run counts: ±1.5 are alike."""
    rng = np.random.default_rng(5)
    plain, flat = rng.normal(0.0, 1.0, 4000), rng.uniform(-3.0, 3.0, 4000)
    logs = [np.zeros(4000), -0.5 * flat**2]
    axis, surfaces = Axis("x", "", np.linspace(-3.0, 3.0, 13)), []
    for constant in (0.0, 20.0):
        weights = balance([logs[0], logs[1] + constant], ["none", "opes"])
        runs = [plain[:, None], flat[:, None]]
        surfaces.append(reweighted_surface(runs, (axis,), KELVIN, log_weights=weights))
    np.testing.assert_allclose(surfaces[0].values, surfaces[1].values, rtol=1e-9)
    exact_values = 0.5 * RT * (axis.centers[1:-1] ** 2 - 0.25**2)
    away = surfaces[0].values[1:-1] - exact_values
    assert np.abs(away - away.mean()).max() < 0.15 * RT
    assert surfaces[0].effective > 4500
    assert balance(logs, ["a", "a"])[1] is logs[1]


def harmonic_windows(seed, centers, constant=60.0, frames=200):
    """Exact samples of windows on U = 4 x² kJ/mol, and their energies."""
    rng = np.random.default_rng(seed)
    stiff = 8.0 + constant
    means, sigma = constant * centers / stiff, np.sqrt(RT / stiff)
    runs = [rng.normal(mean, sigma, (frames, 1)) for mean in means]
    return runs, [0.5 * constant * (x - centers) ** 2 for x in runs]


def test_windows_of_a_harmonic_well():
    """MBAR of exact samples: F = 4 x², free energies of windows, coverage."""
    centers = np.linspace(-1.5, 1.5, 9)
    axis = Axis("x", "", np.linspace(-1.6, 1.6, 17))
    truth = 4.0 * axis.centers**2
    found = [
        combine_windows(*harmonic_windows(seed, centers), (axis,), KELVIN)
        for seed in range(12)
    ]
    inside, deviations = [], []
    for windows in found:
        surface = windows.surface
        middle = [surface.difference(lambda v, k=k: v[k] - v[8]) for k in (3, 13)]
        for k, (value, error) in zip((3, 13), middle, strict=True):
            inside.append(abs(value - truth[k] + truth[8]) < error)
            deviations.append(value - truth[k] + truth[8])
        assert windows.weak() == [list(range(9))]
        assert windows.overlap.sum(axis=1) == pytest.approx(1.0)
    assert BETWEEN[0] <= np.mean(inside) <= 0.95
    assert abs(np.mean(deviations)) < 3 * np.std(deviations) / len(found) ** 0.5
    # of a window: the harmonic well and the spring in series, k/2 · 8/(8 + k) c²
    free = 0.5 * 60.0 * 8.0 / 68.0 * (centers**2 - centers[0] ** 2)
    errors = np.mean([windows.errors for windows in found], axis=0)
    mean = np.mean([windows.free_energies for windows in found], axis=0)
    assert mean[1:] == pytest.approx(free[1:], abs=1.5 * errors.max())


def test_windows_with_a_gap():
    """Windows too far apart are told, and runs of one window belong together."""
    centers = np.array([-1.5, -1.2, 1.2, 1.5])
    runs, energies = harmonic_windows(1, centers, constant=200.0)
    more, of_more = harmonic_windows(2, centers, constant=200.0)
    axis = Axis("x", "", np.linspace(-1.8, 1.8, 13))
    found = combine_windows(
        runs + more, energies + of_more, (axis,), KELVIN, states=[0, 1, 2, 3] * 2
    )
    assert found.weak() == [[0, 1], [2, 3]]
    assert found.free_energies.shape == (4,) and len(found.inefficiency) == 8
    assert np.isnan(found.surface.values[6])  # never visited
    with pytest.raises(ValueError, match="2 windows"):
        combine_windows(runs[:1], [energies[0][:, :1]], (axis,), KELVIN)


def metadynamics(seeds, steps, factor, width=0.12, height=0.6, pace=40, step=4e-4):
    """Well-tempered metadynamics of the well: paths, biases, centers, heights."""
    grid = np.linspace(-2, 2, 161)
    bias, rng = np.zeros((seeds, 161)), np.random.default_rng(5)
    x, rows, spacing = np.full(seeds, -1.0), np.arange(seeds), grid[1] - grid[0]
    paths, energies, centers, heights = [], [], [], []
    for number in range(1, steps + 1):
        at = np.clip((x + 2) / spacing, 0, 159.99)
        low = at.astype(int)
        left, right = bias[rows, low], bias[rows, low + 1]
        energy = left + (at - low) * (right - left)
        force = -slope(x) - (right - left) / spacing
        if number % 10 == 0:
            paths.append(x)
            energies.append(energy)
        if number % pace == 0:
            hill = height * np.exp(-energy / (RT * (factor - 1)))
            gaussian = np.exp(-0.5 * ((grid - x[:, None]) / width) ** 2)
            bias += hill[:, None] * gaussian
            centers.append(x)
            heights.append(hill)
        x = x + step * force + np.sqrt(2 * RT * step) * rng.standard_normal(seeds)
    return map(np.array, (paths, energies, centers, heights))


def test_metadynamics_of_a_double_well():
    """Hills and reweighting agree with the well, within their errors."""
    paths, energies, centers, heights = metadynamics(16, 24000, 5.0)
    wide = Axis("x", "", np.linspace(-2, 2, 61))
    by_hills, by_weights = [], []
    for k in range(16):
        hills = Hills(
            centers[:, k, None], np.full((len(centers), 1), 0.12), heights[:, k], 5.0
        )
        by_hills.append(hills_surface(hills, (AXIS,), KELVIN))
        offsets = bias_offsets(hills, (wide,), KELVIN)
        logs = (energies[:, k] - offsets[np.arange(len(paths)) * 10 // 40]) / RT
        half = len(paths) // 2
        by_weights.append(
            reweighted_surface(
                [paths[half:, k, None]], (AXIS,), KELVIN, log_weights=[logs[half:]]
            )
        )
    assert 0.45 < coverage(by_hills, AXIS) < 0.97
    assert 0.45 < coverage(by_weights, AXIS) < 0.97
    deep = basins(by_hills[0])
    assert deep[0].place[0] == pytest.approx(-1.0, abs=0.21)
    # -γ/(γ-1) V is the surface itself
    bias = sum_hills(hills, (AXIS,))
    assert by_hills[-1].values == pytest.approx(1.25 * (bias.max() - bias), abs=1e-9)


def test_hills_tell_nothing_beyond_where_the_run_was():
    """Bins under the foot of hills alone have neither a free energy nor an error."""
    rng = np.random.default_rng(5)
    centers = rng.normal(0.0, 0.2, (200, 2)).clip(-0.59, 0.59)
    hills = Hills(centers, np.full((200, 2), 0.4), np.full(200, 0.1), 8.0)
    axes = tuple(make_axis(n, "", [], limits=(-1.5, 1.5), bins=15) for n in "xy")
    surface = hills_surface(hills, axes, KELVIN)
    bins = [
        np.unique(axis.bins(column))
        for axis, column in zip(axes, centers.T, strict=True)
    ]
    for one, kept in ((surface, None), (surface.marginal(0), bins[0])):
        known = np.isfinite(one.values)
        if kept is None:
            assert 20 < known.sum() <= len(bins[0]) * len(bins[1])
        else:
            assert np.flatnonzero(known).tolist() == kept.tolist()
        assert not np.isfinite(one.errors[~known]).any()
        assert np.isfinite(one.errors).any()
    assert "of 225 bins of x, y were not visited" in remarks(surface, [])[-1]
    # a bin that the run crossed once between hills has a value, but no error
    crossed = np.zeros((1000, 2))
    crossed[500] = 1.3
    surface = hills_surface(hills, axes, KELVIN, samples=crossed)
    assert np.isfinite(surface.values[14, 14]) and np.isnan(surface.errors[14, 14])
    with pytest.raises(ValueError, match="expected samples within"):
        far = tuple(make_axis(n, "", [], limits=(3.0, 4.0)) for n in "xy")
        hills_surface(hills, far, KELVIN)


def test_hills_are_periodic():
    """A hill beside the end of an angle acts at the other end, too."""
    axis = make_axis("phi", "°", [], period=360.0, bins=36)
    hills = Hills(np.array([[175.0]]), np.array([[10.0]]), np.array([2.0]), 4.0)
    bias = sum_hills(hills, (axis,))
    assert bias[-1] == pytest.approx(2.0)
    assert bias[0] == pytest.approx(2.0 * np.exp(-0.5))
    assert axis.bins([180.0, -180.0, 540.0, 179.0]).tolist() == [0, 0, 0, 35]


@pytest.mark.parametrize("limits", [(-180.0, 180.0), (0.0, 360.0), (100.0, 250.0)])
def test_limits_of_an_angle(limits):
    """Values and hills are taken to the image between the limits."""
    whole = make_axis("phi", "°", [], period=360.0, bins=36)
    axis = make_axis("phi", "°", [], period=360.0, limits=limits, bins=15)
    assert axis.periodic == (limits[1] - limits[0] == 360.0)
    values = np.array([175.0, -175.0, 182.0])
    places = [np.argmin(np.abs(whole.distances(axis.centers - x))) for x in values]
    assert axis.bins(values).tolist() == places
    hills = Hills(np.array([[175.0]]), np.array([[10.0]]), np.array([2.0]), 4.0)
    away = np.abs(axis.centers - 175.0)
    away = np.minimum(away, 360.0 - away)
    expected = 2.0 * np.exp(-0.5 * (away / 10.0) ** 2)
    assert sum_hills(hills, (axis,)) == pytest.approx(expected)


def test_basins_of_two_angles():
    """Minima, saddle and populations of a periodic surface with known wells."""
    axes = tuple(make_axis(n, "°", [], period=360.0, bins=24) for n in ("a", "b"))
    a, b = np.meshgrid(*(np.radians(x.centers) for x in axes), indexing="ij")
    values = 8.0 * np.cos(2 * a) + 4.0 * np.cos(b) + 1.5 * np.cos(a - np.pi / 2)
    rng = np.random.default_rng(3)
    density = np.exp(-values / RT).ravel()
    chosen = rng.choice(len(density), 40000, p=density / density.sum())
    samples = np.degrees(np.stack([a.ravel()[chosen], b.ravel()[chosen]], axis=1))
    surface = reweighted_surface([samples], axes, KELVIN)
    first, second = basins(surface, depth=5.0)
    assert first.place == (-97.5, -172.5) or abs(first.place[0] + 90) < 15
    assert second.minimum[0] == pytest.approx(3.0, abs=4 * second.minimum[1] + 0.1)
    halves = [values.ravel()[m.members.ravel()] for m in (first, second)]
    free = [-RT * np.log(np.exp(-x / RT).sum()) for x in halves]
    assert second.population[0] == pytest.approx(
        free[1] - free[0], abs=4 * second.population[1]
    )
    assert second.barrier[0] == pytest.approx(16 - 1.5, abs=1.5)
    difference = basin_difference(surface, first.members, second.members)
    assert difference == pytest.approx(second.population)
    # integrated over the other angle
    one = surface.marginal(1)
    density = np.exp(-values / RT).sum(axis=0)
    expected = -RT * np.log(density / density.max())
    assert one.values == pytest.approx(expected, abs=0.5)


def test_lonely_bins_are_no_minima():
    """One well and a few samples far from it, each alone: one minimum is told."""
    axes = tuple(make_axis(n, "Å", [], limits=(0.0, 6.0), bins=30) for n in ("x", "y"))
    rng = np.random.default_rng(4)
    samples = rng.normal(2.0, 0.25, size=(4000, 2))
    lonely = np.array([[4.5, 4.5], [5.1, 1.1], [0.5, 5.3]])
    samples[::400] = lonely[0]  # in every block, so that its error is known
    samples[[7, 1500, 3333]] = lonely[1]
    samples[2000] = lonely[2]
    surface = reweighted_surface([samples], axes, KELVIN)
    found, left_out = supported_basins(surface)
    assert len(found) == 1
    assert found[0].place == pytest.approx((2.0, 2.0), abs=0.21)
    for place in lonely:
        assert min(np.abs(np.array(left_out) - place).max(axis=1)) < 0.11


def test_minima_without_a_saddle_or_an_error_are_left_out():
    """Of two pools that no visited bins join, and of one that is noise, one is told."""
    axes = (make_axis("x", "Å", [], limits=(0.0, 6.0), bins=30),)
    rng = np.random.default_rng(4)
    joined = rng.normal(2.0, 0.5, size=(4000, 1))
    joined[::5] = rng.normal(4.0, 0.3, size=(800, 1))
    found, left_out = supported_basins(reweighted_surface([joined], axes, KELVIN))
    assert [basin.place[0] for basin in found] == pytest.approx([2.0, 4.0], abs=0.3)
    assert all(np.isfinite(basin.minimum[1]) for basin in found) and not left_out
    apart = np.where(joined > 3.0, joined + 0.9, np.minimum(joined, 2.8))
    found, left_out = supported_basins(reweighted_surface([apart], axes, KELVIN))
    assert len(found) == 1 and left_out[0][0] == pytest.approx(4.9, abs=0.3)
    few = reweighted_surface([joined[:60]], axes, KELVIN)  # no error in most bins
    found, left_out = supported_basins(few)
    assert len(found) == 1 and left_out
    texts = remarks(few, left_out)
    assert "within twice its error" in texts[0] and "have no error" in texts[1]


def test_potential_of_mean_force():
    """Free particles in a sphere: F = -2 R T ln r, and W is constant."""
    rng = np.random.default_rng(2)
    distances = rng.random((40000, 1)) ** (1 / 3)
    axis = Axis("r", "nm", np.linspace(0.3, 1.0, 8))
    surface = reweighted_surface([distances], (axis,), KELVIN).radial()
    # the mean density of a bin is not that of its middle
    assert np.ptp(surface.values) < 0.15
    with pytest.raises(ValueError, match="distance"):
        reweighted_surface([distances - 0.5], (AXIS,), KELVIN).radial()


@pytest.mark.parametrize(
    ("change", "match"),
    [({"limits": (2.0, 1.0)}, "lower and a higher"), ({"bins": 2}, "3 bins")],
)
def test_bad_axes(change, match):
    with pytest.raises(ValueError, match=match):
        make_axis("x", "", [0.0, 1.0], **change)
    with pytest.raises(ValueError, match="at most 360 ° apart"):
        make_axis("x", "°", [], period=360.0, limits=(-10.0, 360.0))


def test_too_little():
    """Fewer samples than blocks, none within the axis, bins seen once or twice."""
    samples = np.linspace(0, 1, 50)[:, None]
    with pytest.raises(ValueError, match="blocks"):
        reweighted_surface([samples[:5]], (AXIS,), KELVIN)
    with pytest.raises(ValueError, match="none"):
        reweighted_surface([samples + 9], (AXIS,), KELVIN)
    surface = reweighted_surface([samples], (AXIS,), KELVIN)
    assert np.isnan(surface.errors[-3]) and np.isnan(surface.values[0])
