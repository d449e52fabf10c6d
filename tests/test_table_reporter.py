# SPDX-License-Identifier: MIT
"""The files of reporters that write lines of numbers."""

import io

import numpy as np
import pytest
from test_watchdogs import approaching

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
