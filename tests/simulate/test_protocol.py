# SPDX-License-Identifier: MIT
"""Stages, ramps and integrators of runs."""

import dataclasses
import json

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import harmonic_system, make_topology
from run_helpers import Killed, check_complete, final_state, read_energies

from openmm_allegro import run
from openmm_allegro.modelfile import save_model
from openmm_allegro.simulate.integrators import INTEGRATORS, temperature_at
from openmm_allegro.simulate.protocol import Stage, run_protocol
from openmm_allegro.simulate.protocol_file import read_protocol
from openmm_allegro.simulate.system_config import SystemConfig
from openmm_allegro.utils.settings import option_of

pytestmark = pytest.mark.small

QUICK = {"platform": "Reference", "seed": 5, "progress": False}
STAGES = [
    Stage("minimise", minimize=True),
    Stage("heat", 60, temperature_k=(50.0, 300.0), report_interval=10),
    Stage("produce", 40, ensemble="nve", report_interval=10, velocity_interval=20),
]


def test_stages_go_on_where_the_last_ended(tmp_path):
    files = run_protocol(*harmonic_system(), STAGES, tmp_path / "p", **QUICK)
    assert list(files) == ["1-minimise", "2-heat", "3-produce"]
    check_complete(files["2-heat"], 60, 10)
    check_complete(files["3-produce"], 40, 10, 20)
    ends = mdtraj.load(files["2-heat"]["trajectory"], top=files["2-heat"]["topology"])
    begins = mdtraj.load_pdb(files["3-produce"]["topology"])
    np.testing.assert_allclose(ends.xyz[-1], begins.xyz[0], atol=2e-3)
    # the energy that stage 3 keeps is that with which stage 2 ended
    total = [read_energies(files[n]["energies"])[:, 4] for n in ("2-heat", "3-produce")]
    np.testing.assert_allclose(total[1], total[0][-1], rtol=0.05)
    record = json.loads((tmp_path / "p" / "protocol.json").read_text())
    assert record["stages"] == list(files) and record["finished"]
    records = [json.loads(paths["record"].read_text()) for paths in files.values()]
    assert [one["velocities_drawn"] for one in records] == [True, False, False]


@pytest.mark.parametrize("stage", [1, 2])
def test_a_killed_protocol_ends_as_a_whole_one(tmp_path, monkeypatch, stage):
    system = harmonic_system()
    whole = run_protocol(*system, STAGES, tmp_path / "whole", **QUICK)
    step, calls = app.Simulation.step, []

    def killed(simulation, count):
        step(simulation, count)
        calls.append(count)
        if len(calls) == (3 if stage == 1 else 8):
            raise Killed

    monkeypatch.setattr(app.Simulation, "step", killed)
    with pytest.raises(Killed):
        run_protocol(*system, STAGES, tmp_path / "cut", **QUICK)
    monkeypatch.undo()
    with pytest.raises(FileExistsError, match="--resume"):
        run_protocol(*system, STAGES, tmp_path / "cut", **QUICK)
    cut = run_protocol(*system, STAGES, tmp_path / "cut", resume=True, **QUICK)
    for name, paths in cut.items():
        np.testing.assert_array_equal(final_state(whole[name]), final_state(paths))
        drawn = json.loads(paths["record"].read_text())["velocities_drawn"]
        assert drawn == (name == "1-minimise")
        for kind in ("trajectory", "topology"):
            if paths[kind].exists():
                assert whole[name][kind].read_bytes() == paths[kind].read_bytes()


def test_stages_that_have_begun_stay(tmp_path):
    system = harmonic_system()
    run_protocol(*system, STAGES, tmp_path / "p", **QUICK)
    with pytest.raises(ValueError, match=r"expected the stage 2-heat.*3-produce|2-p"):
        run_protocol(
            *system, [STAGES[0], STAGES[2]], tmp_path / "p", resume=True, **QUICK
        )
    more = [*STAGES, Stage("more", 20)]
    files = run_protocol(*system, more, tmp_path / "p", resume=True, **QUICK)
    check_complete(files["4-more"], 20, 20)
    run_protocol(*system, STAGES[1:], tmp_path / "p", overwrite=True, **QUICK)
    assert not list((tmp_path / "p").glob("4-more*"))


def test_a_stage_that_another_began_from_stays_as_long(tmp_path):
    system = harmonic_system()
    run_protocol(*system, STAGES, tmp_path / "p", **QUICK)
    changed = dataclasses.replace(STAGES[2], steps=60)
    files = run_protocol(
        *system, [*STAGES[:2], changed], tmp_path / "p", resume=True, **QUICK
    )
    check_complete(files["3-produce"], 60, 10, 20)
    stages = [Stage("a", 20), Stage("b", 20)]
    run_protocol(*system, stages, tmp_path / "q", **QUICK)
    with pytest.raises(ValueError, match=r"20 steps of the stage 1-a, .* found 40"):
        run_protocol(
            *system, [Stage("a", 40), stages[1]], tmp_path / "q", resume=True, **QUICK
        )


def test_a_tenth_stage_renames_none(tmp_path):
    system = harmonic_system(2)
    stages = [Stage(f"s{i}", 1, report_interval=1) for i in range(10)]
    run_protocol(*system, stages[:9], tmp_path / "p", **QUICK)
    files = run_protocol(*system, stages, tmp_path / "p", resume=True, **QUICK)
    assert [*files][::9] == ["1-s0", "10-s9"]


@pytest.mark.parametrize(
    ("stage", "options", "words"),
    [
        ({"ensemble": "npt2"}, {}, "stage b: expected ensemble"),
        ({"ensemble": "npt"}, {}, "stage b: .*periodic System"),
        ({"integrator": "leapfrog"}, {}, "stage b: expected integrator"),
        ({"steps": 10}, {}, "stage b: expected report_interval of at most"),
        ({"hydrogen_mass_da": 14.0}, {}, "stage b: expected hydrogen_mass"),
        ({}, {"seed": 2**31 - 1}, "seed of at most"),
        ({}, {"seed": -1}, "seed of at least 0"),
    ],
)
def test_later_stages_are_checked_before_the_first(tmp_path, stage, options, words):
    system = harmonic_system()
    run_protocol(*system, STAGES[:1], tmp_path / "p", **QUICK)
    before = {path: path.read_bytes() for path in (tmp_path / "p").iterdir()}
    with pytest.raises(ValueError, match=words):
        run_protocol(
            *system,
            [Stage("a", 20), Stage("b", **({"steps": 60} | stage))],
            tmp_path / "p",
            overwrite=True,
            **(QUICK | options),
        )
    assert before == {path: path.read_bytes() for path in (tmp_path / "p").iterdir()}


@pytest.mark.parametrize("integrator", ["langevin-middle", "andersen", "baoab"])
def test_a_ramp_is_followed(tmp_path, integrator):
    """Strong friction: the kinetic energy of oscillators follows the thermostat."""
    if integrator == "baoab":
        pytest.importorskip("openmmtools")
    paths = run(
        *harmonic_system(400, k=50000.0),
        tmp_path / "ramp",
        steps=4000,
        timestep=1 * unit.femtosecond,
        integrator=integrator,
        temperature=[100, 500, 200] * unit.kelvin,
        friction=50 / unit.picosecond,
        report_interval=20,
        minimize=False,
        **QUICK,
    )
    table = read_energies(paths["energies"])
    kelvin = table[:, 2] + table[:, 3]  # k T for each of 3 N
    kelvin = kelvin / (3 * 400 * 8.314462618e-3)
    target = [temperature_at([100, 500, 200], step / 4000) for step in table[:, 0]]
    middle = slice(10, None)
    blocks = (kelvin - target)[middle][:190].reshape(19, 10).mean(axis=1)
    assert np.abs(blocks).max() < 45
    assert kelvin[95:105].mean() > 440


def test_temperature_of_a_ramp():
    assert temperature_at(300.0, 0.7) == 300
    assert temperature_at([100, 500], 0.25) == 200
    assert temperature_at([100, 500, 200], 0.5) == 500
    assert temperature_at([100, 500, 200], 1.0) == 200


# Those of quantum nuclei have another energy.
THERMOSTATS = set(INTEGRATORS) - {"auto", "verlet", "velocity-verlet", "rpmd", "qtb"}


@pytest.mark.parametrize("integrator", sorted(THERMOSTATS))
def test_every_thermostat_has_its_temperature(tmp_path, integrator):
    """Kinetic energy of 150 oscillators of as many frequencies, from equilibrium."""
    pytest.importorskip("openmmtools")
    topology, _, _ = harmonic_system(150)
    random, kt = np.random.default_rng(0), 300 * 8.314462618e-3
    system = openmm.System()
    force = openmm.CustomExternalForce("k*(x^2+y^2+z^2)/2")
    force.addPerParticleParameter("k")
    for index, k in enumerate(np.linspace(2000, 40_000, 150)):
        system.addParticle(16.0)
        force.addParticle(index, [k])
    system.addForce(force)
    spread = np.sqrt(kt / np.linspace(2000, 40_000, 150))
    positions = random.normal(size=(150, 3)) * spread[:, None]
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "x",
        steps=1250,
        integrator=integrator,
        timestep=2 * unit.femtosecond,
        friction=20 / unit.picosecond,
        report_interval=20,
        minimize=False,
        **QUICK,
    )
    table = read_energies(paths["energies"])[25:]
    kelvin = table[:, 3] / (1.5 * 150 * 8.314462618e-3)
    assert abs(kelvin.mean() - 300) < 12
    assert json.loads(paths["record"].read_text())["integrator"] == integrator


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"integrator": "leapfrog"}, "langevin-middle.*found 'leapfrog'"),
        ({"integrator": "nose-hoover", "ensemble": "nve"}, "verlet.*'nose-hoover'"),
        ({"integrator": "verlet"}, "ensemble 'nvt'.*found 'verlet'"),
        ({"ensemble": "nve", "temperature": [1, 2] * unit.kelvin}, "one temperature"),
        ({"temperature": [300, -1] * unit.kelvin}, "above 0"),
        ({"temperature": [] * unit.kelvin}, "found"),
        ({"hydrogen_mass": 3}, "dalton for hydrogen_mass"),
        ({"temperature": None}, "a quantity in kelvin for temperature"),
        (
            {"hydrogen_mass": 0 * unit.dalton},
            "hydrogen_mass above 0 and below 12 Da, found 0",
        ),
        ({"checkpoint_interval": 0}, "checkpoint_interval of at least 1, found 0"),
        (
            {"hydrogen_mass": 13 * unit.dalton},
            "hydrogen_mass above 0 and below 12 Da, found 13",
        ),
        ({"velocity_interval": 20_000}, "velocity_interval of at most steps"),
        ({"checkpoint_interval": -1}, "checkpoint_interval of at least 1"),
    ],
)
def test_bad_settings(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        run(*harmonic_system(), tmp_path / "x", **(QUICK | options))
    assert not list(tmp_path.iterdir())


TOML = """
[system]
model = "m.safetensors"
topology = "water.pdb"
backend = "native"
[run]
timestep_fs = 0.25
report_interval = 2
[watchdogs]
temperature_k = [1, 5000]
[[stages]]
name = "heat"
steps = 4
temperature_k = [100, 300]
[[stages]]
name = "keep"
steps = 6
temperature_k = 300
report_interval = 3
"""


@pytest.fixture
def folder(model, water_box, tmp_path):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    for index, atom in enumerate(topology.atoms()):
        atom.name = f"{atom.name}{index % 3}"
    save_model(model, tmp_path / "m.safetensors")
    with open(tmp_path / "water.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    return tmp_path


def test_protocol_of_a_file(folder, capsys):
    from openmm_allegro.cli.main import main

    (folder / "p.toml").write_text(TOML)
    arguments = ["simulate", str(folder / "p.toml"), "--output", str(folder / "out")]
    assert main(arguments) == 0
    record = json.loads((folder / "out" / "2-keep.json").read_text())
    assert record["completed_steps"] == 6 and record["timestep_fs"] == 0.25
    assert record["report_interval"] == 3 and len(record["model_sha256"]) == 64
    assert json.loads((folder / "out" / "1-heat.json").read_text())[
        "temperature_k"
    ] == [100, 300]
    assert main(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert main([*arguments, "--resume", "--steps", "5"]) == 2
    assert "--steps beside it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["no_periodic", pytest.param("flexible_molecules", marks=pytest.mark.slow)],
)
def test_a_run_is_resumed_with_the_same_kind_of_system(folder, capsys, option):
    from openmm_allegro.cli.main import main

    inputs = [str(folder / name) for name in ("m.safetensors", "water.pdb", "x")]
    run_again = ["simulate", *inputs[:2], "--output", inputs[2], "--resume"]
    run_again += ["--backend", "native", "--report-interval", "2", "--steps"]
    other = option_of(SystemConfig, option)
    assert main([*run_again, "2"]) == 0
    path = folder / "x.json"
    record = json.loads(path.read_text())
    assert record["no_periodic"] is record["flexible_molecules"] is False
    assert main([*run_again, "4", other]) == 2
    assert f"{option} False rather than True" in capsys.readouterr().err
    # a record of before does not tell
    del record[option], record["identity"]
    path.write_text(json.dumps(record))
    assert main([*run_again, "4", other]) == 0
    assert json.loads(path.read_text())[option] is True


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[stages]]", "[[stage]]", "tables among system, run, watchdogs, stages"),
        ('name = "heat"\n', "", "expected name, found only"),
        ('"keep"', '"heat"', "different names"),
        ('"heat"', '"a/b"', "letters, digits"),
        ("steps = 6", "step = 6", "expected keys among name, steps"),
        ("steps = 6", 'steps = "6"', "expected int"),
        ("water.pdb", "none.pdb", "none.pdb"),
        ("m.safetensors", "none.safetensors", "none.safetensors"),
        ('model = "m.safetensors"', "", "model or system, found neither"),
        ("temperature_k = [1, 5000]", "temperature_k = [9, 5]", "temperature_k"),
        ("temperature_k = 300", "temperature_k = []", "a temperature"),
        ("steps = 4", "steps = 0", "nothing to do"),
        ("[run]", "[run", "expected TOML"),
    ],
)
def test_bad_protocol(folder, old, new, words):
    assert old in TOML
    (folder / "p.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        protocol = read_protocol(folder / "p.toml")
        run_protocol(
            protocol.prepared.topology,
            protocol.prepared.positions,
            protocol.prepared.system,
            protocol.stages,
            folder / "out",
            **QUICK,
        )


@pytest.mark.parametrize("names", [["../outside"], ["1-a/../../outside"], "1-a", [1]])
def test_stages_of_a_record_stay_in_its_folder(tmp_path, names):
    """Overwriting a protocol removes the files of its stages."""
    (tmp_path / "p").mkdir()
    (tmp_path / "outside.xtc").write_text("")
    record = {"stages": names, "seed": 1}
    (tmp_path / "p" / "protocol.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="expected a list of names such as 1-heat"):
        run_protocol(
            *harmonic_system(), STAGES, tmp_path / "p", overwrite=True, **QUICK
        )
    assert (tmp_path / "outside.xtc").exists()
