# SPDX-License-Identifier: MIT
"""Inefficiencies of time series against pymbar, and what holds of them exactly."""

import subprocess
import sys

import numpy as np
import pytest
from analysis_helpers import CUBIC, autoregressive, make_trajectory

from openmm_allegro.analysis.frames import cell_vectors, cell_volumes
from openmm_allegro.analysis.statistics import statistical_inefficiency


def test_inefficiency_is_that_of_pymbar_and_of_theory():
    timeseries = pytest.importorskip("pymbar.timeseries")
    rng = np.random.default_rng(113)
    for n in (2, 3, 5, 20, 41, 1000):
        for series in (rng.normal(size=n), np.cumsum(rng.normal(size=n)) + 7):
            if n > 2:  # pymbar has no lag to sum
                expected = timeseries.statistical_inefficiency(series)
                assert statistical_inefficiency(series) == pytest.approx(expected)
    assert statistical_inefficiency(np.full(20, 3.0)) == 1
    # (1 + a) / (1 - a) with a = exp(-1 / 5)
    long = statistical_inefficiency(autoregressive(100_000, 5, rng))
    assert long == pytest.approx(1 / np.tanh(0.1), rel=0.1)


def test_volumes_are_those_of_the_cells():
    cells = np.array([CUBIC, [[2, 0, 0], [0.5, 1.8, 0], [-0.3, 0.4, 1.6]]])
    trajectory = make_trajectory(np.zeros((2, 1, 3)), cells, ["O"])
    expected = np.linalg.det(cells)
    np.testing.assert_allclose(cell_volumes(trajectory), expected, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.det(cell_vectors(trajectory)), expected, 1e-6)


def test_no_library_is_loaded_that_takes_longer_than_an_analysis():
    program = (
        "import sys, openmm_allegro.analysis.statistics as s, numpy\n"
        "s.series_mean(numpy.arange(20.0))\n"
        "print([n for n in ('scipy.stats', 'pymbar', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.stdout.decode().strip() == "[]", done.stderr
