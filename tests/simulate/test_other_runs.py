# SPDX-License-Identifier: MIT
"""A run beside the files of another: records, reporters, states."""

import json
from pathlib import Path

import openmm
import pytest
from openmm import app, unit
from openmm_helpers import harmonic_system, make_topology
from run_helpers import (
    INTERVAL,
    STEPS,
    VELOCITIES,
    Killed,
    Killer,
    check_complete,
    final_state,
    start,
    start_killed,
)

from openmm_allegro.reporters.table import TableReporter
from openmm_allegro.runs.names import paths_of
from openmm_allegro.simulate import execute as simulate
from openmm_allegro.simulate import loop
from openmm_allegro.simulate.protocol import run_protocol
from openmm_allegro.simulate.protocol_file import read_protocol
from openmm_allegro.simulate.resume import read_earlier


def test_files_without_their_record_are_not_lost(tmp_path):
    """Nor a finished run without its checkpoint that is to be longer."""
    system = harmonic_system()
    paths = start(system, tmp_path / "x")
    before = paths["trajectory"].read_bytes()
    record = paths["record"].read_bytes()
    paths["record"].unlink()
    with pytest.raises(FileExistsError, match=r"record .*x\.json.*found .*x\.xtc"):
        start(system, tmp_path / "x", resume=True)
    paths["record"].write_bytes(record)
    paths["checkpoint"].unlink()
    with pytest.raises(ValueError, match=r"checkpoint .*x\.chk.* 60 steps, found none"):
        start(system, tmp_path / "x", resume=True, steps=100)
    assert start(system, tmp_path / "x", resume=True) == paths
    assert paths["trajectory"].read_bytes() == before


@pytest.mark.parametrize("call", range(1, 12))
def test_killed_while_another_run_is_replaced(tmp_path, monkeypatch, call):
    """A kill between any two removals leaves one run or the other, never a mixture."""
    system, calls, unlink = harmonic_system(), [], Path.unlink
    old = start(system, tmp_path / "x")

    def killed(path, **options):
        calls.append(path)
        if len(calls) == call:
            raise Killed
        unlink(path, **options)

    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        start(system, tmp_path / "x", overwrite=True, seed=4)
    record = json.loads(old["record"].read_text())
    if record["seed"] == 3:  # nothing has happened yet
        assert start(system, tmp_path / "x", resume=True) == old
        return
    paths = start(system, tmp_path / "x", resume=True, seed=4)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    assert json.loads(paths["record"].read_text())["resumed_at"] == []


def test_a_run_that_came_first_is_not_replaced(tmp_path, monkeypatch):
    """Two begin where there is nothing; one is done before the other could write."""
    system, check = harmonic_system(), simulate.check_start

    def slow(simulation):
        monkeypatch.setattr(simulate, "check_start", check)
        start(system, tmp_path / "x")
        check(simulation)

    monkeypatch.setattr(simulate, "check_start", slow)
    with pytest.raises(FileExistsError, match="expected no output yet"):
        start(system, tmp_path / "x", seed=4)
    assert json.loads((tmp_path / "x.json").read_text())["seed"] == 3


def test_no_parts_of_a_replaced_run_are_left(tmp_path):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    assert (tmp_path / "x.h5.parts").exists()
    start(system, tmp_path / "x", overwrite=True, velocity_interval=0)
    assert not list(tmp_path.glob("x.h5*"))


def test_the_mass_of_hydrogens_is_not_forgotten(tmp_path):
    topology = make_topology(["C", "H"])
    topology.addBond(*topology.atoms())
    _, positions, system = harmonic_system(2)
    molecule = topology, positions, system
    start_killed(molecule, tmp_path / "x", 33, hydrogen_mass=3 * unit.dalton)
    with pytest.raises(ValueError, match=r"hydrogen_mass_da 3\.0 rather than None"):
        start(molecule, tmp_path / "x", resume=True)


def test_what_the_record_says_after_going_on(tmp_path):
    system = harmonic_system()
    notes = {"boxes": (1, 2), "model": "a/m", "model_sha256": "12"}
    start_killed(system, tmp_path / "x", 33, minimize=True, notes=notes)
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["checkpoint_step"] == record["completed_steps"] == 20
    # the same model by another name; what was minimised stays so
    notes["model"] = "b/m"
    paths = start(system, tmp_path / "x", resume=True, notes=notes)
    record = json.loads(paths["record"].read_text())
    assert record["minimized"] is True and record["model"] == "b/m"
    assert record["checkpoint_step"] == STEPS and record["boxes"] == [1, 2]


def test_errors_say_which_checkpoint_is_there(tmp_path):
    """Also right after going on; and an error of a reporter is no explosion."""
    system = harmonic_system()

    class Wrong(Killer):
        def report(self, simulation, state):
            raise ValueError("this reporter is wrong")

    start_killed(system, tmp_path / "x", 33)
    with pytest.raises(RuntimeError, match=r"reporter is wrong.*of step 20") as error:
        start(system, tmp_path / "x", resume=True, reporters=[Wrong(25)])
    assert "unstable" not in str(error.value)


def test_killed_between_the_last_checkpoint_and_the_state(tmp_path, monkeypatch):
    """The next stage of a protocol begins with the end all the same."""
    system, replace = harmonic_system(), loop.replace_file
    whole = start(system, tmp_path / "whole")

    def killed(path, content):
        if f'stepCount="{STEPS}"' in content:
            raise Killed
        replace(path, content)

    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(loop, "replace_file", killed)
        start(system, tmp_path / "x")
    paths = start(system, tmp_path / "x", resume=True)
    assert (final_state(paths) == final_state(whole)).all()


class Steps(TableReporter):
    def values(self, simulation, state):
        return {}


def test_a_reporter_that_is_not_given_again_is_told(tmp_path):
    system, file = harmonic_system(), tmp_path / "steps.csv"
    with pytest.raises(Killed):
        start(system, tmp_path / "x", reporters=[Steps(file, 5), Killer(33)])
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"reporter that writes steps\.csv, .* none"):
        start(system, tmp_path / "x", resume=True)
    assert file.read_bytes() == before


def test_random_numbers_after_going_on_are_new(tmp_path, monkeypatch):
    """Also those of a barostat, which no checkpoint has."""
    topology, positions, system = harmonic_system()
    system.getForce(0).setEnergyFunction("periodicdistance(x,y,z,0,0,0)^2")
    seeds, prepare = [], simulate.prepare_system

    def spy(*arguments):
        prepared = prepare(*arguments)
        (barostat,) = (
            force
            for force in prepared.getForces()
            if isinstance(force, openmm.MonteCarloBarostat)
        )
        seeds.append(barostat.getRandomNumberSeed())
        return prepared

    monkeypatch.setattr(simulate, "prepare_system", spy)
    oscillators = topology, positions, system
    start_killed(oscillators, tmp_path / "x", 33, ensemble="npt")
    start(oscillators, tmp_path / "x", resume=True, ensemble="npt")
    assert len(seeds) == len(set(seeds)) == 2


def test_another_system_file_is_not_gone_on_with(tmp_path):
    """A System of the same name that is another one; the same by another name is."""
    topology, positions, system = harmonic_system(2)
    with open(tmp_path / "o.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    toml = '[system]\ntopology = "o.pdb"\nsystem = "o.xml"\n'
    toml += '[[stages]]\nname = "a"\nsteps = 20\n'

    def go(name):
        (tmp_path / "p.toml").write_text(toml.replace("o.xml", name))
        prepared, stages, *_ = read_protocol(tmp_path / "p.toml")
        return run_protocol(
            *prepared[:3],
            stages,
            tmp_path / "out",
            notes=prepared.notes,
            resume=True,
            platform="Reference",
            seed=5,
            progress=False,
        )

    for name in ("o.xml", "same.xml"):
        (tmp_path / name).write_text(openmm.XmlSerializer.serialize(system))
        go(name)
    system.setParticleMass(0, 18.0)
    (tmp_path / "o.xml").write_text(openmm.XmlSerializer.serialize(system))
    with pytest.raises(ValueError, match="found another: system_xml_sha256"):
        go("o.xml")


def test_tempering_without_its_record_is_not_begun_anew(tmp_path):
    pytest.importorskip("openmmtools")
    from openmm_allegro.replica_exchange import parallel_tempering

    (tmp_path / "pt.nc").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"expected the record .*pt\.json"):
        parallel_tempering(
            *harmonic_system(),
            tmp_path / "pt",
            temperatures=[300, 320] * unit.kelvin,
            iterations=2,
            platform="Reference",
            resume=True,
            progress=False,
        )
    assert (tmp_path / "pt.nc").read_bytes() == b"precious"


def test_a_run_in_lammps_is_not_resumed_in_openmm(tmp_path):
    paths = paths_of(tmp_path / "nvt")
    paths["record"].write_text('{"engine": "lammps", "steps": 10}')
    with pytest.raises(ValueError, match="found one of LAMMPS; openmm-allegro lammps"):
        read_earlier(paths)
