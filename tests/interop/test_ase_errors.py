# SPDX-License-Identifier: MIT
"""Errors of the ASE calculator."""

import numpy as np
import pytest
from ase import Atoms
from helpers import ELEMENTS, random_ase

from openmm_allegro import Model
from openmm_allegro.interop.ase import AllegroCalculator

pytest.importorskip("torch")  # which makes the model


def broken(name):
    atoms = random_ase("slab")
    if name == "unknown":
        atoms.symbols[2:4] = ["Xe", "Si"]
    elif name == "dummy":
        atoms.symbols[2] = "X"
    elif name == "empty":
        atoms = Atoms()
    elif name == "nan":
        atoms.positions[3, 1] = np.nan
    elif name == "infinite cell":
        atoms.cell[0, 0] = np.inf
    elif name == "no vector":
        atoms.cell[1] = 0.0
    elif name == "flat":
        atoms.pbc, atoms.cell[2] = True, atoms.cell[0] - atoms.cell[1]
    elif name == "dependent":
        atoms.cell[1] = -2 * atoms.cell[0]
    elif name == "same place":
        atoms.positions[4] = atoms.positions[1]
    return atoms


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", [", ".join(ELEMENTS), "Si, Xe"]),
        ("dummy", ["found X"]),
        ("empty", ["at least one atom"]),
        ("nan", ["finite positions", "NaN"]),
        ("infinite cell", ["finite cell"]),
        ("no vector", ["cell vector in each periodic direction"]),
        ("flat", ["three independent", "degenerate"]),
        ("dependent", ["independent cell vectors", "degenerate"]),
        ("same place", ["finite energies and forces", "same position"]),
    ],
)
def test_bad_atoms(calculator, name, words):
    atoms = broken(name)
    atoms.calc = calculator
    random_ase("slab", calculator).get_potential_energy()
    calls = (
        lambda: calculator.calculate(atoms, ["energy"]),
        atoms.get_potential_energy,
        atoms.get_potential_energy,  # what failed is not taken for a result
    )
    for call in calls:
        with pytest.raises(ValueError) as error:
            call()
        for word in ["atoms: expected", *words]:
            assert word in str(error.value)
        assert calculator.results == {}


def test_bad_options(full_model, calculator):
    delta = Model(**dict(vars(full_model)) | {"kind": "delta"})
    with pytest.raises(ValueError, match=r"kind total.*delta.*corrects a force field"):
        AllegroCalculator(delta)
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        AllegroCalculator("nowhere.safetensors")
    with pytest.raises(ValueError, match=r"single.*double.*half"):
        AllegroCalculator(full_model, precision="half")
    for device in ("gpu", "meta", 1.5, "cuda:99"):
        with pytest.raises(ValueError, match=rf"expected a device.*{device}"):
            AllegroCalculator(full_model, device=device)
    with pytest.raises(ValueError, match=r"expected no device.*found device='cpu'"):
        AllegroCalculator(full_model, backend="native", device="cpu")
    with pytest.raises(ValueError, match=r"backend of .*native.*, found 'torchforce'"):
        AllegroCalculator(full_model, backend="torchforce")
    with pytest.raises(ValueError, match=r"in its constructor, found set\(precision\)"):
        calculator.set(precision="single")
    with pytest.raises(ValueError, match="at least one atom"):
        AllegroCalculator(full_model).get_potential_energy()
