# SPDX-License-Identifier: MIT
"""Each model of systems/ is what its folder says, and right on excerpts of its data."""

import json
from pathlib import Path

import ase.io
import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from openmm_allegro import load_model
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.model import AllegroConfig
from openmm_allegro.simulate.masses import repartition_hydrogen_mass
from openmm_allegro.structure import read_structures
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.train import DataConfig, TrainConfig
from openmm_allegro.units import EV_TO_KJ_PER_MOL
from openmm_allegro.utils.config import read_toml

SYSTEMS = Path(__file__).parents[2] / "systems"
DATA = Path(__file__).parents[1] / "data"
TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
# name of the model, periodicity of its data, largest RMSE of forces in meV/Å
MODELS = {
    "nacl_aq": ("nacl_aq", "all", 60),
    "nacl_aq_charged": ("nacl_aq_charged", "all", 25),
    "ec_emc": ("ec_emc", "all", 120),
    "alanine_water": ("alanine", "none", 190),
    "li6ps5cl": ("li6ps5cl", "all", 60),
    "li3po4": ("li3po4", "all", 60),
    "lgps": ("lgps", "all", 63),
}


@pytest.mark.parametrize("folder", MODELS)
def test_model_and_folder_agree(folder):
    name, periodic, limit = MODELS[folder]
    path = SYSTEMS / folder / f"{name}.safetensors"
    model = load_model(path)
    config = read_toml(SYSTEMS / folder / "config.toml", TABLES)
    assert model.config == config["model"]
    assert model.provenance["train"]["seed"] == config["train"].seed
    assert model.provenance["train"]["max_epochs"] == config["train"].max_epochs
    assert model.provenance["periodic"] == periodic
    assert path.stat().st_size < 5e6
    metrics = json.loads((SYSTEMS / folder / "metrics.json").read_text())
    assert 0 < metrics["forces_rmse"] <= limit
    lines = (SYSTEMS / folder / "training_log.csv").read_text().splitlines()
    assert len(lines) == 1 + config["train"].max_epochs
    with pytest.raises(StopIteration):  # the data itself is not redistributed
        next(SYSTEMS.joinpath(folder).glob("*.extxyz"))


def test_nacl_boxes():
    for name in ("packed.pdb", "nacl_aq.pdb"):
        topology, lengths = read_box(SYSTEMS / "nacl_aq" / name)
        symbols = [atom.element.symbol for atom in topology.atoms()]
        assert set(symbols) == {"H", "O", "Na", "Cl"}
        assert symbols.count("Na") == symbols.count("Cl")
        box = topology.getPeriodicBoxVectors()[0][0].value_in_unit(unit.angstrom)
        assert box == pytest.approx(12.42)
        assert len(lengths) == 2 * symbols.count("O")
        assert lengths.max() < 0.125  # nm; no broken water


def test_ec_emc_boxes():
    for name in ("frame.pdb", "ec_emc.pdb"):
        topology, lengths = read_box(SYSTEMS / "ec_emc" / name)
        names = [residue.name for residue in topology.residues()]
        assert names == ["EC"] * 4 + ["EMC"] * 8
        assert len(lengths) == 4 * 10 + 8 * 14
        assert 0.09 < lengths.min() and lengths.max() < 0.18


def test_ec_emc_molecules_from_a_frame(load_script):
    """Molecules are whole, and the same atoms as in the frame up to box vectors."""
    build_box = load_script("ec_emc", "build_box")
    for frame in ase.io.read(DATA / "ec_emc.extxyz", ":"):
        topology, positions, order = build_box.build_box(frame)
        assert sorted(order) == list(range(len(frame)))
        symbols = np.array(frame.get_chemical_symbols())[order]
        assert [a.element.symbol for a in topology.atoms()] == symbols.tolist()
        shifts = (positions - frame.positions[order]) / frame.cell.lengths()
        np.testing.assert_allclose(shifts, shifts.round(), atol=1e-9)
        pairs = [(a.index, b.index) for a, b in topology.bonds()]
        first, second = np.array(pairs).T
        lengths = np.linalg.norm(positions[first] - positions[second], axis=1)
        assert len(pairs) == 152 and lengths.max() < 1.8


def test_ec_emc_on_an_excerpt():
    model = load_model(SYSTEMS / "ec_emc" / "ec_emc.safetensors")
    metrics = evaluate(model, read_structures(DATA / "ec_emc.extxyz"))["metrics"]
    assert metrics["forces_rmse"] < 80
    assert metrics["energy_rmse"] < 2
    assert metrics["stress_rmse"] < 0.3


def test_pressure_inside_molecules_does_not_depend_on_the_box(load_script):
    """It is that of the atoms of a molecule, wherever its images are."""
    pressure = load_script("ec_emc", "pressure")
    frame = ase.io.read(DATA / "ec_emc.extxyz", 0)
    moved = frame.copy()
    moved.calc = frame.calc
    reference = pressure.pressures(frame)
    rng = np.random.default_rng(0)
    labels = frame.get_forces(), frame.get_stress()
    moved.positions += rng.integers(-2, 3, (len(frame), 3)) @ frame.cell.array
    moved.calc = type(frame.calc)(moved, forces=labels[0], stress=labels[1])
    np.testing.assert_allclose(pressure.pressures(moved), reference, rtol=1e-9)
    # by far the most of the label, the molecules of the frame being far apart
    assert reference[2] == pytest.approx(reference[3], abs=2.0)


def test_density_from_fits_to_a_known_equation_of_state(load_script):
    """Any form of higher order finds the root of the one that made the pressures."""
    pressure = load_script("ec_emc", "pressure")
    random = np.random.default_rng(0)
    density, kelvin = random.uniform(0.4, 1.4, 50), random.uniform(300, 1200, 50)
    ideal = 0.8 * density * kelvin / 300
    total = ideal - 12 * density**2 + 10 * density**2 * kelvin / 300
    total += 1.2 * density**3
    # 0.8 - 2 ρ + 1.2 ρ² at 300 K: the larger root, where the pressure rises
    for form in pressure.FORMS[2], pressure.FORMS[4], pressure.FORMS[5]:
        found, left = pressure.extrapolate(kelvin, density, total, ideal, form)
        assert found == pytest.approx(1.0, abs=0.0015)
        assert left < 1e-9
    none, _ = pressure.extrapolate(
        kelvin, density, ideal + density**2, ideal, ((2, 0),)
    )
    assert np.isnan(none)


def test_pressure_of_molecules_is_the_energys_derivative(load_script):
    """By the volume, molecules moving as they are; and the ideal gas of them."""
    density = load_script("ec_emc", "density")
    frame = ase.io.read(DATA / "ec_emc.extxyz", 2)
    calculator = AllegroCalculator(SYSTEMS / "ec_emc" / "ec_emc.safetensors")
    molecules, _, whole = density.find_molecules(frame)
    energies, step = [], 1e-3
    for scale in (1 + step, 1 - step):
        moved = frame.copy()
        moved.set_cell(frame.cell * scale)
        moved.positions = whole
        masses = frame.get_masses()
        for molecule in molecules:
            center = np.average(whole[molecule], axis=0, weights=masses[molecule])
            moved.positions[molecule] += (scale - 1) * center
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
    volume = frame.get_volume()
    slope = (energies[0] - energies[1]) / (volume * 6 * step)
    ideal = len(molecules) * 8.617333e-5 * 400 / volume
    frame.calc = calculator
    found = density.molecular_pressure(frame, 400.0)
    assert found == pytest.approx((ideal - slope) * 1602.17663, rel=1e-3, abs=0.01)
    assert abs(found) > 0.5


def test_density_of_runs(load_script, tmp_path):
    """Correlated series after a drift: the truth lies within a few errors."""
    density = load_script("ec_emc", "density")
    random, series = np.random.default_rng(1), []
    for number, length in enumerate((4100, 2100)):
        noise = [0.0]
        for _ in range(length - 1):
            noise.append(0.98 * noise[-1] + random.normal(0, 0.005))
        index = np.arange(length)
        values = 1.1 + np.array(noise) - 0.3 * np.exp(-index / 20)
        volumes = np.where(index % 4 < 2, 2.0, 2.1)  # every second move was accepted
        table = [index * 0.05, values, volumes, np.full(length, 300.0)]
        np.savetxt(
            tmp_path / f"{number}.csv",
            np.stack(table, axis=1),
            delimiter=",",
            header='#"Time (ps)","Density (g/mL)","Box Volume (nm^3)","Temperature"',
            comments="",
        )
        found, start = density.describe_run(tmp_path / str(number), 5.0)
        assert start == 100
        assert len(found["block_means_g_cm3"]) == length // 200
        assert found["accepted_volume_moves"] == pytest.approx(0.5, abs=0.001)
        series.append(values[start:])
    (mean, error), inefficiency = density.mean_density(series)
    assert inefficiency == pytest.approx(1.98 / 0.02, rel=0.3)  # (1 + a) / (1 - a)
    # σ √(g/N), σ² = 0.005² / (1 - a²)
    expected = 0.005 / (1 - 0.98**2) ** 0.5 * (1.98 / 0.02 / 6000) ** 0.5
    assert error == pytest.approx(expected, rel=0.3)
    assert abs(mean - 1.1) < 3 * error


def test_line_through_an_equation_of_state(load_script):
    density = load_script("ec_emc", "density")
    random = np.random.default_rng(2)
    x = random.normal(1.1, 0.03, 4000)
    y = 0.2 + 9 * (x - 1.12) + random.normal(0, 1, 4000)
    value, slope = density.line(x, y, 1.12)
    assert abs(value.value - 0.2) < 3 * value.error < 0.1
    assert abs(slope.value - 9) < 3 * slope.error < 3


def test_heavy_hydrogens_leave_the_mass_of_molecules():
    topology, _ = read_box(SYSTEMS / "ec_emc" / "ec_emc.pdb")
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    repartition_hydrogen_mass(system, topology, 3.0)
    for residue in topology.residues():
        masses = [system.getParticleMass(a.index)._value for a in residue.atoms()]
        expected = sum(a.element.mass._value for a in residue.atoms())
        assert sum(masses) == pytest.approx(expected)
        assert min(masses) == 3.0
        assert masses.count(3.0) == {"EC": 4, "EMC": 8}[residue.name]


def test_alanine_boxes():
    for name, waters in (("solute", 0), ("solvated", 422), ("alanine_water", 422)):
        topology, lengths = read_box(SYSTEMS / "alanine_water" / f"{name}.pdb")
        names = [residue.name for residue in topology.residues()]
        assert names == ["ACE", "ALA", "NME"] + ["HOH"] * waters
        assert len(lengths) == 21 + 2 * waters
        assert lengths.max() < 0.17


def test_alanine_labels(load_script):
    """Water's forces are all of the force field's less those of the solute alone."""
    prepare = load_script("alanine_water", "prepare")
    frame = ase.io.read(DATA / "solvated_alanine.extxyz", 0)
    order, water, total = prepare.solute_of(frame, {})
    assert len(order) == 22
    solute = frame[order]
    topology = prepare.make_topology(
        solute.get_chemical_symbols(), prepare.find_bonds(solute)
    )
    assert topology[0] == list(range(22))
    context = prepare.contexts(topology[1], 22)[1]
    context.setPositions(solute.positions / 10)
    alone = context.getState(forces=True).getForces(asNumpy=True)
    alone = alone.value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
    alone /= EV_TO_KJ_PER_MOL
    np.testing.assert_allclose(water, total - alone, atol=1e-5)
    assert np.abs(water).max() > 0.1


def test_alanine_model_is_nearer_to_its_teacher_than_the_force_field(load_script):
    compare = load_script("alanine_water", "compare")
    frames = ase.io.read(DATA / "solvated_alanine.extxyz", ":")
    found = compare.solute_forces(
        frames, SYSTEMS / "alanine_water" / "alanine.safetensors"
    )
    rows = compare.metrics(*found)["ways"]
    amber, mixed = (
        rows[way]["alanine"]["forces_rmse"]
        for way in (compare.CLASSICAL, compare.MIXED)
    )
    assert mixed < 0.4 * amber


def test_torques_are_derivatives_of_the_energy(load_script):
    """About φ and ψ, by finite differences of the model's energy."""
    compare = load_script("alanine_water", "compare")
    solute = ase.io.read(SYSTEMS / "alanine_water" / "solute.pdb")
    path = SYSTEMS / "alanine_water" / "alanine.safetensors"
    solute.calc = AllegroCalculator(path)
    turns = compare.backbone_turns(solute)
    trajectory = mdtraj.load(SYSTEMS / "alanine_water" / "solute.pdb")
    phi, psi = (f(trajectory)[0][0] for f in (mdtraj.compute_phi, mdtraj.compute_psi))
    assert [turn[:2] for turn in turns] == [tuple(phi[1:3]), tuple(psi[1:3])]
    positions, angle = solute.get_positions(), 0.01
    for i, j, side in turns:
        torque = compare.torque(positions, solute.get_forces(), i, j, side)
        energies = []
        for sign in (1, -1):
            turned = solute.copy()
            turned.calc = solute.calc
            part = turned[side]
            part.rotate(
                np.degrees(sign * angle), positions[j] - positions[i], positions[j]
            )
            turned.positions[side] = part.positions
            energies.append(turned.get_potential_energy() * EV_TO_KJ_PER_MOL)
        slope = (energies[0] - energies[1]) / (2 * angle)
        assert torque == pytest.approx(-slope, rel=0.01, abs=0.1)


def read_box(path):
    """Topology, and lengths of its bonds in nm."""
    with open(path) as file:
        topology = app.PDBFile(file).topology
    trajectory = mdtraj.load(path)
    bonds = [[a.index, b.index] for a, b in topology.bonds()]
    periodic = trajectory.unitcell_lengths is not None
    lengths = mdtraj.compute_distances(trajectory, np.array(bonds), periodic=periodic)
    return topology, lengths[0]
