# SPDX-License-Identifier: MIT
"""Running a System: what is written, what is refused, the physics of ensembles."""

import json
import sys

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import harmonic_system, make_topology

from openmm_allegro import AllegroPotential, run
from openmm_allegro.potential.description import FORCE_NOTES
from openmm_allegro.runs.minimization import minimization_words
from openmm_allegro.simulate.checks import RECORD_KEYS
from openmm_allegro.simulate.minimizer import minimize

pytestmark = pytest.mark.small

KELVIN = 300 * unit.kelvin


def read_csv(path):
    return np.genfromtxt(path, delimiter=",", names=True)


@pytest.fixture
def small_run(model, water_box, tmp_path):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    potential = AllegroPotential(model)

    def start(backend="native", **options):
        system = potential.create_system(topology, backend=backend)
        settings = {"steps": 12, "report_interval": 3, "platform": "CPU", "seed": 3}
        return run(
            topology,
            positions,
            system,
            tmp_path / "out" / "water",
            progress=False,
            **(settings | options),
        )

    return start


def test_files(small_run, water_box):
    symbols, _, box = water_box
    paths = small_run()
    trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
    assert trajectory.n_frames == 4
    assert trajectory.n_atoms == len(symbols)
    np.testing.assert_allclose(trajectory.time, [0.0015, 0.003, 0.0045, 0.006])
    np.testing.assert_allclose(trajectory.unitcell_vectors[0], box, atol=1e-6)
    table = read_csv(paths["energies"])
    assert len(table) == 4
    record = json.loads(paths["record"].read_text())
    assert record["completed_steps"] == record["steps"] == 12
    assert record["temperature_k"] == 300
    assert record["platform"] == "CPU"
    assert record["stochastic_thermostat"] is True
    assert set(record) <= RECORD_KEYS | set(FORCE_NOTES)
    system = openmm.XmlSerializer.deserialize(paths["system"].read_text())
    state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
    assert system.getNumParticles() == len(symbols)
    assert state.getStepCount() == 12
    np.testing.assert_allclose(
        state.getPositions(asNumpy=True)._value, trajectory.xyz[-1], atol=1e-3
    )


class ThreadCounter:
    """A reporter of how many threads torch has."""

    def __init__(self):
        self.found = []

    def describeNextReport(self, simulation):
        return {"steps": 3, "periodic": False, "include": []}

    def report(self, simulation, state):
        self.found.append(sys.modules["torch"].get_num_threads())


def test_the_model_has_as_many_threads_as_the_platform(small_run):
    torch = pytest.importorskip("torch")
    counter, before = ThreadCounter(), torch.get_num_threads()
    small_run("pythonforce", threads=before + 1, reporters=[counter])
    assert counter.found == [before + 1] * 4
    assert torch.get_num_threads() == before


def test_output_is_never_replaced_unasked(small_run):
    paths = small_run()
    before = paths["trajectory"].read_bytes()
    with pytest.raises(FileExistsError, match=r"found .*water\.pdb.*--force"):
        small_run()
    assert paths["trajectory"].read_bytes() == before
    part = paths["trajectory"].with_suffix(".part.xtc")  # as LAMMPS leaves one
    part.write_bytes(before)
    small_run(overwrite=True, steps=6)
    assert not part.exists()
    assert len(read_csv(paths["energies"])) == 2


def test_seed_repeats_the_run(small_run):
    first = read_csv(small_run()["energies"])
    again = read_csv(small_run(overwrite=True)["energies"])
    other = read_csv(small_run(overwrite=True, seed=4)["energies"])
    name = first.dtype.names[2]  # potential energy
    np.testing.assert_allclose(first[name], again[name], rtol=1e-6)
    assert abs(first[name] - other[name]).max() > 1e-3


def test_minimization_lowers_the_energy(small_run, caplog):
    caplog.set_level("INFO")
    name = "Potential_Energy_kJmole"
    paths = small_run(minimize=False, steps=1, report_interval=1)
    assert "minimization" not in json.loads(paths["record"].read_text())
    start = read_csv(paths["energies"])
    paths = small_run(overwrite=True, steps=1, report_interval=1)
    relaxed = read_csv(paths["energies"])
    assert relaxed[name] <= start[name] + 30.0
    done = json.loads(paths["record"].read_text())["minimization"]
    if done["iterations"]:
        assert done["after"]["energy_kj_mol"] < done["before"]["energy_kj_mol"]
    assert minimization_words({"minimization": done}) in caplog.text


@pytest.mark.parametrize(("force", "iterations"), [(900.0, 0), (1100.0, 1)])
def test_a_minimisation_ends_at_thermal_forces_and_says_so(force, iterations):
    """The root mean square over atoms is compared: 3 of 4 have a force, 1 no mass."""
    system = openmm.System()
    spring = openmm.CustomExternalForce("500 * (x^2 + y^2 + z^2)")
    for index in range(4):
        system.addParticle(float(index < 3))
        spring.addParticle(index)
    system.addForce(spring)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    distance = force / 1000 * np.sqrt(4 / 3)
    context.setPositions([[distance, 0, 0]] * 3 + [[9, 9, 9]])
    done = minimize(context)["minimization"]
    assert (done["iterations"] > 0) == (iterations > 0)
    before, after = done["before"], done["after"]
    assert before["rms_force_kj_mol_nm"] == pytest.approx(force)
    assert before["largest_force_kj_mol_nm"] == pytest.approx(1000 * distance)
    assert (after == before) == (not iterations)
    assert iterations == 0 or after["rms_force_kj_mol_nm"] < 1000


def test_nvt_temperature_and_equipartition(tmp_path):
    """Kinetic and potential energy of oscillators are both 3/2 N kT."""
    topology, positions, system = harmonic_system()
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "harmonic",
        steps=60_000,
        timestep=2 * unit.femtosecond,
        friction=5 / unit.picosecond,
        report_interval=50,
        minimize=False,
        platform="Reference",
        seed=7,
        progress=False,
    )
    table = read_csv(paths["energies"])[200:]
    kt = 300 * 8.314462618e-3
    for name in ("Kinetic_Energy_kJmole", "Potential_Energy_kJmole"):
        values = table[name] / (1.5 * 40 * kt)
        blocks = values[: len(values) // 20 * 20].reshape(20, -1).mean(axis=1)
        error = blocks.std(ddof=1) / np.sqrt(20)
        assert abs(blocks.mean() - 1) < 4 * error + 1e-3
        assert error < 0.03


def test_nve_keeps_the_energy(tmp_path):
    topology, positions, system = harmonic_system()
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "nve",
        ensemble="nve",
        steps=2000,
        timestep=0.5 * unit.femtosecond,
        report_interval=20,
        minimize=False,
        platform="Reference",
        progress=False,
    )
    total = read_csv(paths["energies"])["Total_Energy_kJmole"]
    kinetic = read_csv(paths["energies"])["Kinetic_Energy_kJmole"]
    assert np.ptp(total) < 0.01 * np.ptp(kinetic)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0, "minimize": False}, ["steps", "at least 1", "0"]),
        ({"report_interval": -1}, ["report_interval", "-1"]),
        ({"ensemble": "npt2"}, ["nvt", "npt2"]),
        ({"temperature": 300}, ["temperature", "kelvin", "300"]),
        ({"temperature": -5 * unit.kelvin}, ["temperature", "above 0"]),
        ({"timestep": 0 * unit.femtosecond}, ["timestep", "above 0"]),
        ({"platform": "Abacus"}, ["Reference", "Abacus"]),
        ({"threads": 0}, ["threads", "at least 1", "0"]),
        ({"threads": "2"}, ["integer", "threads", "'2'"]),
        ({"notes": [1]}, ["notes", "dict", "[1]"]),
        ({"notes": {"steps": 1}}, ["notes", "other names", "steps"]),
        ({"notes": {"x": float("nan")}}, ["notes", "JSON"]),
    ],
)
def test_bad_options(small_run, tmp_path, options, words):
    with pytest.raises(ValueError) as error:
        small_run(**options)
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.where(np.arange(len(x))[:, None] == 4, np.nan, x), ["NaN", "4"]),
        (lambda x: x[:-1], ["(40, 3)", "(39, 3)"]),
    ],
)
def test_bad_positions(tmp_path, change, words):
    topology, positions, system = harmonic_system()
    with pytest.raises(ValueError) as error:
        run(topology, change(positions), system, tmp_path / "x", progress=False)
    for word in words:
        assert word in str(error.value)
    assert not list(tmp_path.iterdir())


def test_topology_of_another_system(tmp_path):
    _, positions, system = harmonic_system()
    with pytest.raises(ValueError, match="40 particles, found 3 atoms"):
        run(make_topology(["O"] * 3), positions, system, tmp_path / "x")


def test_a_thermostat_of_the_system_is_refused(tmp_path):
    topology, positions, system = harmonic_system()
    system.addForce(openmm.AndersenThermostat(300.0, 1.0))
    with pytest.raises(ValueError, match="without a thermostat, found Andersen"):
        run(topology, positions, system, tmp_path / "x", ensemble="nve")
    assert not list(tmp_path.iterdir())


def test_a_state_without_positions(tmp_path):
    topology, positions, system = harmonic_system()
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    with pytest.raises(ValueError, match="expected a state with positions"):
        run(topology, positions, system, tmp_path / "x", state=context.getState())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("periodic", [True, False])
def test_files_have_the_box_that_is_simulated(tmp_path, periodic):
    """Not that of the topology, which may have another one, or none."""
    topology, positions, system = harmonic_system()
    if periodic:
        system.getForce(0).setEnergyFunction("periodicdistance(x,y,z,0,0,0)^2")
        vectors = np.diag([4.0, 5.0, 6.0])
        system.setDefaultPeriodicBoxVectors(*vectors)
    topology.setPeriodicBoxVectors(
        None if periodic else np.diag([7.0, 7.0, 7.0]) * unit.nanometer
    )
    box = topology.getPeriodicBoxVectors()
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "x",
        steps=4,
        report_interval=2,
        velocity_interval=2,
        minimize=False,
        platform="Reference",
        progress=False,
    )
    for found in (
        mdtraj.load(paths["topology"]),
        mdtraj.load(paths["trajectory"], top=paths["topology"]),
        mdtraj.load(paths["velocities"]),
    ):
        if periodic:
            np.testing.assert_allclose(found.unitcell_lengths[0], [4, 5, 6], rtol=1e-5)
        else:
            assert found.unitcell_lengths is None
    assert topology.getPeriodicBoxVectors() is box


def test_an_explosion_keeps_what_was_written(tmp_path):
    """A run that becomes NaN raises; earlier frames and energies stay readable."""
    system = openmm.System()
    force = openmm.CustomExternalForce("-1e4*(x^4+y^4+z^4)")
    system.addParticle(1.0)
    force.addParticle(0, [])
    system.addForce(force)
    with pytest.raises(RuntimeError, match="unstable simulation after"):
        run(
            make_topology(["H"]),
            [[0.3, 0.3, 0.3]],
            system,
            tmp_path / "boom",
            steps=5000,
            report_interval=5,
            minimize=False,
            platform="Reference",
            progress=False,
        )
    trajectory = mdtraj.load(tmp_path / "boom.xtc", top=tmp_path / "boom.pdb")
    assert trajectory.n_frames >= 1
    assert np.isfinite(trajectory.xyz).all()
    record = json.loads((tmp_path / "boom.json").read_text())
    assert record["completed_steps"] < record["steps"]
