# SPDX-License-Identifier: MIT
"""What a labelling command answers is checked frame by frame."""

import ase.io
import numpy as np
import pytest
from learn_helpers import forces_of, labelled_metal

from openmm_allegro.learn.answers import read_answer
from openmm_allegro.structure import from_ase
from openmm_allegro.structure.labels.settings import LabelSettings


@pytest.fixture
def frames():
    """Three labelled frames, numbered as a request numbers them."""
    frames = [labelled_metal(seed) for seed in range(3)]
    for number, atoms in enumerate(frames):
        atoms.info["frame"] = number
    return frames


@pytest.fixture
def answer(frames, tmp_path):
    """A function that reads an answer of given frames."""
    asked = [from_ase(atoms) for atoms in frames]
    predicted = [forces_of(atoms) for atoms in frames]

    def read(answered, **labels):
        path = tmp_path / "answer.extxyz"
        ase.io.write(path, answered, format="extxyz")
        return read_answer(path, asked, predicted, LabelSettings(**labels))

    return read


def test_order_is_that_of_the_request(answer, frames):
    found = answer(frames[::-1])
    for structure, atoms in zip(found.structures, frames, strict=True):
        assert np.isclose(structure.energy, atoms.get_potential_energy())
        assert np.allclose(structure.forces, forces_of(atoms), atol=1e-6)
    assert found.failures == [""] * 3


def test_failed_frames_are_named_and_left_out(answer, frames):
    frames[1].calc = None
    frames[1].info["failed"] = "the density did not converge"
    found = answer(frames[:2])
    assert [s is None for s in found.structures] == [False, True, True]
    assert found.failures[1:] == [
        "the density did not converge",
        "missing in the answer",
    ]


def test_frames_without_numbers_come_in_order(answer, frames):
    for atoms in frames:
        del atoms.info["frame"]
    assert all(answer(frames).structures)
    with pytest.raises(ValueError, match=r"expected 3 frames .* found 2 frames"):
        answer(frames[:2])


def test_moved_atoms_are_refused_but_not_images(answer, frames):
    frames[0].positions[3] += frames[0].cell[2] - 2 * frames[0].cell[0]
    assert all(answer(frames).structures)
    frames[0].positions[3, 1] += 0.01
    # its calculator's results are kept: a code that relaxes does the same
    with pytest.raises(ValueError, match="expected the atoms and cell that were asked"):
        answer(frames)


def test_another_unit_is_named(answer, frames):
    """Forces in hartree/bohr have the committee's directions, 1/51.4 their length."""
    for atoms in frames:
        atoms.calc.results["forces"] = forces_of(atoms) / 51.422067
    with pytest.raises(ValueError, match="hartree/bohr"):
        answer(frames)


def test_other_names_of_labels(answer, frames):
    for atoms in frames:
        atoms.arrays["own_f"] = forces_of(atoms)
        atoms.info["own_e"] = atoms.get_potential_energy()
        atoms.calc = None
    with pytest.raises(ValueError, match="expected labels of at least one frame"):
        answer(frames)
    assert all(answer(frames, energy_key="own_e", forces_key="own_f").structures)
