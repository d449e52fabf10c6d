# SPDX-License-Identifier: MIT
"""Runs that are killed and resumed: nothing is lost, nothing is there twice."""

import contextlib
import json
import resource
import shutil

import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import harmonic_system, make_topology
from run_helpers import (
    INTERVAL,
    STEPS,
    VELOCITIES,
    Killed,
    Killer,
    check_complete,
    final_state,
    read_energies,
    read_hdf5,
    start,
    start_killed,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.simulate.watchdogs.watchdog import StopSimulation, Watchdogs
from openmm_allegro.utils.files import lock_output

pytestmark = pytest.mark.small


def waters(model, water_box, backend):
    """Topology, positions and System of eight molecules with our force."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend=backend)
    return topology, positions[:24], system


@pytest.fixture(scope="module")
def water(model, water_box):
    return waters(model, water_box, "native")


@pytest.fixture(
    params=["harmonic", "native", pytest.param("pythonforce", marks=pytest.mark.slow)]
)
def system(request, model, water_box):
    """The same of oscillators and of that water."""
    if request.param == "harmonic":
        return harmonic_system()
    return waters(model, water_box, request.param)


@pytest.mark.parametrize(
    ("platform", "integrator"),
    [
        ("Reference", "langevin-middle"),
        ("CPU", "langevin-middle"),
        pytest.param("CPU", "nose-hoover", marks=pytest.mark.slow),
        pytest.param("CPU", "andersen", marks=pytest.mark.slow),
        pytest.param("CPU", "baoab", marks=pytest.mark.slow),
    ],
)
def test_bit_for_bit(system, tmp_path, platform, integrator):
    """A run that was killed twice ends as one that was not, in every file."""
    if integrator == "baoab":
        pytest.importorskip("openmmtools")
    options = {"platform": platform, "integrator": integrator}
    whole = start(system, tmp_path / "whole", **options)
    start_killed(system, tmp_path / "cut", 33, **options)
    start_killed(system, tmp_path / "cut", 50, resume=True, **options)
    resumed = start(system, tmp_path / "cut", resume=True, **options)
    check_complete(resumed, STEPS, INTERVAL, VELOCITIES)
    np.testing.assert_array_equal(final_state(whole), final_state(resumed))
    assert whole["trajectory"].read_bytes() == resumed["trajectory"].read_bytes()
    for name in ("trajectory", "topology"):
        assert whole[name].read_bytes() == resumed[name].read_bytes()
    energies = [read_energies(paths["energies"]) for paths in (whole, resumed)]
    np.testing.assert_array_equal(*energies)
    for one, other in zip(
        read_hdf5(whole["velocities"]), read_hdf5(resumed["velocities"]), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert json.loads(resumed["record"].read_text())["resumed_at"] == [20, 40]


@pytest.mark.parametrize("step", [1, 7, 20, 21, 40, 59])
def test_killed_at_any_step(tmp_path, step):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", step)
    check_complete(
        start(system, tmp_path / "x", resume=True), STEPS, INTERVAL, VELOCITIES
    )


def test_resume_without_anything_is_a_start(tmp_path):
    paths = start(harmonic_system(), tmp_path / "x", resume=True)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    assert json.loads(paths["record"].read_text())["resumed_at"] == []


def test_resume_of_a_finished_run_changes_nothing(tmp_path):
    system = harmonic_system()
    paths = start(system, tmp_path / "x")
    before = {name: path.read_bytes() for name, path in paths.items()}
    assert start(system, tmp_path / "x", resume=True) == paths
    assert before == {name: path.read_bytes() for name, path in paths.items()}


def test_a_finished_run_can_become_longer(tmp_path):
    system = harmonic_system()
    start(system, tmp_path / "x")
    paths = start(system, tmp_path / "x", resume=True, steps=100)
    check_complete(paths, 100, INTERVAL, VELOCITIES)
    whole = start(system, tmp_path / "whole", steps=100)
    np.testing.assert_array_equal(final_state(whole), final_state(paths))


def test_half_a_frame_is_cut_off(tmp_path):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    for suffix in (".xtc", ".csv"):
        with open(tmp_path / f"x{suffix}", "ab") as file:
            file.write(b"\x00\x00\x07\xcb12")
    (tmp_path / "x.h5.parts" / "00000.partial.h5").write_bytes(b"torn")
    paths = start(system, tmp_path / "x", resume=True)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)


def test_another_platform_goes_on_from_the_state(tmp_path, caplog):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    paths = start(system, tmp_path / "x", resume=True, platform="Reference")
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    assert "from positions and velocities alone" in caplog.text


@contextlib.contextmanager
def small_disk(size):
    """No file may become larger: as a full disk, but for one process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("size", "interval", "hit"),
    [
        (1000, 60, ".csv"),
        (3000, 60, ".xtc"),
        (9000, 20, ".chk"),
        (16_000, 20, ".state.xml"),
    ],
)
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, size, interval, hit):
    """Whichever file is hit first, the run can continue when there is space again."""
    system = harmonic_system(100)
    options = {"velocity_interval": 0, "checkpoint_interval": interval}
    whole = start(system, tmp_path / "whole", **options)
    assert whole["record"].with_suffix(hit).stat().st_size > size
    start_killed(system, tmp_path / "x", 1, **options)
    with small_disk(size), pytest.raises(RuntimeError, match="expected to write"):
        start(system, tmp_path / "x", resume=True, **options)
    paths = start(system, tmp_path / "x", resume=True, **options)
    check_complete(paths, STEPS, INTERVAL)
    np.testing.assert_array_equal(final_state(whole), final_state(paths))


def test_a_disk_that_is_full_from_the_start(tmp_path):
    system = harmonic_system(100)
    with small_disk(9000), pytest.raises(RuntimeError, match="no checkpoint yet"):
        start(system, tmp_path / "x", velocity_interval=0)
    paths = start(system, tmp_path / "x", velocity_interval=0, resume=True)
    check_complete(paths, STEPS, INTERVAL)


def test_a_vanished_folder_is_told(tmp_path):
    folder = tmp_path / "gone"
    killer = Killer(12, lambda: shutil.rmtree(folder))
    with pytest.raises(RuntimeError, match="expected to write the output of the run"):
        start(harmonic_system(), folder / "x", reporters=[killer])


def test_a_vanished_file_is_told_before_going_on(tmp_path):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    (tmp_path / "x.csv").unlink()
    before = (tmp_path / "x.xtc").read_bytes()
    with pytest.raises(ValueError, match=r"x\.csv, as the checkpoint.*no such file"):
        start(system, tmp_path / "x", resume=True)
    assert (tmp_path / "x.xtc").read_bytes() == before


def test_where_nothing_can_be_written():
    with pytest.raises(OSError, match="expected to write to /proc/none"):
        start(harmonic_system(), "/proc/none/x")


def test_two_runs_on_one_output_are_refused(tmp_path):
    system = harmonic_system()
    with (
        lock_output(tmp_path / "x"),
        pytest.raises(RuntimeError, match=r"no other run on .*x, found one \(process"),
    ):
        start(system, tmp_path / "x")
    start(system, tmp_path / "x")
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 310 * unit.kelvin}, "temperature_k 300.0 rather than 310.0"),
        ({"ensemble": "nve"}, "ensemble 'nvt' rather than 'nve'"),
        ({"report_interval": 10}, "report_interval 5 rather than 10"),
        ({"seed": 4}, "seed 3 rather than 4"),
        ({"notes": {"model": "other"}}, "model None rather than 'other'"),
        ({"steps": 10}, "at least the 20 steps"),
        ({"overwrite": True}, "found both"),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path, options, words):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    before = (tmp_path / "x.xtc").read_bytes()
    with pytest.raises(ValueError, match=words):
        start(system, tmp_path / "x", resume=True, **options)
    assert (tmp_path / "x.xtc").read_bytes() == before


def test_a_damaged_checkpoint_is_told(tmp_path):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    (tmp_path / "x.chk").write_bytes(b"PK garbage")
    with pytest.raises(ValueError, match="damaged"):
        start(system, tmp_path / "x", resume=True)


def test_a_watchdog_leaves_the_last_sane_checkpoint(tmp_path):
    """Oscillators at rest at 300 K that a reporter kicks between two checkpoints."""
    topology, positions, system = harmonic_system()
    simulations = []

    class Kick(Killer):
        def report(self, simulation, state):
            simulations.append(simulation)
            simulation.context.setVelocitiesToTemperature(1e5)

    hot = Watchdogs(interval=1000, temperature_k=(1.0, 2000.0))
    with pytest.raises(StopSimulation, match=r"checkpoint of step 20"):
        start(
            (topology, positions, system),
            tmp_path / "x",
            reporters=[Kick(25)],
            watchdogs=hot,
        )
    paths = start((topology, positions, system), tmp_path / "x", resume=True)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    assert read_energies(paths["energies"])[:, 5].max() < 2000


def test_reporters_of_this_package_are_cut_too(water, tmp_path):
    from openmm_allegro.reporters import PressureReporter

    file = tmp_path / "p.csv"
    with pytest.raises(Killed):
        start(water, tmp_path / "x", reporters=[PressureReporter(file, 10), Killer(33)])
    assert len(np.loadtxt(file, delimiter=",")) == 3
    start(water, tmp_path / "x", resume=True, reporters=[PressureReporter(file, 10)])
    steps = np.loadtxt(file, delimiter=",")[:, 0]
    np.testing.assert_array_equal(steps, np.arange(10, STEPS + 1, 10))


def test_npt_goes_on(water, tmp_path):
    options = {"ensemble": "npt", "barostat_interval": 5}
    start_killed(water, tmp_path / "x", 33, **options)
    at_kill = openmm.XmlSerializer.deserialize((tmp_path / "x.state.xml").read_text())
    paths = start(water, tmp_path / "x", resume=True, **options)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    assert at_kill.getStepCount() == 20
