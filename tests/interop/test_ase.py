# SPDX-License-Identifier: MIT
"""The ASE calculator gives what the model gives, and what ASE's tools rely on."""

import copy
import importlib
import pickle
import sys

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from helpers import random_ase
from openmm_helpers import energy_and_forces, make_topology

from openmm_allegro import AllegroPotential, read_structures, save_model
from openmm_allegro.interop import ase as interop
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.structure import from_ase
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL

torch = pytest.importorskip("torch")
predict = importlib.import_module("openmm_allegro.training.predict").predict
samples = importlib.import_module("openmm_allegro.training.samples")

KINDS = ("large", "triclinic", "tiny triclinic", "slab", "isolated")


@pytest.fixture(scope="module", params=["torch", "native"])
def calculator(full_model, request):
    return AllegroCalculator(full_model, backend=request.param)


@pytest.fixture
def made(monkeypatch):
    """The symbols of each computation that is made during the test."""
    calls = []

    def model_computation(model, symbols, options, **others):
        calls.append(list(symbols))
        return original(model, symbols, options, **others)

    original = interop.model_computation
    monkeypatch.setattr(interop, "model_computation", model_computation)
    return calls


def prediction(model, atoms):
    """Predict for the same atoms with the training code."""
    structures = [from_ase(atoms.copy())]
    made = samples.make_samples(structures, model.config, torch.float64)
    return predict(model.energy, samples.collate(made, model.config))


def strained(atoms, strain):
    """Positions and cell under a symmetric strain, in ASE's Voigt order."""
    xx, yy, zz, yz, xz, xy = strain
    matrix = np.array(
        [[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]]
    )
    moved = atoms.copy()
    moved.calc = atoms.calc
    moved.set_cell(atoms.cell.array @ (np.eye(3) + matrix), scale_atoms=False)
    moved.positions = atoms.positions @ (np.eye(3) + matrix)
    return moved


def difference(energy_at, components, step=1e-5):
    """Central differences; the error is about step² and rounding over step."""
    unit = np.eye(components) * step
    return np.array([energy_at(d) - energy_at(-d) for d in unit]) / (2 * step)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_training_code(full_model, calculator, kind):
    atoms = random_ase(kind, calculator)
    expected = prediction(full_model, atoms)
    energy = atoms.get_potential_energy()
    assert isinstance(energy, float)
    assert energy == pytest.approx(expected.energies.item(), rel=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == energy
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, rel=1e-12)
    forces = atoms.get_forces()
    assert forces.dtype == np.float64
    scale = abs(forces).max()
    np.testing.assert_allclose(forces, expected.forces.numpy(), atol=1e-11 * scale)
    if atoms.pbc.all():
        stress = atoms.get_stress(voigt=False)
        assert stress.dtype == np.float64
        np.testing.assert_allclose(stress, expected.stresses[0].numpy(), atol=1e-10)


@pytest.mark.parametrize("kind", ["triclinic", "isolated"])
@pytest.mark.parametrize("calculator", ["torch"], indirect=True)
def test_equals_openmm(full_model, calculator, kind):
    pytest.importorskip("openmmtorch")
    atoms = random_ase(kind, calculator)
    box = atoms.cell.array / 10 if atoms.pbc.all() else None
    topology = make_topology(atoms.get_chemical_symbols(), box)
    system = AllegroPotential(full_model).create_system(topology, precision="double")
    energy, forces = energy_and_forces(system, atoms.positions / 10)
    assert atoms.get_potential_energy() * EV_TO_KJ_PER_MOL == pytest.approx(
        energy, rel=1e-12
    )
    ours = atoms.get_forces() * EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
    np.testing.assert_allclose(ours, forces, atol=1e-10 * abs(forces).max())


@pytest.mark.parametrize("kind", ["triclinic", "slab", "isolated"])
def test_forces_are_the_gradient(calculator, kind):
    atoms = random_ase(kind, calculator)
    forces = atoms.get_forces()

    def energy_at(shift):
        moved = atoms.copy()
        moved.calc = calculator
        moved.positions += shift.reshape(-1, 3)
        return moved.get_potential_energy()

    numerical = -difference(energy_at, forces.size).reshape(-1, 3)
    np.testing.assert_allclose(forces, numerical, atol=1e-8 * abs(forces).max())


@pytest.mark.parametrize("kind", ["triclinic", "tiny triclinic", "slab", "boxed"])
def test_stress_is_the_derivative_by_strain(calculator, kind):
    if kind == "boxed":  # a molecule in a cell that does not repeat
        atoms = random_ase("isolated", calculator)
        atoms.cell = np.diag([8.0, 9.0, 10.0])
    else:
        atoms = random_ase(kind, calculator)
    stress = atoms.get_stress()
    numerical = difference(lambda s: strained(atoms, s).get_potential_energy(), 6)
    numerical /= atoms.get_volume()
    assert (abs(stress) > 1e-3 * abs(stress).max()).all()  # all six components tell
    np.testing.assert_allclose(stress, numerical, atol=1e-8 * abs(stress).max())


@pytest.mark.parametrize("kind", ["triclinic", "tiny triclinic", "slab"])
def test_stresses_of_the_atoms(calculator, full_model, kind):
    """Those of the unit of a supercell; as with the other backend; their sum."""
    atoms = random_ase(kind, calculator)
    stresses, stress = atoms.get_stresses(), atoms.get_stress()
    scale = abs(stresses).max()
    assert stresses.shape == (len(atoms), 6)
    np.testing.assert_allclose(stresses.sum(0), stress, atol=1e-12 * scale)
    double = atoms.repeat((1, 2, 1))
    double.calc = calculator
    expected = np.tile(stresses / 2, (2, 1))
    np.testing.assert_allclose(double.get_stresses(), expected, atol=1e-11 * scale)
    other = {"torch": "native", "native": "torch"}[calculator.backend]
    atoms.calc = AllegroCalculator(full_model, backend=other)
    np.testing.assert_allclose(atoms.get_stresses(), stresses, atol=1e-11 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_may_be_outside_the_cell(calculator, kind):
    atoms = random_ase(kind, calculator)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    images = np.random.default_rng(1).integers(-3, 4, (len(atoms), 3)) * atoms.pbc
    atoms.positions += images @ atoms.cell.array + [17.0, -31.0, 53.0]
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-11)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-9)


@pytest.mark.parametrize("pbc", [(1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 0, 1), (0, 1, 0)])
def test_partly_periodic_is_periodic_with_vacuum(calculator, pbc):
    """Whatever stands in the cell where it is not periodic: nothing, or anything."""
    atoms = random_ase("triclinic", calculator)
    atoms.pbc = pbc
    results = []
    away = np.linalg.svd(atoms.cell.array[atoms.pbc])[2][sum(pbc) :]
    for kind in ("vacuum", "zero", "as it was"):
        other = atoms.copy()
        other.calc = calculator
        cell = atoms.cell.array.copy()
        if kind == "zero":
            cell[~atoms.pbc] = 0.0
        elif kind == "vacuum":
            cell[~atoms.pbc] = 40.0 * away
            other.pbc = True
        other.cell = cell
        results.append((other.get_potential_energy(), other.get_forces()))
        if kind == "vacuum":
            strain = other.get_stress() * other.get_volume()
        elif kind == "as it was":
            found = other.get_stress() * other.get_volume()
            np.testing.assert_allclose(found, strain, atol=1e-10 * abs(strain).max())
    for energy, forces in results[1:]:
        assert energy == pytest.approx(results[0][0], rel=1e-12)
        np.testing.assert_allclose(forces, results[0][1], atol=1e-9)
    atoms.pbc = True  # and the periodicity matters
    assert abs(atoms.get_potential_energy() - results[0][0]) > 1e-3


def test_no_stress_without_a_volume(calculator):
    atoms = random_ase("isolated", calculator)
    with pytest.raises(PropertyNotImplementedError, match="cell with a volume"):
        atoms.get_stress()
    assert "stress" not in calculator.results
    with pytest.raises(PropertyNotImplementedError, match="stresses: expected a cell"):
        atoms.get_stresses()
    assert atoms.get_potential_energy() == calculator.results["energy"]
    atoms.cell = [[5.0, 0, 0], [0, 5.0, 0], [5.0, 5.0, 0]]  # ase's rank is 3
    with pytest.raises(PropertyNotImplementedError, match="cell with a volume"):
        atoms.get_stress()


@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
def test_optimizing_positions_lowers_the_energy(calculator, optimizer):
    atoms = random_ase("triclinic", calculator)
    energy, largest = atoms.get_potential_energy(), abs(atoms.get_forces()).max()
    optimizer(atoms, logfile=None).run(fmax=0.0, steps=25)
    assert atoms.get_potential_energy() < energy
    assert abs(atoms.get_forces()).max() < largest


def test_optimizing_the_cell_lowers_energy_and_stress(calculator):
    atoms = random_ase("triclinic", calculator)
    energy, largest = atoms.get_potential_energy(), abs(atoms.get_stress()).max()
    volume = atoms.get_volume()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.0, steps=25)
    assert atoms.get_potential_energy() < energy
    assert abs(atoms.get_stress()).max() < largest
    assert atoms.get_volume() != pytest.approx(volume, rel=1e-3)


def test_nve_conserves_energy(calculator):
    """100 steps of 0.5 fs: fluctuations are far below what moves between T and V."""
    atoms = random_ase("triclinic", calculator)
    FIRE(atoms, logfile=None).run(fmax=0.1, steps=60)
    widths = np.sqrt(300 * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(np.random.default_rng(0).normal(size=(len(atoms), 3)) * widths)
    kinetic, total = [], []
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    for _ in range(100):
        dynamics.run(1)
        kinetic.append(atoms.get_kinetic_energy())
        total.append(atoms.get_total_energy())
    assert np.ptp(kinetic) > 0.05
    assert np.ptp(total) < 0.003 * np.ptp(kinetic)


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_made_again_only_for_other_elements_or_periodicity(full_model, made, backend):
    atoms = random_ase("triclinic", AllegroCalculator(full_model, backend=backend))
    first = atoms.get_potential_energy()
    atoms.rattle(0.05)
    atoms.get_forces()
    atoms.set_cell(1.02 * atoms.cell, scale_atoms=True)
    atoms.get_stress()
    assert len(made) == 1
    for change in ("symbol", "count", "periodicity"):
        if change == "symbol":
            atoms.symbols[0] = "O" if atoms.symbols[0] != "O" else "H"
        elif change == "count":
            atoms += Atoms("H", [atoms.positions[0] + 1.3])
        else:
            atoms.pbc = [True, False, True]
        before = len(made)
        energy = atoms.get_potential_energy()
        assert len(made) == before + 1
        expected = prediction(full_model, atoms)
        assert energy == pytest.approx(expected.energies.item(), rel=1e-12)
        np.testing.assert_allclose(
            atoms.get_forces(), expected.forces.numpy(), atol=1e-9
        )
        assert abs(energy - first) > 1e-3


def test_charges_and_magnetic_moments_are_ignored(full_model, monkeypatch):
    calculator = AllegroCalculator(full_model)
    atoms = random_ase("triclinic", calculator)
    energy = atoms.get_potential_energy()
    monkeypatch.setattr(calculator, "_evaluate", None)
    atoms.set_initial_charges(np.arange(len(atoms)))
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))
    assert atoms.get_potential_energy() == energy


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_copies_and_pickles(full_model, backend):
    atoms = random_ase("triclinic", AllegroCalculator(full_model, backend=backend))
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    for duplicate in (copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))):
        other = duplicate(atoms)
        assert other.calc is not atoms.calc
        assert other.calc.results["energy"] == energy
        other.positions[0] += 0.01
        assert other.get_potential_energy() != energy
        other.positions[0] -= 0.01
        np.testing.assert_allclose(other.get_forces(), forces, atol=1e-9)
    assert atoms.calc.results["energy"] == energy


def test_takes_a_file_and_two_precisions(full_model, calculator, tmp_path):
    path = save_model(full_model, tmp_path / "model.safetensors")
    atoms = random_ase("triclinic", calculator)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    stress = atoms.get_stress()
    atoms.calc = AllegroCalculator(str(path))
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    atoms.calc = AllegroCalculator(path, precision="single", device="cpu")
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-5)
    assert atoms.get_forces().dtype == atoms.get_stress().dtype == np.float64
    for found, expected in ((atoms.get_forces(), forces), (atoms.get_stress(), stress)):
        assert 0 < abs(found - expected).max() < 1e-4 * abs(expected).max()


def test_results_are_labels_that_training_reads(calculator, tmp_path):
    atoms = random_ase("triclinic", calculator)
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    write(tmp_path / "labelled.extxyz", atoms)
    (structure,) = read_structures(tmp_path / "labelled.extxyz")
    assert structure.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(structure.forces, forces, atol=1e-6)
    np.testing.assert_allclose(structure.stress, stress, atol=1e-6)


def test_labels_in_the_atoms_do_not_matter(calculator):
    """A data set's own energies and forces, NaN ones too, are neither read nor used."""
    atoms = random_ase("triclinic", calculator)
    energy = atoms.get_potential_energy()
    atoms.info["energy"] = np.nan
    atoms.arrays["forces"] = np.full((len(atoms), 3), np.nan)
    calculator.reset()
    assert atoms.get_potential_energy() == energy


def test_backend_without_torch(full_model, monkeypatch):
    assert AllegroCalculator(full_model).backend == "torch"
    monkeypatch.setitem(sys.modules, "vesin_torch", None)
    assert AllegroCalculator(full_model).backend == "native"
    for asked in ({"backend": "torch"}, {"device": "cpu"}):
        with pytest.raises(ImportError, match="expects vesin_torch, found none; pip"):
            AllegroCalculator(full_model, **asked)


def test_works_where_gradients_are_switched_off(full_model):
    atoms = random_ase("triclinic", AllegroCalculator(full_model))
    forces = atoms.get_forces()
    atoms.calc.reset()
    with torch.no_grad():
        np.testing.assert_array_equal(atoms.get_forces(), forces)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_cuda_equals_cpu(full_model, kind):
    results = []
    for device in ("cpu", "cuda"):
        atoms = random_ase(kind, AllegroCalculator(full_model, device=device))
        results.append((atoms.get_potential_energy(), atoms.get_forces()))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-11)
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-9)
