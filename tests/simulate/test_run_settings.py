# SPDX-License-Identifier: MIT
"""Settings of a run are declared once; everything that takes them agrees."""

import argparse
import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from openmm import unit
from openmm_helpers import harmonic_system

from openmm_allegro import Stage, run, run_protocol
from openmm_allegro.cli.simulate import add_options
from openmm_allegro.inputs.settings import MixingConfig
from openmm_allegro.nuclei.choices import NAMES
from openmm_allegro.potential.description import FORCE_NOTES
from openmm_allegro.replica_exchange.sampling import parallel_tempering
from openmm_allegro.replica_exchange.settings import TemperingSettings
from openmm_allegro.simulate.arguments import UNITS, without_units
from openmm_allegro.simulate.checks import CHANGEABLE, RECORD_KEYS, check_resumed
from openmm_allegro.simulate.integrators import INTEGRATORS
from openmm_allegro.simulate.settings import Execution, RunSettings
from openmm_allegro.simulate.system_config import SystemConfig
from openmm_allegro.utils.settings import argument_names, option_of, settings_of

DOCS = Path(__file__).parents[2] / "docs"
RUN = settings_of(RunSettings)
SAMPLING = ("variables", "restraints", "bias")


def defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@pytest.mark.parametrize(
    ("function", "classes", "others"),
    [
        (
            run,
            (RunSettings, Execution),
            {"reporters", "watchdogs", "state", "notes", *SAMPLING},
        ),
        (
            run_protocol,
            (Execution,),
            {"watchdogs", "notes", "starts", "state", *SAMPLING},
        ),
        (parallel_tempering, (TemperingSettings, Execution), set()),
    ],
)
def test_arguments_and_their_defaults(function, classes, others):
    found = defaults(function)
    declared = set()
    for cls in classes:
        names = argument_names(cls)
        declared |= set(names)
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        for argument, value in without_units(
            cls, {n: found[n] for n in names if n in found}
        ).items():
            assert value == fields[argument], argument
    required = set(inspect.signature(function).parameters) - set(found)
    assert declared - required == set(found) - others
    entries = re.findall(
        r"^    ([a-z_, ]+?)(?: : .*)?$", function.__doc__, re.MULTILINE
    )
    documented = {name for line in entries for name in line.split(", ")}
    assert set(inspect.signature(function).parameters) <= documented


def test_a_stage_is_a_run_with_a_name():
    fields = [field.name for field in dataclasses.fields(Stage)]
    assert fields == ["name", *RUN, "bias"]
    assert Stage("a", 20).record() == RunSettings(steps=20).record()
    assert Stage("a").steps == 0  # one that scripts may leave out of a protocol
    assert Stage("a", 20, hydrogen_mass_da=0, checkpoint_interval=0) == Stage("a", 20)


def test_a_record_may_lack_a_setting_that_came_later(tmp_path):
    before = RunSettings(velocity_interval=0).record() | {"completed_steps": 20}
    del before["velocity_interval"], before["timestep_fs"]
    check_resumed(before, RunSettings().record(), tmp_path)
    with pytest.raises(ValueError, match=r"timestep_fs 0\.5 rather than 1\.0"):
        check_resumed(before, RunSettings(timestep_fs=1.0).record(), tmp_path)


def test_options_of_the_command_line():
    parser = argparse.ArgumentParser()
    parser.description = ""
    add_options(parser)
    options = {o for action in parser._actions for o in action.option_strings}
    declared = {option_of(RunSettings, n) for n in RUN if n != "draw_velocities"}
    declared |= {
        option_of(SystemConfig, name)
        for name in settings_of(SystemConfig)
        if name not in ("topology", "model", "system")
    }
    declared |= {option_of(MixingConfig, name) for name in settings_of(MixingConfig)}
    declared |= {f"--{n}" for n in ("platform", "threads", "seed", "resume", "force")}
    assert options == declared | {
        "-h",
        "--help",
        "--output",
        "--watchdogs",
        "--trust",
        "--bias",
    }


def test_keys_of_the_record(tmp_path):
    settings = {
        "steps": 4,
        "report_interval": 2,
        "temperature": [200, 300] * unit.kelvin,
        "platform": "Reference",
        "progress": False,
    }
    paths = run(*harmonic_system(), tmp_path / "x", **settings)
    record = json.loads(paths["record"].read_text())
    expected = RunSettings(steps=4, report_interval=2, temperature_k=(200, 300))
    assert expected.record().items() <= record.items()
    assert set(record) <= RECORD_KEYS | set(FORCE_NOTES)
    recorded = {name for name, meaning in RUN.items() if meaning.recorded}
    assert recorded - set(record) == {
        "hydrogen_mass_da",
        "pressure_bar",
        "barostat_interval",
        # of models with charges: records of others are as before
        "dipole_interval",
        "charge_interval",
        # of runs with collective variables
        "variable_interval",
        *NAMES,
    }
    of_forces = {"backend", "backend_reason", "kernel", "skin"}
    assert CHANGEABLE == {"steps", "checkpoint_interval"} | of_forces


@pytest.mark.parametrize(("interval", "steps"), [(1, 2000), (3, 1998), (5000, 5000)])
def test_checkpoints_fall_on_reports(interval, steps):
    record = RunSettings(report_interval=interval).record()
    assert record["checkpoint_interval"] == steps


def test_every_unit_is_known():
    for cls in (RunSettings, TemperingSettings):
        assert {m.unit for m in settings_of(cls).values() if m.unit} <= set(UNITS)


def test_numbers_of_numpy():
    given = {"steps": np.int64(40), "timestep": np.float32(0.5) * unit.femtosecond}
    settings = RunSettings(**without_units(RunSettings, given))
    assert type(settings.steps) is int and settings.timestep_fs == 0.5


def test_a_pressure_that_nothing_has_may_be_anything(tmp_path):
    settings = {"steps": 2, "report_interval": 1, "platform": "Reference"}
    paths = run(
        *harmonic_system(), tmp_path / "x", pressure=None, progress=False, **settings
    )
    assert "pressure_bar" not in json.loads(paths["record"].read_text())


LIGHT = """
import sys
import openmm_allegro.cli.simulate, openmm_allegro.simulate, openmm_allegro.potential
heavy = {"torch", "openmm", "numpy", "ase", "mdtraj", "openmmtools"}
loaded = sorted(heavy & set(sys.modules))
sys.exit(", ".join(loaded) if loaded else 0)
"""


def test_settings_load_nothing_heavy():
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True)
    assert result.returncode == 0, result.stderr


def test_the_manual_names_all():
    text = (DOCS / "simulate.md").read_text()
    assert all(f"| `{name}` |" in text for name in RUN)
    assert all(f"`{name}`" in text for name in INTEGRATORS)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"system": "s.xml", "precision": "single"}, "found precision"),
        ({"system": "s.xml", "skin": 0.0}, "found skin"),
        ({"system": "s.xml", "no_periodic": True}, "found no_periodic"),
        ({"system": "s.xml", "baseline": "b.xml"}, "found baseline"),
        (
            {"model": ("m",), "baseline": "b.xml", "flexible_molecules": True},
            "no flexible_molecules beside baseline",
        ),
    ],
)
def test_options_without_effect_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        SystemConfig("a.pdb", **values)
    SystemConfig("a.pdb", system="s.xml")
