# SPDX-License-Identifier: MIT
"""Dipoles, currents and charges of a model, line by line and over restarts."""

import contextlib
import itertools

import mdtraj
import numpy as np
import openmm
import pytest
from analysis_helpers import TRICLINIC
from charged_helpers import charged_water
from dipole_helpers import stand_in, with_charges
from openmm_helpers import BACKEND, harmonic_system, make_topology
from run_helpers import Killed, Killer
from watchdog_helpers import simulate

from openmm_allegro import AllegroPotential, Stage, run, run_protocol
from openmm_allegro.reporters import ChargeReporter, DipoleReporter
from openmm_allegro.reporters.molecules import Molecules
from openmm_allegro.utils.charge_records import HEADER_SIZE, read_records

QUICK = {"platform": "Reference", "seed": 5, "minimize": False, "progress": False}
# Two waters and two ions.
SYMBOLS = ["O", "H", "H"] * 2 + ["Na", "Cl"]
START = [-0.6, 0.3, 0.3] * 2 + [0.7, -0.7]


def moving(box):
    """Free particles in a box: two waters, which its boundaries cut, and two ions."""
    rng = np.random.default_rng(11)
    water = np.array([[0, 0, 0], [0.1, 0, 0], [-0.03, 0.09, 0]])
    places = np.concatenate(
        [water, water + np.array([0.5, 0.4, 0.3]), rng.random((2, 3))]
    )
    topology = make_topology(SYMBOLS, box)
    atoms = list(topology.atoms())
    for first in (0, 3):
        for other in (1, 2):
            topology.addBond(atoms[first], atoms[first + other])
    system = openmm.System()
    for atom in atoms:
        system.addParticle(atom.element.mass)
    system.setDefaultPeriodicBoxVectors(*np.asarray(box))
    system.addForce(openmm.CustomExternalForce("0*periodicdistance(x,y,z,0,0,0)"))
    images = rng.integers(-2, 3, (len(atoms), 3)) @ box
    velocities = 0.3 * rng.normal(size=(len(atoms), 3))
    return simulate(topology, system, places + images, velocities), images


@pytest.mark.parametrize("box", [np.diag([1.5, 1.6, 1.7]), TRICLINIC])
def test_a_line_is_what_its_definition_says(box, monkeypatch, tmp_path):
    model = stand_in(monkeypatch, START)
    simulation, images = moving(box)
    simulation.reporters += [
        DipoleReporter(tmp_path / "x.csv", 2),
        ChargeReporter(tmp_path / "x.charges", 4),
    ]
    masses = np.array([simulation.system.getParticleMass(i)._value for i in range(8)])
    lines, records = [], []
    for _ in range(4):
        simulation.step(2)
        state = simulation.context.getState(positions=True, velocities=True)
        positions = state.getPositions(asNumpy=True)._value
        velocities = state.getVelocities(asNumpy=True)._value
        charges = model.charges(positions)
        dipole, current = np.zeros(3), np.zeros(3)
        for atoms in (np.arange(3), np.arange(3, 6), [6], [7]):
            whole, weight = (positions - images)[atoms], masses[atoms]
            center = weight @ whole / weight.sum()
            dipole += charges[atoms] @ (whole - center)
            current += charges[atoms].sum() * weight @ velocities[atoms] / weight.sum()
        elements = [charges[[7]], charges[[1, 2, 4, 5]], charges[[6]], charges[[0, 3]]]
        means = [x.mean() for x in elements]
        lines.append([*dipole, *current, *means, abs(np.linalg.det(box))])
        records.append(charges)
    simulation.reporters = []
    names = (tmp_path / "x.csv").read_text().splitlines()[0].replace('"', "")
    assert names == (
        "#Step,Time (ps),Dipole X (e nm),Dipole Y (e nm),Dipole Z (e nm),"
        "Current X (e nm/ps),Current Y (e nm/ps),Current Z (e nm/ps),"
        "Charge of Cl (e),Charge of H (e),Charge of Na (e),Charge of O (e),"
        "Box Volume (nm^3)"
    )
    table = np.loadtxt(tmp_path / "x.csv", delimiter=",")
    np.testing.assert_allclose(table[:, 0], [2, 4, 6, 8])
    np.testing.assert_allclose(table[:, 1], [0.002, 0.004, 0.006, 0.008])
    np.testing.assert_allclose(table[:, 2:], lines, rtol=1e-9, atol=1e-12)
    found = read_records(tmp_path / "x.charges")
    assert found["step"].tolist() == [4, 8]
    np.testing.assert_allclose(found["time"], [0.004, 0.008])
    np.testing.assert_allclose(found["charges"], records[1::2], rtol=1e-6)
    # As the module says, with numpy alone
    kind = [("step", "<i8"), ("time", "<f8"), ("charges", "<f4", 8)]
    alone = np.fromfile(tmp_path / "x.charges", kind, offset=128)
    np.testing.assert_array_equal(alone["charges"], found["charges"])


def test_change_of_dipoles_and_current_are_all_of_a_current(monkeypatch, tmp_path):
    """Of constant charges ΔD/Δt + J = Σ q v, also of a molecule with a charge."""
    model = stand_in(monkeypatch, [-0.6, 0.3, 0.5] * 2 + [0.7, -0.9], strength=0)
    simulation, _ = moving(np.diag([1.5, 1.6, 1.7]))
    simulation.reporters += [DipoleReporter(tmp_path / "x.csv", 1)]
    simulation.step(5)
    simulation.reporters = []
    table = np.loadtxt(tmp_path / "x.csv", delimiter=",")
    state = simulation.context.getState(velocities=True)
    moved = model.start @ state.getVelocities(asNumpy=True)._value
    changes = np.diff(table[:, 2:5], axis=0) / 0.001
    np.testing.assert_allclose(changes + table[1:, 5:8], [moved] * 4, atol=1e-9)


def test_molecules_are_whole_in_any_cell():
    """A ring and a chain whose atoms are in images all over."""
    rng = np.random.default_rng(12)
    topology = make_topology(["C"] * 11)
    atoms = list(topology.atoms())
    for first, second in [
        (0, 5),
        (5, 2),
        (2, 9),
        (9, 0),
        *itertools.pairwise((1, 10, 3, 7, 4)),
    ]:
        topology.addBond(atoms[first], atoms[second])
    molecules = Molecules(topology, np.ones(11))
    assert molecules.number == 4
    whole = 0.5 * rng.random((11, 3))  # bonds are shorter than half the cell
    moved = whole + rng.integers(-3, 4, (11, 3)) @ TRICLINIC
    found = molecules.whole(moved, TRICLINIC)
    for group in ([0, 5, 2, 9], [1, 10, 3, 7, 4]):
        shifts = (found - whole)[group]
        np.testing.assert_allclose(shifts, [shifts[0]] * len(group), atol=1e-9)
    np.testing.assert_array_equal(found[[6, 8]], moved[[6, 8]])
    np.testing.assert_array_equal(molecules.whole(moved, None), moved)


ASKED = {
    "steps": 60,
    "report_interval": 5,
    "dipole_interval": 3,
    "charge_interval": 10,
    "checkpoint_interval": 20,
}


def start(prefix, *reporters, **options):
    return run(
        *harmonic_system(), prefix, reporters=reporters, **ASKED, **QUICK, **options
    )


def test_a_run_that_was_killed_has_each_line_once(monkeypatch, tmp_path):
    """Those of the undisturbed run, to the last bit."""
    stand_in(monkeypatch, np.linspace(-1, 1, 40))
    whole = start(tmp_path / "whole")
    assert (whole["dipoles"].name, whole["charges"].name) == (
        *("whole.dipoles.csv", "whole.charges"),
    )
    for step in (7, 33, 20, 59):  # before a checkpoint, after, at it, near the end
        with contextlib.suppress(Killed):
            start(tmp_path / "x", Killer(step), resume=True)
    paths = start(tmp_path / "x", resume=True)
    for name in ("dipoles", "charges"):
        assert paths[name].read_bytes() == whole[name].read_bytes()
    records = read_records(paths["charges"])
    assert records["step"].tolist() == list(range(10, 61, 10))
    table = np.loadtxt(paths["dipoles"], delimiter=",")
    np.testing.assert_array_equal(table[:, 0], np.arange(3, 61, 3))
    with pytest.raises(ValueError, match="dipole_interval 3 rather than 4"):
        run(*harmonic_system(), tmp_path / "x", resume=True,
            **(ASKED | {"dipole_interval": 4, "steps": 80}), **QUICK)  # fmt: skip
    # Another run in its place leaves nothing of it.
    run(*harmonic_system(), tmp_path / "x", steps=20, overwrite=True, **QUICK)
    assert not paths["dipoles"].exists() and not paths["charges"].exists()


def test_a_record_that_is_cut_short_is_left_out(monkeypatch, tmp_path):
    stand_in(monkeypatch, np.linspace(-1, 1, 40))
    path = start(tmp_path / "x")["charges"]
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert read_records(path)["step"].tolist() == list(range(10, 60, 10))
    path.write_bytes(data[:HEADER_SIZE])
    assert len(read_records(path)) == 0
    for damaged in (b"", data[:60], b"x" + data, data.replace(b"40", b"-4", 1)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="expected charges of atoms over time"):
            read_records(path)


@pytest.mark.parametrize("name", ["dipole_interval", "charge_interval"])
def test_systems_without_a_models_charges_are_refused_before_a_run(
    name, monkeypatch, tmp_path
):
    asked = {"steps": 20, name: 20, **QUICK}
    message = f"{name}: expected a System with a force of a model with charges"
    with pytest.raises(ValueError, match=message):
        run(*harmonic_system(), tmp_path / "x", **asked)
    stages = [Stage("one", 20), Stage("two", 20, **{name: 20})]
    with pytest.raises(ValueError, match=f"stage two: {message}"):
        run_protocol(*harmonic_system(), stages, tmp_path / "p", progress=False)
    model = stand_in(monkeypatch, np.linspace(-1, 1, 40))
    topology, positions, system = harmonic_system()
    system = with_charges(system, [0.0] * 39 + [0.5])
    with pytest.raises(ValueError, match=f"{name}: .* NonbondedForce with charges"):
        run(topology, positions, system, tmp_path / "x", **asked)
    model.particles = model.particles[1:]
    with pytest.raises(
        ValueError, match=f"{name}: .* all 40 particles, found one of 39"
    ):
        run(*harmonic_system(), tmp_path / "x", **asked)
    assert not list(tmp_path.iterdir())


def test_charges_are_of_frames():
    with pytest.raises(ValueError, match="whole report intervals of 20, found 30"):
        Stage("a", 60, charge_interval=30)
    with pytest.raises(ValueError, match="dipole_interval of at most steps = 10"):
        Stage("a", 10, report_interval=5, dipole_interval=11)
    assert Stage("a", 60, charge_interval=0, dipole_interval=0).charge_interval is None
    assert not {"charge_interval", "dipole_interval"} & set(Stage("a", 60).record())


def test_a_model_with_charges_and_one_without(water_box, model, tmp_path):
    """Charges of frames are the model's, and the dipoles those of these charges."""
    pytest.importorskip("torch")
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    charged = AllegroPotential(charged_water())
    asked = {"steps": 8, "report_interval": 4, "dipole_interval": 2,
             "charge_interval": 4, **QUICK}  # fmt: skip
    system = charged.create_system(topology, backend="pythonforce", precision="double")
    paths = run(topology, positions, system, tmp_path / "x", **asked)
    frames = mdtraj.load(paths["trajectory"], top=paths["topology"])
    records = read_records(paths["charges"])
    np.testing.assert_allclose(records["time"], frames.time, rtol=1e-6)
    table = np.loadtxt(paths["dipoles"], delimiter=",")
    assert table[:, 0].tolist() == [2, 4, 6, 8]
    state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
    places = state.getPositions(asNumpy=True)._value
    expected = charged.charges(topology, places, precision="double")
    np.testing.assert_allclose(records["charges"][-1], expected, atol=1e-6)
    assert abs(expected.sum()) < 1e-12
    waters, parts = places.reshape(-1, 3, 3), expected.reshape(-1, 3)
    masses = np.array([system.getParticleMass(i)._value for i in range(3)])
    arms = waters - np.einsum("i,mix->mx", masses / masses.sum(), waters)[:, None]
    dipole = np.einsum("mi,mix->x", parts, arms)
    np.testing.assert_allclose(table[-1, 2:5], dipole, atol=1e-9)
    uncharged = AllegroPotential(model).create_system(topology, backend=BACKEND)
    with pytest.raises(ValueError, match=r"dipole_interval: expected .* found 0 such"):
        run(topology, positions, uncharged, tmp_path / "y", **asked)
