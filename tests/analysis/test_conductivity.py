# SPDX-License-Identifier: MIT
"""Conductivity of ions that walk alone, in pairs, or as Langevin particles."""

import numpy as np
import pytest
from analysis_helpers import CUBIC, langevin, make_trajectory, random_walk, wrap

from openmm_allegro.analysis import (
    conductivity,
    green_kubo_conductivity,
    nernst_einstein,
)

# e²/(k_B T) per nm, at 300 K and D in nm²/ps: conductivity in S/m of one ion per nm³
UNIT = 1.602176634e-19**2 * 1e-6 / (1e-27 * 1.380649e-23 * 300)
CHARGES = {"Na": 1, "Cl": -1}
N = 20  # ions of each sign


def ions(shared, rng, n_frames=3000):
    """Na and Cl whose variances are 3e-3 and 5e-3 nm², of which pairs share a part."""
    cation, anion, common = (
        random_walk(n_frames, 3 * N, 0.5, rng)
        .reshape(n_frames, 3, N, 3)
        .transpose(1, 0, 2, 3)
    )
    cation = np.sqrt(2 * (3e-3 - shared)) * cation + np.sqrt(2 * shared) * common
    anion = np.sqrt(2 * (5e-3 - shared)) * anion + np.sqrt(2 * shared) * common
    walk = np.concatenate([cation, anion], axis=1)
    return make_trajectory(wrap(walk, CUBIC), CUBIC, ["Na"] * N + ["Cl"] * N)


@pytest.mark.parametrize("shared", [0.0, 2e-3], ids=["alone", "paired"])
def test_matrix_of_walks_that_share_steps(shared):
    trajectory = ions(shared, np.random.default_rng(61))
    found = conductivity(trajectory, CHARGES, 300, reference=None)
    assert found.species == ("Na", "Cl")
    assert found.reference == "cell"
    exact = UNIT * N / 27 * np.array([[3e-3, -shared], [-shared, 5e-3]])
    for estimate, true in (
        (found.matrix, exact),
        (found.onsager, exact / (96485.33212**2 * np.array([[1, -1], [-1, 1]]))),
        (found.self_part, np.diag(exact)),
        (found.einstein, exact.sum()),
        (found.nernst_einstein, np.trace(exact)),
        (found.haven_ratio, np.trace(exact) / exact.sum()),
        (found.transference, exact.sum(axis=1) / exact.sum()),
    ):
        assert np.all(np.abs(estimate.value - true) < 3.5 * estimate.error)
    assert found.einstein.error < 0.2 * found.einstein.value
    assert found.nernst_einstein.error < 0.03 * found.nernst_einstein.value
    np.testing.assert_allclose(found.matrix.value, found.matrix.value.T)
    assert found.transference.value.sum() == pytest.approx(1)
    # A random walk is diffusive from the first step.
    assert found.fit_start == 1.0
    by_hand = nernst_einstein([3e-5, 5e-5], [1e-6, 1e-6], [N, N], [1, -1], 27.0, 300)
    assert by_hand.value == pytest.approx(np.trace(exact))
    assert by_hand.error == pytest.approx(UNIT * N / 27 * 1e-4 * np.sqrt(2))


def test_frame_of_reference_moves_the_transference_alone():
    trajectory = ions(0.0, np.random.default_rng(62), n_frames=800)
    cell = conductivity(trajectory, CHARGES, 300, reference=None)
    anions = conductivity(trajectory, CHARGES, 300, reference="element Cl")
    np.testing.assert_allclose(anions.transference.value, [1, 0], atol=1e-4)
    assert anions.einstein.value == pytest.approx(cell.einstein.value, rel=1e-4)
    assert anions.reference == "element Cl"
    assert cell.net_charge == 0
    # Of one kind of ion alone it does, and is told.
    cations = conductivity(trajectory, {"Na": 1}, 300, reference="element Cl")
    assert cations.net_charge == N
    assert cations.einstein.value == pytest.approx(cell.einstein.value, rel=1e-4)


def test_polyatomic_ions_count_once():
    """Two atoms of charge -0.7 and -0.3 that move together are one anion."""
    rng = np.random.default_rng(63)
    walk = random_walk(1000, 30, 2e-3, rng)
    walk = np.concatenate([walk[:, :10], np.repeat(walk[:, 10:], 2, axis=1)], axis=1)
    walk[:, 11::2] += 0.1
    elements = ["Li"] * 10 + ["C", "O"] * 20
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, elements)
    atoms = list(trajectory.topology.atoms)
    for i in range(10, 50, 2):
        trajectory.topology.add_bond(atoms[i], atoms[i + 1])
    charges = np.array([2.0] * 10 + [-0.7, -0.3] * 20)
    species = {"Li": "element Li", "anion": "element C or element O"}
    found = conductivity(trajectory, charges, 300, species=species, reference=None)
    exact = UNIT * 2e-3 / 27 * np.array([40.0, 20.0])
    np.testing.assert_allclose(found.self_part.value, exact, rtol=0.06)
    # L counts ions: N D / (V R T N_A).
    each = found.onsager.value.diagonal() / [10, 20]
    amount = 2e-3 * 1e-6 / (27e-27 * 6.02214076e23**2 * 1.380649e-23 * 300)
    np.testing.assert_allclose(each, amount, rtol=0.6)

    with pytest.raises(ValueError, match="charges of 50 atoms"):
        conductivity(trajectory, charges[:9], 300, species=species)
    with pytest.raises(ValueError, match="expected species"):
        conductivity(trajectory, charges, 300)
    with pytest.raises(ValueError, match="charged atoms in 'O'"):
        conductivity(trajectory, {"Li": 1}, 300, species={"O": "element O"})
    with pytest.raises(ValueError, match="in one species"):
        conductivity(trajectory, charges, 300, species=species | {"x": "element C"})
    with pytest.raises(ValueError, match="above 0 K"):
        conductivity(trajectory, charges, 0, species=species)
    with pytest.raises(ValueError, match="at least 2 lag times in a fit, found 1"):
        conductivity(trajectory[:29], charges, 300, species=species)
    with pytest.raises(ValueError, match="at least 3 of the lag times"):
        conductivity(trajectory, charges, 300, species=species, fit_start=49.5)


def test_green_kubo_and_einstein_agree_for_langevin_ions():
    tau, time_step = 0.4, 0.04
    positions, velocities = langevin(
        12_000, 10, 2e-3, tau, time_step, np.random.default_rng(64)
    )
    charges = np.array([1.0, -1.0] * 5)
    exact = UNIT * 10 * 2e-3 / 27
    found = green_kubo_conductivity(velocities, charges, 300, 27.0, time_step)
    assert abs(found.coefficient.value - exact) < 3 * found.coefficient.error
    assert 3 * tau < found.cutoff < 24
    trajectory = make_trajectory(
        wrap(positions, CUBIC), CUBIC, ["Na", "Cl"] * 5, time_step=time_step
    )
    einstein = conductivity(trajectory, CHARGES, 300, reference=None)
    assert abs(einstein.einstein.value - exact) < 3 * einstein.einstein.error
    # Ballistic motion is left out of the fit.
    assert einstein.fit_start > 2 * tau
