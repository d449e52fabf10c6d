# SPDX-License-Identifier: MIT
"""Folders of runs in LAMMPS that were killed at any moment, continued from there."""

import contextlib
import dataclasses
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory, random_walk
from cli_helpers import save_xtc

from openmm_allegro.cli.main import main
from openmm_allegro.lammps.plan import Begin, Plan, read_plan, write_plan
from openmm_allegro.lammps.records import write_records
from openmm_allegro.lammps.reports import cut_frames, read_written
from openmm_allegro.lammps.resume import resume
from openmm_allegro.runs.names import lammps_paths_of, paths_of
from openmm_allegro.runs.restarts import Restart, read_restart
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.trajectories.gromacs import index_xtc
from openmm_allegro.simulate.settings import Stage

STEPS, INTERVAL, EVERY, NAMES = 100, 5, 20, ("1-heat", "2-nvt")
HEADER = '#"Step","Time (ps)","Temperature (K)"'
MAGIC = b"LammpS RestartT\0"


@pytest.fixture(scope="module")
def walk():
    """12 Ar, a frame each 5 steps of 1 fs."""
    positions = random_walk(STEPS // INTERVAL, 12, 1e-2, np.random.default_rng(1))
    trajectory = make_trajectory(positions, CUBIC, ["Ar"] * 12)
    trajectory.time = 1e-3 * np.arange(INTERVAL, STEPS + 1, INTERVAL)
    return trajectory


@pytest.fixture
def folder(tmp_path):
    common = {"steps": STEPS, "report_interval": INTERVAL}
    stages = tuple(
        Stage(name[2:], checkpoint_interval=EVERY, timestep_fs=1.0, **common)
        for name in NAMES
    )
    plan = Plan(
        *(NAMES, stages, (), ("model.allegro",), 12, (1, 1, 1), 3),
        *(True, False, True, 1.0, "", "Ar"),
    )
    write_plan(tmp_path, plan)
    return tmp_path


def restart(path, step, cut=0):
    """Write a file that begins and ends as LAMMPS writes it."""
    texts = [
        struct.pack("<ii", k, 6) + text
        for k, text in ((0, b"2025.\0"), (4, b"metal\0"))
    ]
    sizes = b"".join(
        struct.pack("<ii", k, n) for k, n in ((1, 4), (48, 4), (2, 4), (3, 8))
    )
    head = struct.pack("<ii", 1, 3) + texts[0] + sizes + texts[1]
    content = MAGIC + head + struct.pack("<iq", 5, step) + bytes(100) + MAGIC
    path.write_bytes(content[: len(content) - cut])


def write(folder, walk, name, frames, lines, states=(), part=(), torn=0, torn_part=0):
    """Files of a stage: steps of frames and lines up to those given, and states.

    Frames of the part are after its first number, and up to its second.
    """
    paths = paths_of(folder / name) | lammps_paths_of(folder / name)
    for kind, (begin, end), cut in (
        ("trajectory", (0, frames), torn),
        ("part", part or (0, 0), torn_part),
    ):
        if end:
            save_xtc(walk[begin // INTERVAL : end // INTERVAL], paths[kind])
            content = paths[kind].read_bytes()
            paths[kind].write_bytes(content[: len(content) - cut])
    steps = range(INTERVAL, lines + 1, INTERVAL)
    table = [HEADER, *(f"{n},{1e-3 * n:g},300.25" for n in steps)]
    paths["energies"].write_text("\n".join(table) + f"\n{lines + INTERVAL},0.")
    for kind, step in dict(states).items():
        restart(paths[kind], abs(step), cut=9 if step < 0 else 0)
    return paths


def steps_of(paths):
    table = paths["energies"].read_text()
    assert table.endswith("\n") and table.count(HEADER) == 1
    return (
        index_xtc(paths["trajectory"]).steps.tolist(),
        [int(line.split(",")[0]) for line in table.splitlines()[1:]],
    )


def up_to(last):
    return list(range(INTERVAL, last + 1, INTERVAL))


# frames, lines, states (below 0: cut short), part, bytes torn off trajectory and part;
# the step it goes on from, and its last frame
WITHIN = {
    "after the second": (50, 50, {"restart_1": 20, "restart_2": 40}, (), 9, 0, 40, 40),
    "after the third": (70, 70, {"restart_1": 60, "restart_2": 40}, (), 9, 0, 60, 60),
    "in the third": (60, 60, {"restart_1": -60, "restart_2": 40}, (), 9, 0, 40, 40),
    "without the last frame": (60, 60, {"restart_1": 60}, (), 9, 0, 60, 55),
    "with lost frames": (
        *(45, 60, {"restart_1": 60, "restart_2": 40}, ()),
        *(0, 0, 40, 40),
    ),
    "resumed": (40, 65, {"restart_1": 60, "restart_2": 40}, (40, 65), 0, 3, 60, 60),
    "resumed, with its frame": (
        *(35, 65, {"restart_1": 60, "restart_2": 40}, (35, 65)),
        *(0, 0, 60, 60),
    ),
    "resumed, at once": (40, 40, {"restart_2": 40}, (), 0, 0, 40, 40),
    "resumed, while it joined": (
        *(60, 100, {"restart_1": 100, "restart_2": 80}, (40, 100)),
        *(9, 0, 100, 100),
    ),
    "in the end": (
        *(100, 100, {"restart": -100, "restart_1": 100, "restart_2": 80}, ()),
        *(0, 0, 100, 100),
    ),
}


@pytest.mark.parametrize("case", WITHIN)
def test_a_stage_goes_on_from_its_last_state(folder, walk, case):
    *written, begin, last_frame = WITHIN[case]
    write(folder, walk, NAMES[0], 100, 100, {"restart": 100})
    paths = write(folder, walk, NAMES[1], *written)
    resumed = resume(folder)
    expected = Begin(1, begin, "2-nvt.restart.2", last_frame)
    assert resumed.begin == expected, resumed
    assert read_restart(paths["restart_2"]) == Restart(begin, "2025.")
    others = ("restart_1", "restart", "part")
    assert not any(paths[kind].exists() for kind in others)
    assert steps_of(paths) == (up_to(last_frame), up_to(begin))
    text = (folder / "in.lammps").read_text()
    assert "read_restart    2-nvt.restart.2" in text and "1-heat.xtc" not in text
    assert f"2-nvt continues at step {begin} of 100" in resumed.message
    # once more: nothing changes
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert resume(folder).begin == expected
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_a_stage_begins_where_nothing_of_it_was_saved(folder, walk):
    assert resume(folder).begin == Begin()
    assert "1-heat begins" in resume(folder).message
    write(folder, walk, NAMES[0], 15, 20, {"restart_1": -20}, torn=9)
    resumed = resume(folder)
    assert (
        resumed.begin == Begin() and "steps up to 20 are taken again" in resumed.message
    )
    names = {path.name for path in folder.iterdir()}
    assert names == {"plan.json", "in.lammps"}
    # from the end of the stage before, whose frames are in one file then
    first = write(
        *(folder, walk, NAMES[0], 70, 100),
        *({"restart": 100, "restart_1": 80}, (60, 100), 9),
    )
    write(folder, walk, NAMES[1], 10, 15)
    assert resume(folder).begin == Begin(1, 0, "1-heat.restart")
    assert steps_of(first) == (up_to(100), up_to(100))
    assert not paths_of(folder / NAMES[1])["trajectory"].exists()


def test_a_run_that_is_finished_stays_so(folder, walk, capsys):
    for name in NAMES:
        paths = write(folder, walk, name, 60, 100, {"restart": 100}, (40, 100), 9)
    for _ in range(2):
        resumed = resume(folder)
        assert resumed.begin is None and "finished" in resumed.message
        assert steps_of(paths) == (up_to(100), up_to(100))
    first, second, *_ = (folder / "in.lammps").read_text().splitlines()
    assert first.startswith("print") and "finished" in first
    assert second.split() == ["quit", "0"]
    assert main(["lammps", str(folder), "--resume"]) == 0
    out = capsys.readouterr().out
    assert "are finished" in out and "analyze" in out and "mpirun" not in out


def test_a_finished_run_becomes_longer(folder, walk, capsys):
    plan = read_plan(folder)
    write_records(folder, plan, {})
    for name in NAMES:
        paths = write(folder, walk, name, STEPS, STEPS, {"restart": STEPS})
    run = read_run(folder / NAMES[1])
    assert (run.done, run.progress) == (100, "100 of 100")
    with pytest.raises(ValueError, match="at least the 100 steps that 2-nvt has"):
        resume(folder, 90)
    assert read_plan(folder) == plan
    assert main(["lammps", str(folder), "--resume", "--steps", "140"]) == 0
    assert "2-nvt continues at step 100 of 140" in capsys.readouterr().out
    assert steps_of(paths) == (up_to(100), up_to(100))
    text = (folder / "in.lammps").read_text()
    assert "read_restart    2-nvt.restart.2\n" in text
    assert "run             140 upto\n" in text
    run = read_run(folder / NAMES[1])
    assert (run.done, run.progress) == (100, "100 of 140")
    last = json.loads((folder / "protocol.json").read_text())["settings"][-1]
    assert last["steps"] == 140
    assert resume(folder).begin == Begin(1, 100, "2-nvt.restart.2", 100)
    (folder / "1-heat.json").write_text("{}")  # as if simulate had run in the folder
    with pytest.raises(
        ValueError, match=r"1-heat\.json, found that of a run in OpenMM"
    ):
        resume(folder)
    write_records(folder, plan, {})
    # a ramp would be another
    stage = dataclasses.replace(plan.stages[1], temperature_k=(300.0, 400.0))
    write_plan(folder, dataclasses.replace(plan, stages=(plan.stages[0], stage)))
    with pytest.raises(ValueError, match="expected the 100 steps of 2-nvt, because"):
        resume(folder, 140)


def test_what_is_missing_is_an_error_and_nothing_is_cut(folder, walk):
    states = {"restart_1": 60, "restart_2": 80}
    paths = write(folder, walk, NAMES[0], 40, 90, states)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"up to step 80.* up to 40 and 90; bring"):
        resume(folder)
    assert before == {path: path.read_bytes() for path in folder.iterdir()}
    for kind in states:
        paths[kind].unlink()
    with pytest.raises(ValueError, match="of a stage that has 90 steps, found none"):
        resume(folder)
    (folder / "plan.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected plan\.json"):
        resume(folder)


def test_lines_that_are_there_again_are_dropped(folder, walk):
    """As after a run that was begun again without being resumed."""
    paths = write(folder, walk, NAMES[0], 50, 50, {"restart_1": 40})
    lines = paths["energies"].read_text().splitlines()[:-1]
    again = [HEADER, *lines[5:9], "45,0.045,299.5", "50,0.05"]
    paths["energies"].write_text("\n".join([*lines, *again]))
    resume(folder)
    assert steps_of(paths) == (up_to(40), up_to(40))


def test_a_damaged_trajectory_is_left_as_it_is(folder, walk):
    paths = write(folder, walk, NAMES[0], 100, 100, {"restart": 100})
    content = bytearray(paths["trajectory"].read_bytes())
    content[index_xtc(paths["trajectory"]).ends[9]] = 9
    paths["trajectory"].write_bytes(bytes(content))
    assert resume(folder).begin == Begin(1, 0, "1-heat.restart")
    assert paths["trajectory"].read_bytes() == bytes(content)
    # but what is damaged after the state to go on from is cut
    paths["restart"].unlink()
    restart(paths["restart_1"], 50)
    assert resume(folder).begin == Begin(0, 50, "1-heat.restart.2", 50)
    assert steps_of(paths) == (up_to(50), up_to(50))


def test_nothing_runs_from_files_that_are_half_ready(folder, walk, monkeypatch, capsys):
    write(folder, walk, NAMES[0], 50, 50, {"restart_1": 40})
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr("os.replace", refuse_restarts)
        resume(folder)
    text = (folder / "in.lammps").read_text()
    assert "interrupted" in text and text.splitlines()[-1].split() == ["quit", "1"]
    assert main(["lammps", str(folder), "--resume"]) == 0
    out = capsys.readouterr().out
    assert "1-heat continues at step 40 of 100" in out and "mpirun" in out


def refuse_restarts(source, target, replace=os.replace):
    """Stands for a kill before the first restart file becomes the second."""
    if ".restart" in str(target):
        raise OSError("killed")
    replace(source, target)


def test_a_kill_while_files_are_joined_loses_nothing(folder, walk):
    """At any byte: what is joined stays in its own file until all is written."""
    paths = write(folder, walk, NAMES[0], 40, 100, part=(35, 100))
    files = [paths[kind] for kind in ("trajectory", "part", "energies")]
    whole = paths["trajectory"].read_bytes(), paths["part"].read_bytes()
    added = len(whole[1]) - index_xtc(paths["part"]).ends[0]
    for size in (0, 1, 400, added - 1, added):
        paths["trajectory"].write_bytes(whole[0] + whole[1][-added:][:size])
        paths["part"].write_bytes(whole[1])
        assert read_written(*files).frames.tolist() == up_to(100)
        cut_frames(*files[:2], 100)
        assert read_written(*files).frames.tolist() == up_to(100)
        assert not paths["part"].exists()


def test_a_run_in_progress_is_refused(folder, walk):
    write(folder, walk, NAMES[0], 50, 50, {"restart_1": 40})
    script = (
        f"f = open({str(folder / '1-heat.csv')!r}, 'a'); print(flush=True); input()"
    )
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-S", "-c", script], **pipes)
        stack.callback(process.communicate, b"\n")
        process.stdout.readline()
        with pytest.raises(RuntimeError, match=f"found process {process.pid}"):
            resume(folder)
    assert resume(folder).begin.step == 40
