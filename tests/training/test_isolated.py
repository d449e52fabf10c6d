# SPDX-License-Identifier: MIT
"""Isolated atoms fix the energies of elements and are no frames to learn from."""

import dataclasses
import logging

import numpy as np
import pytest
from training_helpers import ethanol, fit, read_log, short, tiny_config, tiny_model

from openmm_allegro.classical.baseline import subtract_baseline
from openmm_allegro.structure import Structure
from openmm_allegro.training.data import split
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.samples import make_samples
from openmm_allegro.training.start import start_training
from openmm_allegro.units import COULOMB_EV_ANGSTROM_CODATA

E0 = {"H": -13.6, "C": -1029.4, "O": -2041.7}


def atom(element, energy=None, *, box=0.0, periodic=True, **changes):
    """An atom alone, in a cubic cell if there is a box."""
    return Structure(
        (element,),
        np.zeros((1, 3)),
        np.eye(3) * box,
        np.full(3, bool(box) and periodic),
        E0[element] if energy is None else energy,
        source=f"{element} in {box}",
        **changes,
    )


def start(training, validation=None, **changes):
    validation = validation or ethanol()[16:]
    return start_training(tiny_config(**changes), short(), training, validation)


def test_atoms_fix_shifts_and_leave_training_and_validation(caplog):
    frames = ethanol()[:16]
    atoms = [atom("H"), atom("C", box=12.0), atom("O", forces=np.zeros((1, 3)))]
    with caplog.at_level(logging.INFO):
        begun = start([*frames, *atoms[:2]], [*ethanol()[16:], atoms[2]])
    assert begun.model.statistics.shifts == tuple(E0.values())
    assert len(begun.training) == 16 and len(begun.validation) == 4
    record = begun.model.provenance
    assert record["isolated_atoms"] == E0
    assert record["training_structures"] == 16 and record["periodic"] == "none"
    plain = start(frames).model
    for name in ("mean_neighbors", "scales"):
        assert getattr(begun.model.statistics, name) == getattr(plain.statistics, name)
    assert "H -13.6" in caplog.text and "from 3 frames" in caplog.text


def test_they_need_no_stress(caplog):
    """They count for no error, and so not among structures without a stress."""
    (s,) = ethanol()[:1]
    box = dict(cell=30 * np.eye(3), periodic=np.ones(3, bool))
    crystal = dataclasses.replace(s, stress=np.eye(3), **box)
    with caplog.at_level(logging.INFO):
        make_samples([crystal, atom("H"), atom("C", stress=np.eye(3))], tiny_config())
    assert not caplog.messages


def test_the_others_are_fitted():
    """To what the known energies leave of the labels."""
    numbers = start([*ethanol()[:16], atom("H"), atom("C")]).model.statistics
    assert numbers.shifts[:2] == (E0["H"], E0["C"])
    mean = np.mean([s.energy for s in ethanol()[:16]])
    assert numbers.shifts[2] == pytest.approx(mean - 6 * E0["H"] - 2 * E0["C"])


def test_shifts_of_the_config_do_the_same():
    by_config = start(ethanol()[:16], shifts=E0).model.statistics
    by_frames = start([*ethanol()[:16], *map(atom, E0)]).model.statistics
    both = start([*ethanol()[:16], atom("O")], shifts={"H": -13.6, "C": E0["C"]})
    assert by_config == by_frames == both.model.statistics
    with pytest.raises(ValueError, match=r"shifts of elements among .*found \['N'\]"):
        tiny_config(shifts={"N": -1.0})
    with pytest.raises(ValueError, match=r"shifts"):
        tiny_config(shifts={"H": float("nan")})


@pytest.mark.parametrize(
    ("atoms", "changes"),
    [
        ([atom("H"), atom("H", -13.5)], {}),
        ([atom("H"), atom("H", -13.5, box=20.0)], {}),
        ([atom("H")], {"shifts": {"H": -13.5}}),
    ],
)
def test_two_energies_of_an_element(atoms, changes):
    with pytest.raises(
        ValueError, match=r"one energy of an isolated H, found -13\.\d+ eV \(.*H in"
    ):
        start([*ethanol()[:16], *atoms], **changes)
    start([*ethanol()[:16], atom("H"), atom("H", -13.6002)])


def test_ions_in_boxes_are_without_their_images():
    """Of point charges the lattice has -2.837297 k_e q² / 2L; the ion is the same."""
    charges = {"charges": "learned", "charge_start": {"H": 0.3, "C": 0.1, "O": -0.4}}
    ions = [
        atom("H", -5.0 - 2.837297 * COULOMB_EV_ANGSTROM_CODATA / (2 * side), box=side)
        for side in (30.0, 20.0)
    ]
    alpha, sides = 2.0 / tiny_config().cutoff, np.array([30.0, 20.0])
    # the background of Gaussians is another one than that of points
    width = np.pi * COULOMB_EV_ANGSTROM_CODATA / (2 * sides**3 * alpha**2)
    ions = [
        dataclasses.replace(ion, charge=1.0, energy=ion.energy + more)
        for ion, more in zip(ions, width, strict=True)
    ]
    begun = start([*ethanol()[:16], *ions], **charges)
    assert begun.model.statistics.shifts[0] == pytest.approx(-5.0, abs=1e-4)
    with pytest.raises(ValueError, match="one energy of an isolated H"):
        start([*ethanol()[:16], *ions])


def test_a_primitive_cell_of_one_atom_is_a_frame():
    """Its images are within the cutoff of 3 Å."""
    crystal = atom("C", -1035.0, box=2.5, forces=np.zeros((1, 3)))
    begun = start([*ethanol()[:16], crystal])
    assert len(begun.training) == 17 and "isolated_atoms" not in begun.model.provenance
    assert begun.model.provenance["periodic"] == "some"
    named = dataclasses.replace(crystal, called_isolated=True)
    with pytest.raises(ValueError, match=r"C in 2.5: .* within the cutoff, found one"):
        start([*ethanol()[:16], named])
    start([*ethanol()[:16], dataclasses.replace(crystal, forces=None)])


def test_atoms_alone_are_nothing_to_train_on():
    with pytest.raises(ValueError, match=r"validation: .* found 1 isolated atom$"):
        start(ethanol()[:16], [atom("H")])


def test_evaluation_leaves_them_out(caplog):
    model = tiny_model()
    frames = list(ethanol()[:3])
    plain = evaluate(model, frames)
    with caplog.at_level(logging.INFO):
        mixed = evaluate(model, [frames[0], atom("H", -13.5), *frames[1:], atom("O")])
    assert mixed["metrics"] == plain["metrics"]
    for name, array in plain["arrays"].items():
        np.testing.assert_array_equal(mixed["arrays"][name], array)
    assert "2 isolated atoms left out" in caplog.text and "H -0.100" in caplog.text
    with pytest.raises(ValueError, match=r"found 1 isolated atom$"):
        evaluate(model, [atom("H")])


def test_training_is_that_without_them_and_resumes(tmp_path):
    training, validation = list(ethanol()[:16]), list(ethanol()[16:])
    atoms = [atom(element) for element in E0]
    with_atoms = {"training": [*atoms, *training], "validation": validation}
    fit(tmp_path / "atoms", short(max_epochs=2), **with_atoms)
    fit(tmp_path / "config", short(max_epochs=2), model=tiny_config(shifts=E0))
    rows = [read_log(tmp_path / name) for name in ("atoms", "config")]
    for first, second in zip(*rows, strict=True):
        assert first["loss"] == second["loss"]
        assert first["energy_rmse"] == second["energy_rmse"]
    fit(tmp_path / "atoms", short(max_epochs=3), **with_atoms, resume=True)
    assert len(read_log(tmp_path / "atoms")) == 3
    other = [atom("H", -13.0), *atoms[1:]]
    with pytest.raises(ValueError, match="found shifts"):
        fit(
            tmp_path / "atoms",
            short(max_epochs=3),
            training=[*other, *training],
            validation=validation,
            resume=True,
        )


def test_split_keeps_them_in_the_largest_subset():
    frames = [*ethanol()[:10], atom("H"), *ethanol()[10:], atom("O")]
    test, training, validation = split(frames, [4, 14, 4], seed=1)
    assert [len(part) for part in (test, training, validation)] == [4, 14, 4]
    assert [s.symbols for s in training[:2]] == [("H",), ("O",)]
    assert all(len(s) > 1 for s in (*test, *training[2:], *validation))
    everything = {id(s) for s in (*test, *training, *validation)}
    assert len(everything) == 22


def test_graphs_train_without_them(tmp_path):
    from openmm_allegro.training.graphs import GraphTraining, train_together

    atoms = [atom(element, box=9.0) for element in E0]
    training = GraphTraining(
        tiny_config(),
        short(max_epochs=1),
        [*atoms, *ethanol()[:16]],
        ethanol(),
        tmp_path,
    )
    assert training.steps == 4
    (model,) = train_together([training])
    assert model.statistics.shifts == tuple(E0.values())


def test_a_baseline_leaves_them_as_they_are():
    """No System has their single atom, nor an energy for it."""
    alone = atom("H")
    (left,) = subtract_baseline([alone], lambda structure: None)
    assert left is alone
