# SPDX-License-Identifier: MIT
"""Replica exchange is resumed, with its files checked and read as data."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

# not importorskip, lest openmmtools is imported here
if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from replica_helpers import oscillators, temper

from openmm_allegro.replica_exchange import (
    read_samples,
)
from openmm_allegro.replica_exchange.storage import Backup, repair
from openmm_allegro.runs.names import REPLICA_SUFFIXES
from openmm_allegro.utils.files import lock_output

KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from replica_helpers import temper
temper(sys.argv[2], iterations=10**6, checkpoint_interval=2)
"""


def copied_iteration(backup):
    if not backup.exists():
        return -1
    with zipfile.ZipFile(backup) as archive:
        return int(archive.comment)


def test_goes_on_after_a_kill(tmp_path):
    """No iteration twice or missing; nothing of openmmtools on the screen."""
    output = tmp_path / "killed"
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    process = subprocess.Popen(
        [sys.executable, script, Path(__file__).parents[1], output],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    backup = Path(f"{output}.backup.zip")
    while copied_iteration(backup) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == b""
    before = read_samples(output)
    done = len(before.iterations)
    assert done >= 2
    options = {"checkpoint_interval": 2, "iterations": done + 5}
    with pytest.raises(FileExistsError, match="resume=True"):
        temper(output, **options)
    with pytest.raises(ValueError, match=r"timestep_fs 10\.0 rather"):
        temper(output, resume=True, timestep=5 * unit.femtosecond, **options)
    temper(output, resume=True, **options)
    after = read_samples(output)
    assert after.iterations.tolist() == list(range(1, done + 6))
    assert (np.sort(after.states, axis=1) == range(3)).all()
    kept = done // 2 * 2  # to the last checkpoint
    assert (after.energies[:kept] == before.energies[:kept]).all()
    record = json.loads(Path(f"{output}.json").read_text())
    assert record["resumed_at"] == [25 * kept]
    assert record["completed_iterations"] == done + 5 and record["finished"]
    assert not backup.exists()
    temper(output, resume=True, **options)  # there is nothing left to do
    assert len(read_samples(output).iterations) == done + 5
    with pytest.raises(ValueError, match=f"at least the {25 * (done + 5) // 50 * 50}"):
        temper(output, resume=True, iterations=1, checkpoint_interval=2)


@pytest.mark.parametrize("suffix", [".nc", "_checkpoint.nc"])
def test_damaged_files_are_restored(tmp_path, suffix):
    output = tmp_path / "run"
    paths = temper(output, iterations=6)
    assert Backup(paths).save(6)
    temper(output, iterations=8, resume=True)
    assert Backup(paths).save(8)
    damaged = Path(f"{output}{suffix}")
    content = damaged.read_bytes()
    damaged.write_bytes(b"\0" * 500 + content[500 : len(content) // 2])
    temper(output, iterations=10, resume=True)
    assert read_samples(output).iterations.tolist() == list(range(1, 11))


def test_positions_that_were_not_written_are_not_taken_for_zeros(tmp_path):
    """A kill between the two files: energies of an iteration without its positions."""
    netcdf = pytest.importorskip("netCDF4")
    paths = temper(tmp_path / "run", iterations=6)
    checkpoint = paths["checkpoint"].read_bytes()
    temper(tmp_path / "run", iterations=9, resume=True)
    paths["checkpoint"].write_bytes(checkpoint)
    assert repair(paths) == 6
    with netcdf.Dataset(paths["samples"]) as file:
        assert int(file["last_iteration"][0]) == 6
    temper(tmp_path / "run", iterations=8, resume=True)
    assert read_samples(tmp_path / "run").energies.min() > 0.1


def test_begins_anew_where_nothing_was_done(tmp_path):
    output = tmp_path / "run"
    paths = {
        name: Path(f"{output}{suffix}") for name, suffix in REPLICA_SUFFIXES.items()
    }
    assert repair(paths) is None
    temper(output, iterations=2, resume=True)
    assert len(read_samples(output).iterations) == 2


def test_two_runs_on_one_output_are_refused(tmp_path):
    with (
        lock_output(tmp_path / "run"),
        pytest.raises(RuntimeError, match="no other run"),
    ):
        temper(tmp_path / "run")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("options", "!!python/object/apply:os.mkdir ['{}']"),
        ("mcmc_moves/move0", "seed: !!python/object/apply:os.mkdir ['{}']"),
        ("mcmc_moves/move0", "{{drawn: !!python/name:os.mkdir ''}}"),
        ("options", "{{a: !!python/object/new:os.mkdir ['{}']}}"),
    ],
)
def test_yaml_in_the_files_runs_no_code(tmp_path, variable, text):
    import netCDF4

    temper(tmp_path / "x", iterations=2)
    with netCDF4.Dataset(tmp_path / "x.nc", "a") as file:
        file[variable][0] = text.format(tmp_path / "code_ran")
    with pytest.raises(ValueError, match=f"expected data in {variable}, found"):
        temper(tmp_path / "x", iterations=4, resume=True)
    assert not (tmp_path / "code_ran").exists()


def test_classes_that_the_files_name_are_not_imported(tmp_path):
    import netCDF4

    temper(tmp_path / "x", iterations=2)
    with netCDF4.Dataset(tmp_path / "x.nc", "a") as file:
        move = file["mcmc_moves/move0"]
        move[0] = str(move[0]).replace("openmm_allegro", "antigravity_of_the_file")
    temper(tmp_path / "x", iterations=4, resume=True)


def test_the_system_of_the_files_is_compared_and_not_read(tmp_path, monkeypatch):
    temper(tmp_path / "x", iterations=2)
    topology, positions, system = oscillators()
    heavier = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    heavier.setParticleMass(0, 11.0)
    monkeypatch.setattr(openmm.XmlSerializer, "deserialize", None)
    again = {"iterations": 4, "resume": True}
    with pytest.raises(ValueError, match="found another: other masses"):
        temper(tmp_path / "x", system=(topology, positions, heavier), **again)
    temper(tmp_path / "x", **again)


def test_resumes_with_its_own_system_and_topology_alone(tmp_path, caplog):
    temper(tmp_path / "run", iterations=4)
    topology, positions, system = oscillators()
    next(topology.atoms()).element = app.element.neon
    with pytest.raises(ValueError, match=r"atom 0 Ar \S+ of \S+ rather than Ne"):
        temper(tmp_path / "run", (topology, positions, system), resume=True)
    topology, positions, system = oscillators()
    system.getForce(0).setGlobalParameterDefaultValue(0, 900.0)
    with pytest.raises(ValueError, match="parameters of CustomExternalForce"):
        temper(tmp_path / "run", (topology, positions, system), resume=True)
    # a record of before has no hashes
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    del record["identity"]
    path.write_text(json.dumps(record))
    temper(tmp_path / "run", iterations=6, resume=True)
    assert "only the settings are compared" in caplog.text
    assert "identity" in json.loads(path.read_text())
