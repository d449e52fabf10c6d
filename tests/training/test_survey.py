# SPDX-License-Identifier: MIT
"""Numbers of a data set, and frames in it that deserve a look."""

import dataclasses

import numpy as np
import pytest
from data_helpers import made_up

from openmm_allegro.training.survey import survey

SYMBOLS = ["Li", "Cl"] * 4


def changed(structures, frame, **values):
    """The frames, one of them with other values."""
    structures = list(structures)
    structures[frame] = dataclasses.replace(structures[frame], **values)
    return structures


def test_numbers():
    found = survey(made_up(SYMBOLS, 30, stress=True))
    assert found.files == {"made.extxyz": 30} and found.frames == 30
    assert found.elements == {"Li": 120, "Cl": 120}
    assert found.compositions == {"Cl4Li4": 30}
    assert found.periodic == "all"
    assert found.labelled == {"energy": 30, "forces": 30, "stress": 30}
    assert found.stress_rms == pytest.approx(1e-3 / np.sqrt(3))
    assert np.allclose(found.densities, 8 / 4.4**3)
    assert np.nanmean(found.residuals) == pytest.approx(0, abs=1e-9)
    forces = np.concatenate([s.forces for s in made_up(SYMBOLS, 30)])
    assert found.force_rms[""] == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert not found.outliers and not found.duplicates


def test_energies_of_elements_are_taken_away():
    frames = made_up(SYMBOLS, 12) + made_up(["Li"] * 8, 12, seed=1)
    energies = {"Li": -190.0, "Cl": -460.0}
    frames = [
        dataclasses.replace(s, energy=s.energy + sum(energies[e] for e in s.symbols))
        for s in frames
    ]
    found = survey(frames)
    assert np.nanstd(found.residuals) < 0.1
    assert found.element_energies["Cl"] - found.element_energies["Li"] == (
        pytest.approx(-270.0, abs=1.0)
    )


def test_outliers_are_found_and_named():
    frames = made_up(SYMBOLS, 60)
    frames = changed(frames, 17, energy=frames[17].energy + 8.0)
    frames = changed(frames, 41, forces=50 * frames[41].forces)
    found = survey(frames)
    worst = {o.what: found.places[o.frame] for o in reversed(found.outliers)}
    assert worst == {"energy": "made.extxyz:17", "forces": "made.extxyz:41"}
    (energy,) = (o for o in found.outliers if o.what == "energy")
    assert energy.value == pytest.approx(1.0, abs=0.1)


def test_closest_pairs_are_exact():
    frames = made_up(SYMBOLS, 20)
    places = frames[7].positions.copy()
    places[1] = places[0] + [0.0, 0.0, 1.234]
    found = survey(changed(frames, 7, positions=places))
    pair = found.pairs.closest["Cl-Li"]
    assert pair.distance == pytest.approx(1.234) and pair.frame == 7


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_duplicates_are_found_with_their_labels(shift):
    frames = made_up(SYMBOLS, 30)
    moved = frames[4].positions + 2e-4
    copy = dataclasses.replace(
        frames[4], positions=moved, energy=frames[4].energy + shift
    )
    again = dataclasses.replace(frames[4], source="other.extxyz, frame 3")
    found = survey([*frames, copy, again])
    (duplicate,) = found.duplicates
    assert duplicate.frames == (4, 30, 31)
    assert duplicate.contradicts == (shift > 0)
    assert duplicate.energy == pytest.approx(shift / 8)


def test_many_equal_frames_are_one_set():
    frames = made_up(SYMBOLS, 5)
    found = survey([frames[0]] * 1000 + frames)
    (duplicate,) = found.duplicates
    assert len(duplicate.frames) == 1001


def test_frames_of_a_trajectory_are_told_from_others():
    random = made_up(SYMBOLS, 40)
    assert not survey(random).successive.is_correlated
    drift = np.cumsum(np.random.default_rng(0).normal(scale=0.02, size=(40, 8, 3)), 0)
    trajectory = [
        dataclasses.replace(s, positions=random[0].positions + d)
        for s, d in zip(random, drift, strict=True)
    ]
    found = survey(trajectory).successive
    assert found.is_correlated and found.step == pytest.approx(0.02 * 3**0.5, rel=0.3)


def test_images_are_no_displacements():
    frames = made_up(SYMBOLS, 40)
    wrapped = [
        dataclasses.replace(s, positions=s.positions + 4.4 * (i % 3))
        for i, s in enumerate(frames)
    ]
    before, after = survey(frames).successive, survey(wrapped).successive
    assert after.step == pytest.approx(before.step)


def test_isolated_atoms_are_counted_apart():
    atom = dataclasses.replace(
        made_up(["Li"], 1, box=False)[0], energy=-7.5, source="atoms.xyz, frame 0"
    )
    found = survey([atom, *made_up(SYMBOLS, 6)])
    assert found.isolated == {"Li": -7.5} and found.frames == 6
    assert found.files == {"atoms.xyz": 1, "made.extxyz": 6}


def test_files_of_one_name_are_told_apart():
    old, new = (made_up(SYMBOLS, 4, seed=n, file=f"{n}/a.xyz") for n in (1, 2))
    new[1] = dataclasses.replace(new[1], energy=new[1].energy + 9.0)
    found = survey([*old, *new])
    assert found.files == {"1/a.xyz": 4, "2/a.xyz": 4}
    assert found.places[5] == "2/a.xyz:1"


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_few_frames_are_refused(frames):
    with pytest.raises(ValueError, match=f"at least 4 frames .* found {frames}"):
        survey(made_up(SYMBOLS, frames))


def test_frames_without_forces_are_surveyed():
    frames = [dataclasses.replace(s, forces=None) for s in made_up(SYMBOLS, 8)]
    found = survey(frames)
    assert found.labelled["forces"] == 0 and found.force_rms == {}
