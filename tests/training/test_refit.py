# SPDX-License-Identifier: MIT
"""Energy shifts refitted to frames: exact, of least change, and never at a cost."""

import dataclasses
import logging

import numpy as np
import pytest
from training_helpers import ethanol, random_structure, tiny_model

pytest.importorskip("lightning")

from outcome_helpers import outcome_of

from openmm_allegro.modelfile import load_model, save_model
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.refit import RECORD, Residuals, least_change, refit_shifts

COMPOSITIONS = ("HHO", "HHHHC", "CO", "HHCO", "OOC", "HC")


def composition(structure):
    return np.array([structure.symbols.count(e) for e in ("H", "C", "O")])


def labelled(model, structures, change, noise=0.0):
    """Structures with the energies of the model with other shifts, by ``change``."""
    blank = [
        dataclasses.replace(s, energy=0.0, forces=np.zeros((len(s), 3)))
        for s in structures
    ]
    arrays = evaluate(model, blank)["arrays"]
    rng = np.random.default_rng(1)
    return [
        dataclasses.replace(
            s,
            energy=float(
                e * len(s) + composition(s) @ change + noise * rng.normal() * len(s)
            ),
        )
        for s, e in zip(blank, arrays["energy_prediction"], strict=True)
    ]


def molecules(count=12):
    return [
        random_structure(tuple(COMPOSITIONS[i % 6]), seed=i, box=6.0)
        for i in range(count)
    ]


def test_compositional_offsets_are_found_exactly():
    model = tiny_model("float64")
    change = np.array([0.3, -0.2, 0.05])
    frames = labelled(model, molecules(), change)
    refitted, report = refit_shifts(model, frames[:8], frames[8:])
    found = np.subtract(refitted.statistics.shifts, model.statistics.shifts)
    np.testing.assert_allclose(found, change, atol=1e-9)
    assert report["accepted"] and report["frames"] == 8
    assert report["validation_energy_rmse"][1] < 1e-6
    assert evaluate(refitted, frames)["metrics"]["energy_rmse"] < 1e-6
    assert model.statistics == tiny_model().statistics  # left as it was


def test_one_composition_gets_the_smallest_change_that_removes_its_offset():
    model = tiny_model("float64")
    per_molecule = 0.9  # eV
    frames = [
        dataclasses.replace(s, energy=s.energy + per_molecule)
        for s in labelled(model, ethanol()[:6], np.zeros(3))
    ]
    refitted, _ = refit_shifts(model, frames)
    found = np.subtract(refitted.statistics.shifts, model.statistics.shifts)
    counts = composition(frames[0])  # parallel to it: no part that changes nothing
    np.testing.assert_allclose(found, per_molecule * counts / (counts @ counts))


def test_energies_of_isolated_atoms_stay(caplog):
    """Those of the others take up what they can; with all fixed nothing is left."""
    model = tiny_model("float64")
    frames = labelled(model, molecules(), np.array([0.0, 0.4, 0.0]))
    model.provenance["isolated_atoms"] = {"H": -13.6}
    model.config = dataclasses.replace(model.config, shifts={"O": -2041.7})
    refitted, report = refit_shifts(model, frames)
    found = np.subtract(refitted.statistics.shifts, model.statistics.shifts)
    np.testing.assert_allclose(found, [0, 0.4, 0], atol=1e-9)
    assert report["fixed"] == ["H", "O"]
    with caplog.at_level(logging.INFO, "openmm_allegro.training.refit"):
        same, report = refit_shifts(model, frames, fixed=["C"])
    assert same is model and not report["accepted"]
    assert "all elements are fixed energies of isolated atoms; the mean" in caplog.text


def test_worse_energies_of_the_validation_set_are_refused(caplog):
    model = tiny_model("float64")
    up, down = (
        labelled(model, molecules(), sign * np.array([0.3, 0.3, 0.3]))
        for sign in (1, -1)
    )
    with caplog.at_level(logging.INFO, "openmm_allegro.training.refit"):
        same, report = refit_shifts(model, up, down)
    assert same is model and not report["accepted"]
    assert "refitted, the energy RMSE of validation would be 600.000" in caplog.text


def test_chance_changes_nothing():
    """Of noise alone three standard errors are left in 1 of 370 directions."""
    model = tiny_model("float64")
    frames = labelled(model, molecules(48), np.zeros(3), noise=0.01)
    assert not refit_shifts(model, frames).report["accepted"]


def test_frames_that_scatter_hide_no_offset_of_others():
    """Molecules beside a metal: 20 frames each, of 150 and of 2 meV/atom."""
    rng = np.random.default_rng(3)
    counts = np.repeat([[6.0, 3.0, 0.0], [0.0, 0.0, 32.0]], 20, axis=0)
    per_atom = np.repeat([0.150, 0.002], 20) * rng.normal(size=40)
    per_atom[20:] += 0.018
    residuals = Residuals(counts, per_atom * counts.sum(1), np.ones(40))
    change = least_change(residuals, np.full(3, True))
    assert change[2] == pytest.approx(0.018, abs=0.002)
    assert not change[:2].any()


def test_weights_are_those_of_the_loss():
    """A fit of weighted energies per atom, as numpy does it."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (40, 3)).astype(float)
    weights = rng.uniform(0, 2, 40)
    errors = counts @ [0.5, -0.3, 0.8] + 0.01 * rng.normal(size=40)
    root = np.sqrt(weights) / counts.sum(1)
    expected = np.linalg.lstsq(counts * root[:, None], errors * root, rcond=None)[0]
    residuals = Residuals(counts, errors, weights)
    found = least_change(residuals, np.full(3, True))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    root = np.sqrt(weights)  # errors of whole energies
    expected = np.linalg.lstsq(counts * root[:, None], errors * root, rcond=None)[0]
    found = least_change(residuals.for_totals(), np.full(3, True))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_command_writes_a_model_that_simulates(tmp_path, capsys):
    from ase.io import write

    model = tiny_model("float64")
    change = np.array([0.3, -0.2, 0.05])
    frames = labelled(model, molecules(), change)
    for name, part in (("train", frames[:8]), ("test", frames[8:])):
        write(tmp_path / f"{name}.extxyz", [as_atoms(s) for s in part])
    save_model(model, tmp_path / "model.safetensors")
    paths = [str(tmp_path / f) for f in ("model.safetensors", "train.extxyz")]
    options = ["-o", str(tmp_path / "new.safetensors")]
    options += ["--validation", str(tmp_path / "test.extxyz")]
    outcome = outcome_of(tmp_path / "x.json", "refit", *paths, *options)
    before, after = outcome["results"]["validation_energy_rmse"]
    assert before > 10 * after and outcome["units"]["validation_energy_rmse"]
    assert "energy RMSE of validation" in capsys.readouterr().out
    new = load_model(tmp_path / "new.safetensors")
    found = np.subtract(new.statistics.shifts, model.statistics.shifts)
    np.testing.assert_allclose(found, change, atol=1e-6)
    assert new.stored.programs.digest == new.origin.digest
    assert new.provenance[RECORD]["accepted"]
    assert new.provenance["note"] == "Å"  # and what the record had


def as_atoms(structure):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms(
        structure.symbols,
        structure.positions,
        cell=structure.cell,
        pbc=structure.periodic,
    )
    labels = {"energy": structure.energy, "forces": structure.forces}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms
