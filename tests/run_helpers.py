# SPDX-License-Identifier: MIT
"""Runs that are killed, and what is to be found of them afterwards."""

import os
import signal
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest

from openmm_allegro import run

# of the runs that ``start`` makes, in steps
STEPS, INTERVAL, CHECKPOINT, VELOCITIES = 60, 5, 20, 4


class Killed(BaseException):
    """Stands for a kill: nobody catches it, nothing is tidied up."""


# of a run that has been sent a signal
ENDS = {signal.SIGTERM: SystemExit, signal.SIGINT: KeyboardInterrupt}


def send(number):
    """Send this process a signal, as a batch system or the keyboard does."""
    return lambda: os.kill(os.getpid(), number)


class Killer:
    """A reporter that ends everything at a step, or does something else then."""

    def __init__(self, step, action=None):
        self.step, self.action = step, action

    def describeNextReport(self, simulation):
        due = self.step - simulation.currentStep
        return {"steps": due if due > 0 else 10**9, "periodic": False, "include": []}

    def report(self, simulation, state):
        if self.action is None:
            raise Killed
        self.action()


def read_energies(path):
    """Columns of the CSV but the speed, which is another each time."""
    return np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)[:, :-1]


def final_state(paths):
    """Positions and velocities of the restart file, to the last bit."""
    state = openmm.XmlSerializer.deserialize(Path(paths["state"]).read_text())
    return np.concatenate(
        [
            state.getPositions(asNumpy=True)._value,
            state.getVelocities(asNumpy=True)._value,
        ]
    )


def read_hdf5(path):
    """Coordinates, velocities and times."""
    from mdtraj.formats import HDF5TrajectoryFile

    with HDF5TrajectoryFile(str(path)) as file:
        frames = file.read()
    return frames.coordinates, frames.velocities, frames.time


def check_complete(paths, steps, interval, velocity_interval=0, timestep_ps=0.0005):
    """Every frame and line is there once, in order."""
    trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
    expected = np.arange(interval, steps + 1, interval)
    np.testing.assert_allclose(trajectory.time, expected * timestep_ps, rtol=1e-5)
    np.testing.assert_array_equal(read_energies(paths["energies"])[:, 0], expected)
    if velocity_interval:
        expected = np.arange(velocity_interval, steps + 1, velocity_interval)
        _, velocities, times = read_hdf5(paths["velocities"])
        assert len(velocities) == len(times)
        np.testing.assert_allclose(times, expected * timestep_ps, rtol=1e-5)


def check_same(paths, whole):
    """A run of ``start`` without velocities ended as another one, to the last bit."""
    check_complete(paths, STEPS, INTERVAL)
    np.testing.assert_array_equal(final_state(paths), final_state(whole))
    assert paths["trajectory"].read_bytes() == whole["trajectory"].read_bytes()
    energies = [read_energies(each["energies"]) for each in (paths, whole)]
    np.testing.assert_array_equal(*energies)


def start(system, output, **options):
    """Run (topology, positions, System) for ``STEPS``; options go to ``run``."""
    settings = {
        "steps": STEPS,
        "report_interval": INTERVAL,
        "velocity_interval": VELOCITIES,
        "checkpoint_interval": CHECKPOINT,
        "platform": "CPU",
        "threads": 1,
        "seed": 3,
        "minimize": False,
        "progress": False,
    }
    return run(*system, output, **(settings | options))


def start_killed(system, output, step, **options):
    """The same, killed at a step."""
    with pytest.raises(Killed):
        start(system, output, reporters=[Killer(step)], **options)


def check_signals(system, folder, number, **options):
    """Stop a run twice, where no checkpoint is due: it ends as one that was not."""
    whole = start(system, folder / "whole", **options)
    for step in (13, 47):
        assert step % CHECKPOINT
        stop = [Killer(step, send(number))]
        with pytest.raises(ENDS[number]) as ended:
            start(system, folder / "x", reporters=stop, resume=True, **options)
        if number == signal.SIGINT:
            assert "resume=True continues" in str(ended.value)
    check_same(start(system, folder / "x", resume=True, **options), whole)
