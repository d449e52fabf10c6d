# SPDX-License-Identifier: MIT
"""The files of reporters that write lines of numbers."""

import contextlib
import io

import mdtraj
import numpy as np
import pytest
from openmm_helpers import harmonic_system
from run_helpers import Killed, Killer
from watchdog_helpers import approaching

from openmm_allegro import run
from openmm_allegro.reporters import HDF5Reporter, XTCReporter
from openmm_allegro.reporters.table import TableReporter


class Distance(TableReporter):
    """Between two particles, nm."""

    include = ("positions",)

    def values(self, simulation, state):
        first, second = state.getPositions(asNumpy=True)._value
        return {"Distance (nm)": np.linalg.norm(second - first)}


@pytest.fixture
def steps():
    """A function that runs on with a new reporter, and says what its file has."""
    simulation = approaching()

    def run(path, append):
        simulation.reporters = [Distance(path, 10, append=append)]
        simulation.step(20)
        simulation.reporters = []  # which closes the file
        assert path.read_text().count("#") == 1
        table = np.genfromtxt(path, delimiter=",", names=True)
        assert table.dtype.names == ("Step", "Time_ps", "Distance_nm")
        np.testing.assert_allclose(table["Time_ps"], 0.001 * table["Step"])
        np.testing.assert_allclose(table["Distance_nm"], 0.3 - 0.001 * table["Step"])
        return table["Step"].tolist()

    return run


def test_lines_come_behind_what_is_there_if_asked_to(steps, tmp_path):
    path = tmp_path / "distance.csv"
    assert steps(path, append=True) == [10, 20]
    assert steps(path, append=True) == [10, 20, 30, 40]
    assert steps(path, append=False) == [50, 60]


def test_a_file_that_is_open():
    file = io.StringIO()
    reporter = Distance(file, 5)
    assert not hasattr(reporter, "path")
    simulation = approaching()
    simulation.reporters.append(reporter)
    simulation.step(10)
    assert [line.split(",")[0] for line in file.getvalue().splitlines()[1:]] == [
        "5",
        "10",
    ]


@pytest.mark.parametrize("reporter", [Distance, XTCReporter, HDF5Reporter])
def test_intervals_without_a_step(tmp_path, reporter):
    with pytest.raises(ValueError, match="interval of at least 1, found 0"):
        reporter(tmp_path / "x", 0)
    assert not list(tmp_path.iterdir())


def test_frames_and_folders_of_a_users_reporters(tmp_path):
    """A trajectory is cut and continued; paths of others are left alone."""

    class Folder(Killer):
        path = tmp_path / "mine"

    def start(step, **options):
        (tmp_path / "mine").mkdir(exist_ok=True)
        run(
            *harmonic_system(),
            tmp_path / "x",
            steps=60,
            report_interval=5,
            checkpoint_interval=20,
            reporters=[XTCReporter(tmp_path / "few.xtc", 10), Folder(step)],
            minimize=False,
            platform="Reference",
            seed=3,
            progress=False,
            **options,
        )

    for step in (33, 5):  # at 5 after 20 there is no end
        with contextlib.suppress(Killed):
            start(step, resume=True)
    few = mdtraj.load(tmp_path / "few.xtc", top=tmp_path / "x.pdb")
    every = mdtraj.load(tmp_path / "x.xtc", top=tmp_path / "x.pdb")
    np.testing.assert_array_equal(few.xyz, every.xyz[1::2])
    with pytest.raises(ValueError, match="velocity_interval"):
        run(
            *harmonic_system(),
            tmp_path / "y",
            reporters=[HDF5Reporter(tmp_path / "z.h5", 1)],
        )
