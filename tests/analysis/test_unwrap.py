# SPDX-License-Identifier: MIT
"""Paths through boundaries: whole molecules, frames of reference, streams, NPT."""

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, TRICLINIC, make_trajectory, random_walk, wrap

from openmm_allegro.analysis import (
    bond_lengths,
    diffusion,
    follow,
    mean_square_displacement,
    rdf,
    unwrap,
    unwrap_molecules,
    van_hove_distinct,
    velocity_autocorrelation,
)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_molecules_stay_whole_in_a_changing_cell(cell):
    rng = np.random.default_rng(21)
    n_frames = 200
    cells = cell * rng.normal(1, 0.01, (n_frames, 1, 1))
    centers = random_walk(n_frames, 12, 0.004, rng) + rng.random((1, 12, 3)) @ cell
    arms = rng.normal(size=(12, 2, 3))
    arms *= 0.1 / np.linalg.norm(arms, axis=-1, keepdims=True)
    whole = np.concatenate([centers[:, :, None], centers[:, :, None] + arms], axis=2)
    whole = whole.reshape(n_frames, 36, 3)
    trajectory = make_trajectory(wrap(whole, cells), cells, ["O", "H", "H"] * 12)
    atoms = list(trajectory.topology.atoms)
    for i in range(0, 36, 3):
        trajectory.topology.add_bond(atoms[i], atoms[i + 1])
        trajectory.topology.add_bond(atoms[i], atoms[i + 2])
    found = unwrap_molecules(trajectory)
    bonds = found[:, 1::3] - found[:, ::3]
    np.testing.assert_allclose(bonds, whole[:, 1::3] - whole[:, ::3], atol=1e-5)
    np.testing.assert_allclose(found[:, ::3], unwrap(trajectory)[:, ::3], atol=1e-6)


def test_molecules_of_single_atoms_are_unwrapped_atoms():
    walk = random_walk(50, 5, 0.01, np.random.default_rng(22))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Ar"] * 5)
    np.testing.assert_allclose(unwrap_molecules(trajectory), unwrap(trajectory))


def test_a_stream_is_followed_across_chunks(tmp_path):
    walk = random_walk(60, 8, 0.02, np.random.default_rng(23))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Na"] * 4 + ["Cl"] * 4)
    path = str(tmp_path / "walk.xtc")
    trajectory.save_xtc(path)
    stored = mdtraj.load(path, top=trajectory.topology)

    def stream():
        return mdtraj.iterload(path, top=trajectory.topology, chunk=7)

    np.testing.assert_allclose(unwrap(stream()), unwrap(stored), atol=1e-12)
    found = follow(stream(), "element Cl")
    everything = unwrap(stored)
    masses = np.array([22.98977] * 4 + [35.453] * 4)
    center = np.average(everything, axis=1, weights=masses)
    np.testing.assert_allclose(
        found.positions, everything[:, 4:] - center[:, None], atol=1e-5
    )
    np.testing.assert_array_equal(found.atoms, [4, 5, 6, 7])
    assert found.time_step == 1.0
    assert found.volume == pytest.approx(27.0, rel=1e-5)
    whole = diffusion(stored, "element Cl")
    assert diffusion(stream(), "element Cl").coefficient == whole.coefficient


def test_the_reference_is_at_rest():
    walk = random_walk(40, 6, 0.02, np.random.default_rng(24))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li", "O", "O"] * 2)
    found = follow(trajectory, "all", reference="element O")
    oxygen = found.positions[:, [1, 2, 4, 5]].mean(axis=1)
    np.testing.assert_allclose(oxygen, 0, atol=1e-6)
    free = follow(trajectory, "all", reference=None)
    np.testing.assert_allclose(free.positions, unwrap(trajectory), atol=1e-12)
    backwards = follow(trajectory, np.arange(6)[::-1], reference=None)
    np.testing.assert_array_equal(backwards.positions, free.positions[:, ::-1])
    with pytest.raises(ValueError, match="at least 2 frames"):
        follow(trajectory[:1])


def test_npt_keeps_the_diffusion_coefficient():
    """A walk in a breathing cell: the toroidal scheme leaves D as it is."""
    rng = np.random.default_rng(25)
    n_frames, coefficient = 4000, 1e-3
    cells = CUBIC * (1 + 0.01 * rng.normal(size=(n_frames, 1, 1)))
    steps = np.diff(random_walk(n_frames, 40, coefficient, rng), axis=0)
    wrapped = [rng.random((40, 3)) * 3]
    for step, before, after in zip(steps, cells[:-1], cells[1:], strict=True):
        # A barostat scales the wrapped positions with the cell.
        scaled = wrapped[-1] * after[0, 0] / before[0, 0]
        wrapped.append(wrap(scaled + step, after))
    trajectory = make_trajectory(wrapped, cells, ["Ar"] * 40)
    _, msd = mean_square_displacement(unwrap(trajectory), max_lag=400)
    found = (msd[400] - msd[200]) / (6 * 200)
    # Scaling is noise without memory in the wrapped positions: it adds a constant to
    # the MSD. A slope from lags of 200 and 400 of 4000 frames of 40 atoms is known to
    # some 5 %.
    assert found == pytest.approx(coefficient, rel=0.15)


def test_a_frame_that_blew_up_is_named():
    """Atoms at NaN have no neighbours, so a g(r) would only be too low."""
    walk = random_walk(60, 5, 0.01, np.random.default_rng(26))
    velocities = walk.copy()
    walk[37, 2] = np.nan
    trajectory = make_trajectory(walk, CUBIC, ["Ar"] * 5)
    stream = [trajectory[:20], trajectory[20:]]
    for analysis in (
        lambda: rdf(trajectory, "all", "all"),
        lambda: rdf(stream, "all", "all", r_max=1.0),
        lambda: bond_lengths(trajectory, [[1, 2]]),
        lambda: diffusion(trajectory, "all"),
    ):
        with pytest.raises(ValueError, match=r"finite positions, found .* in frame 37"):
            analysis()
    velocities[5, 0, :2] = [np.inf, -np.inf]
    with pytest.raises(ValueError, match=r"finite velocities, found .* in frame 5"):
        velocity_autocorrelation(velocities, 1.0)
    # Huge ones are not a reason to refuse.
    assert velocity_autocorrelation(1e30 * np.ones((60, 1, 3)), 1.0).values[0] > 0


def test_one_frame_has_no_time_step():
    trajectory = make_trajectory(np.zeros((1, 2, 3)), CUBIC, ["Ar"] * 2)
    with pytest.raises(ValueError, match="at least 2 frames, found 1"):
        van_hove_distinct(trajectory, "all", "all", [0.0], r_max=1.0)
