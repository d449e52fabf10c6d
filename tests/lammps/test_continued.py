# SPDX-License-Identifier: MIT
"""LAMMPS continues a run that was stopped within a stage, as if it had not been."""

import itertools
import subprocess

import mdtraj
import numpy as np
import pytest
from lammps_session import BIN, needs_lammps

from openmm_allegro.lammps.input import input_text
from openmm_allegro.lammps.output import DATA, INPUT
from openmm_allegro.lammps.plan import AtomType, Begin, Plan, write_plan
from openmm_allegro.lammps.resume import resume
from openmm_allegro.runs.names import lammps_paths_of, paths_of
from openmm_allegro.runs.table import read_table
from openmm_allegro.runs.trajectories.gromacs import index_xtc
from openmm_allegro.simulate.settings import Stage

pytestmark = needs_lammps

STEPS, INTERVAL, EVERY, STOP, LENGTH = 60, 5, 20, 49, 15.78
NAMES = "1-nvt", "2-npt"


@pytest.fixture
def plan():
    """Argon with Nosé-Hoover chains, which draw no random numbers."""
    common = {
        "steps": STEPS,
        "report_interval": INTERVAL,
        "checkpoint_interval": EVERY,
        "timestep_fs": 2.0,
        "minimize": False,
        "integrator": "nose-hoover",
    }
    stages = (
        Stage("nvt", temperature_k=(80.0, 120.0), **common),
        Stage("npt", ensemble="npt", temperature_k=120.0, **common),
    )
    types = (AtomType("Ar", (39.95, 39.95)),)
    return Plan(
        *(NAMES, stages, types, ("model.allegro",), 108, (1, 1, 1), 3),
        *(True, False, True, 1.0, "", "argon"),
    )


def prepare(folder, plan):
    """Write the plan and the data file: a cubic lattice."""
    folder.mkdir()
    write_plan(folder, plan)
    cells = np.array(list(itertools.product(range(3), repeat=3)))
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    positions = (cells[:, None] + basis).reshape(-1, 3) * LENGTH / 3
    lines = ["argon", "", "108 atoms", "1 atom types"]
    lines += [f"0 {LENGTH} {axis}lo {axis}hi" for axis in "xyz"]
    lines += ["", "Masses", "", "1 39.95", "", "Atoms # atomic", ""]
    lines += [f"{i} 1 {x} {y} {z}" for i, (x, y, z) in enumerate(positions, start=1)]
    (folder / DATA).write_text("\n".join([*lines, ""]))


def of_argon(text):
    """Put a pair style of LAMMPS itself in place of the model."""
    lines = [
        {"pair_style": "pair_style lj/cut 6", "pair_coeff": "pair_coeff * * 0.0104 3.4"}
        .get(line.split(" ")[0], line)
        for line in text.splitlines()
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def run(text, folder):
    path = folder / INPUT
    path.write_text(of_argon(text))
    command = [BIN / "lmp", "-in", path, "-log", "none"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, plan):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        prepare(folder, plan)
    text, others = input_text(plan, stopped), input_text(plan, whole)
    until, _, _ = text.partition(f"run             {STEPS} upto")
    until += f"run {STOP} upto start 0 stop {STEPS}\nshell cp 1-nvt.xtc early.xtc\n"
    inputs = [others, until, text]
    done = run("clear\n".join(inputs), stopped)
    # the last input would have begun the run again
    assert done.returncode == 1 and "--resume continues it" in done.stdout, done.stdout

    early = index_xtc(stopped / "early.xtc").steps  # as a kill would have left it
    np.testing.assert_array_equal(early, np.arange(INTERVAL, 40 + 1, INTERVAL))
    resumed = resume(stopped)
    assert resumed.begin == Begin(0, 40, "1-nvt.restart.2", 40)
    done = run((stopped / INPUT).read_text(), stopped)
    assert done.returncode == 0, done.stdout
    assert resume(stopped).begin is None
    for name in NAMES:
        paths, same = paths_of(stopped / name), paths_of(whole / name)
        table, expected = (read_table(each["energies"]) for each in (paths, same))
        steps = np.arange(INTERVAL, STEPS + 1, INTERVAL)
        np.testing.assert_array_equal(table["step"], steps)
        for key, values in table.items():
            np.testing.assert_allclose(values, expected[key], rtol=1e-7, err_msg=key)
        frames = [
            mdtraj.formats.XTCTrajectoryFile(str(each["trajectory"]))
            for each in (paths, same)
        ]
        (xyz, times, _, box), other = (file.read() for file in frames)
        np.testing.assert_allclose(times, 2e-3 * steps, rtol=1e-6)
        np.testing.assert_allclose(xyz, other[0], atol=2e-3)
        np.testing.assert_allclose(box, other[3], rtol=1e-6)
        assert not lammps_paths_of(stopped / name)["part"].exists()
    assert np.ptp(table["volume"]) > 0
