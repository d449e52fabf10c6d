# SPDX-License-Identifier: MIT
"""Shipped models where their training data ends: hotter, denser, closer."""

from pathlib import Path

import ase
import numpy as np
import pytest
from openmm import app

from openmm_allegro import load_model
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.structure import read_structures
from openmm_allegro.training.evaluate import evaluate

ROOT = Path(__file__).parents[2]
SYSTEMS = ROOT / "systems"
DATA = Path(__file__).parents[1] / "data"


def test_3bpa_hotter_than_its_training():
    """Trained at 300 K; bounds are a quarter above what was measured."""
    model = load_model(ROOT / "benchmarks" / "accuracy" / "models" / "3bpa.safetensors")
    frames = read_structures(DATA / "3bpa_hot.extxyz")
    errors = {}
    for kelvin, chosen, energy, forces in (
        (600, frames[:3], 0.16, 17.5),
        (1200, frames[3:], 1.46, 72),
    ):
        metrics = evaluate(model, chosen)["metrics"]
        assert metrics["energy_rmse"] < energy
        assert metrics["forces_rmse"] < forces
        errors[kelvin] = metrics["forces_rmse"]
    assert errors[600] < errors[1200]


@pytest.mark.parametrize("name", ["nacl_aq", "ec_emc"])
def test_liquids_resist_compression(name):
    """Molecules that are pushed together cost energy, more and more."""
    calculator = AllegroCalculator(
        SYSTEMS / name / f"{name}.safetensors", precision="single"
    )
    pdb = app.PDBFile(str(SYSTEMS / name / f"{name}.pdb"))
    positions = 10 * np.array(pdb.positions._value)
    molecules = np.array([atom.residue.index for atom in pdb.topology.atoms()])
    centers = np.array(
        [positions[molecules == m].mean(0) for m in np.unique(molecules)]
    )
    box = 10 * np.array(pdb.topology.getPeriodicBoxVectors()._value)
    symbols = [atom.element.symbol for atom in pdb.topology.atoms()]
    energies = []
    for volume in (1.0, 0.9, 0.8, 0.7):
        scale = volume ** (1 / 3)
        moved = positions + (scale - 1.0) * centers[molecules]
        atoms = ase.Atoms(
            symbols, moved, cell=scale * box, pbc=True, calculator=calculator
        )
        energies.append(atoms.get_potential_energy() / len(atoms))
    steps = np.diff(energies)
    assert (steps > 0).all()
    assert (np.diff(steps) > 0).all()
