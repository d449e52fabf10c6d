# SPDX-License-Identifier: MIT
"""Closed forms: ideal gas, lattices, brute-force counts and random walks."""

import itertools

import mdtraj
import numpy as np
import pytest

from openmm_allegro.analysis import (
    Coordination,
    Diffusion,
    coordination_number,
    diffusion,
    mean_square_displacement,
    plot_msd,
    plot_rdf,
    plot_temperature,
    rdf,
    unwrap,
)

CUBIC = np.diag([3.0, 3.0, 3.0])
ORTHORHOMBIC = np.diag([2.0, 2.5, 3.2])
TRICLINIC = np.array([[2.4, 0.0, 0.0], [0.9, 2.2, 0.0], [-0.7, 0.8, 2.3]])


def make_trajectory(positions, cells, elements, *, time_step=1.0):
    """mdtraj.Trajectory of positions (f, n, 3) and cells (3, 3) or (f, 3, 3) in nm."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for symbol in elements:
        residue = topology.add_residue(symbol, chain)
        topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
    trajectory = mdtraj.Trajectory(
        np.asarray(positions, dtype=np.float32),
        topology,
        time=np.arange(len(positions)) * time_step,
    )
    if cells is not None:
        trajectory.unitcell_vectors = np.broadcast_to(
            cells, (len(positions), 3, 3)
        ).astype(np.float32)
    return trajectory


def uniform_gas(cells, n_frames, n_atoms, rng):
    return rng.random((n_frames, n_atoms, 3)) @ cells


def random_walk(n_frames, n_atoms, coefficient, rng):
    """Brownian paths (n_frames, n_atoms, 3) in nm; `coefficient` in nm² per frame."""
    steps = rng.normal(size=(n_frames, n_atoms, 3)) * np.sqrt(2 * coefficient)
    return np.cumsum(steps, axis=0)


def wrap(positions, cells):
    inverse = np.linalg.inv(cells)
    return positions - np.floor(positions @ inverse) @ cells


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
    with pytest.raises(ValueError, match="give r_max"):
        coordination_number(gas, "all", "all")


@pytest.mark.parametrize("cell", [CUBIC, ORTHORHOMBIC, TRICLINIC])
def test_r_max_is_guarded_by_perpendicular_width(cell):
    rng = np.random.default_rng(7)
    trajectory = make_trajectory(uniform_gas(cell, 2, 20, rng), cell, ["Ar"] * 20)
    allowed = smallest_width(cell) / 2
    rdf(trajectory, "all", "all", r_max=allowed)
    r, _ = rdf(trajectory, "all", "all")
    assert r[-1] < allowed < r[-1] + 0.005
    with pytest.raises(ValueError, match=rf"<= {allowed:.4g}.* nm"):
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


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["ortho", "triclinic"])
def test_unwrap_recovers_a_wrapped_walk(cell):
    rng = np.random.default_rng(9)
    walk = random_walk(400, 30, 0.02, rng)
    walk += uniform_gas(cell, 1, 30, rng) - walk[0]
    assert np.abs((walk - walk[0]) @ np.linalg.inv(cell)).max() > 2
    wrapped = make_trajectory(wrap(walk, cell), cell, ["Ar"] * 30)
    # Each crossing adds the float32 rounding of the cell and of the coordinates.
    np.testing.assert_allclose(unwrap(wrapped), walk, atol=2e-5)
    already = make_trajectory(walk, cell, ["Ar"] * 30)
    np.testing.assert_allclose(unwrap(already), walk, atol=2e-5)


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["ortho", "triclinic"])
def test_unwrap_keeps_cartesian_steps_in_a_changing_cell(cell):
    """The toroidal scheme's defining property, which fractional steps do not have."""
    rng = np.random.default_rng(10)
    n_frames = 300
    cells = cell * rng.normal(1, 0.01, (n_frames, 1, 1))
    steps = np.diff(random_walk(n_frames, 20, 0.005, rng), axis=0)
    wrapped = [wrap(uniform_gas(cells[:1], 1, 20, rng)[0], cells[0])]
    for step, current in zip(steps, cells[1:], strict=True):
        wrapped.append(wrap(wrapped[-1] + step, current))
    trajectory = make_trajectory(wrapped, cells, ["Ar"] * 20)
    found = unwrap(trajectory)
    np.testing.assert_allclose(found[0], wrapped[0], atol=1e-6)
    np.testing.assert_allclose(np.diff(found, axis=0), steps, atol=5e-6)


def test_msd_of_uniform_motion_and_of_a_double_loop():
    velocity = np.array([0.3, -0.2, 0.1])
    path = np.arange(50)[:, None, None] * velocity + 7.0
    lags, msd = mean_square_displacement(path)
    np.testing.assert_allclose(msd, lags**2 * np.sum(velocity**2), atol=1e-10)

    walk = random_walk(40, 3, 0.1, np.random.default_rng(11)) + 100.0
    lags, msd = mean_square_displacement(walk, max_lag=30)
    direct = [np.mean(np.sum((walk[m:] - walk[: 40 - m]) ** 2, -1)) for m in lags]
    np.testing.assert_allclose(msd, direct, atol=1e-10)
    with pytest.raises(ValueError, match="max_lag"):
        mean_square_displacement(walk, max_lag=40)
    with pytest.raises(ValueError, match="shape"):
        mean_square_displacement(walk[0])


def test_msd_of_a_random_walk_grows_as_six_d_t():
    coefficient, n_frames, n_atoms = 0.01, 500, 200
    walk = random_walk(n_frames, n_atoms, coefficient, np.random.default_rng(12))
    lags, msd = mean_square_displacement(walk, max_lag=20)
    # Relative variance 2/3 per independent displacement of a three-dimensional walk.
    independent = n_atoms * (n_frames - 1) / lags[1:]
    sigma = np.sqrt(2 / 3 / independent)
    assert np.all(np.abs(msd[1:] / (6 * coefficient * lags[1:]) - 1) < 4 * sigma)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_diffusion_of_a_random_walk(cell):
    """D = 2e-3 nm²/ps = 2e-5 cm²/s within three of the errors reported."""
    n_frames, time_step = 400, 0.5
    walk = random_walk(n_frames, 100, 2e-3 * time_step, np.random.default_rng(13))
    trajectory = make_trajectory(
        wrap(walk, cell), cell, ["Li"] * 100, time_step=time_step
    )
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    result = diffusion(trajectory, "element Li", remove_drift=False, seed=4)
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(after, state)

    assert abs(result.coefficient - 2e-5) < 3 * result.error
    assert 0.01 < result.error / result.coefficient < 0.08
    assert abs(result.intercept) < 0.05
    _, msd = mean_square_displacement(walk)
    index = np.rint(result.lag_times / time_step).astype(int)
    np.testing.assert_allclose(result.msd, msd[index], rtol=1e-4)
    assert np.all(np.diff(result.msd_error) > 0)

    again = diffusion(
        trajectory, "element Li", remove_drift=False, seed=4, time_step=time_step
    )
    assert (again.coefficient, again.error) == (result.coefficient, result.error)
    # Twice the time between frames is half the diffusion coefficient.
    slow = diffusion(
        trajectory, "all", remove_drift=False, seed=4, time_step=2 * time_step
    )
    assert slow.coefficient == pytest.approx(result.coefficient / 2, rel=0.01)


def test_reported_error_is_the_scatter_of_repeats():
    """Over eight walks the mean square of (D - true) / error is that of chi squared."""
    z = []
    for seed in range(8):
        walk = random_walk(200, 50, 1e-3, np.random.default_rng(100 + seed))
        trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 50)
        result = diffusion(trajectory, "all", remove_drift=False)
        z.append((result.coefficient - 1e-5) / result.error)
    # 99.8 % interval of the mean of 8 squared standard normal numbers.
    assert 0.10 < np.mean(np.square(z)) < 3.3


def test_drift_of_the_centre_of_mass_is_removed():
    rng = np.random.default_rng(14)
    elements = ["Li"] * 20 + ["Cl"] * 20
    walk = random_walk(200, 40, 1e-3, rng)
    masses = np.array([6.941] * 20 + [35.453] * 20)
    walk -= np.average(walk, axis=1, weights=masses)[:, None]
    drift = np.arange(200)[:, None, None] * np.array([0.02, -0.01, 0.03])

    def found(paths, **options):
        wrapped = make_trajectory(wrap(paths, CUBIC), CUBIC, elements)
        return diffusion(wrapped, "element Li", **options)

    still = found(walk, remove_drift=False)
    removed = found(walk + drift)
    left = found(walk + drift, remove_drift=False)
    np.testing.assert_allclose(removed.msd, still.msd, rtol=1e-3)
    assert removed.coefficient == pytest.approx(still.coefficient, rel=0.01)
    # What was left in adds (v t)² to the mean square displacement.
    extra = left.msd - still.msd
    expected = 0.0014 * left.lag_times**2
    assert np.polyfit(expected, extra, 1)[0] == pytest.approx(1, abs=0.1)


def test_bad_frames_are_errors():
    walk = random_walk(40, 5, 1e-3, np.random.default_rng(15))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 5)
    with pytest.raises(ValueError, match="at least 20 frames, found 10"):
        diffusion(trajectory[:10], "all")
    with pytest.raises(ValueError, match="max_lag"):
        diffusion(trajectory, "all", max_lag=100.0)
    with pytest.raises(ValueError, match="3 lag times"):
        diffusion(trajectory, "all", fit_start=19.0)
    with pytest.raises(ValueError, match="time step"):
        diffusion(trajectory, "all", time_step=0.0)
    frozen = make_trajectory([walk[0]] * 40, CUBIC, ["Li"] * 5)
    with pytest.raises(ValueError, match="move independently"):
        diffusion(frozen, "all")
    uneven = trajectory[:]
    uneven.time = np.delete(np.arange(41.0), 20)
    with pytest.raises(ValueError, match="intervals from 1 to 2 ps"):
        diffusion(uneven, "all")
    # Given a time step, the times of the file do not matter.
    assert diffusion(uneven, "all", time_step=1.0).coefficient > 0


def test_times_late_in_a_run_are_uniform_despite_float32():
    walk = random_walk(60, 5, 1e-3, np.random.default_rng(16))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 5)
    late = 1e5 + 0.1 * np.arange(60)
    trajectory.time = late.astype(np.float32)
    result = diffusion(trajectory, "all")
    assert result.lag_times[0] == pytest.approx(0.1, rel=0.01)


def assert_png(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000


def test_plots_write_files(tmp_path):
    r = np.linspace(0.0025, 0.7975, 160)
    g = 1 + np.exp(-((r - 0.3) ** 2) / 0.002)
    shell = Coordination(number=4.2, r_max=0.36, r_peak=0.3, g_peak=2.0)
    path = plot_rdf(
        {"Na-O": (r, g), "O-O": (r, g**2)},
        tmp_path / "rdf.png",
        reference={"experiment": (r, g)},
        coordination={"Na-O": shell},
        title="NaCl",
    )
    assert path == tmp_path / "rdf.png"
    assert_png(path)

    time = np.arange(0, 2000, 0.5)
    temperature = np.random.default_rng(17).normal(300, 8, len(time))
    assert_png(plot_temperature(time, temperature, tmp_path / "t.png", target=300))
    assert_png(plot_temperature(time[:50], temperature[:50], str(tmp_path / "t2.png")))

    lag_times = np.arange(1.0, 101.0)
    result = Diffusion(
        coefficient=2e-5,
        error=4e-7,
        lag_times=lag_times,
        msd=0.012 * lag_times,
        msd_error=1e-4 * lag_times**1.5,
        fit_start=10.0,
        intercept=0.0,
    )
    assert_png(plot_msd({"Na": result}, tmp_path / "msd.png"))


def test_plots_refuse_what_they_cannot_draw(tmp_path):
    r = np.arange(5.0)
    with pytest.raises(ValueError, match="at least one curve"):
        plot_rdf({}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="one length for 'a'"):
        plot_rdf({"a": (r, r[:3])}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="coordination only for"):
        plot_rdf({"a": (r, r)}, tmp_path / "x.png", coordination={"b": None})
    with pytest.raises(ValueError, match="ascending"):
        plot_temperature(r[::-1], r, tmp_path / "x.png")
    with pytest.raises(ValueError, match="window"):
        plot_temperature(r, r, tmp_path / "x.png", window=9.0)
    with pytest.raises(ValueError, match="at least one diffusion"):
        plot_msd({}, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
