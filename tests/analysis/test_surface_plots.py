# SPDX-License-Identifier: MIT
"""The figure of a free energy of two variables: errors, ends of angles, numbers."""

import contextlib

import numpy as np
import pytest
from matplotlib.figure import Figure

from openmm_allegro.analysis import plot_surface
from openmm_allegro.analysis.figures import free_energy
from openmm_allegro.analysis.free_energy.axes import make_axis
from openmm_allegro.analysis.free_energy.surface import reweighted_surface
from openmm_allegro.report.free_energy import _caption


@pytest.fixture
def figures(monkeypatch):
    """Figures that were drawn, of which none is written."""
    made = []

    @contextlib.contextmanager
    def panels(path, count, *, wide=True):
        figure = Figure()
        made.append(figure)
        yield [figure.add_subplot(count, 1, k + 1) for k in range(count)]

    monkeypatch.setattr(free_energy, "new_panels", panels)
    return made


def angles(samples):
    axes = tuple(make_axis(n, "°", [], period=360.0, bins=12) for n in ("a", "b"))
    return reweighted_surface([samples], axes, 300.0)


def test_errors_are_below_a_surface_that_fills_its_turn(figures):
    rng = np.random.default_rng(2)
    surface = angles(rng.normal(170.0, 60.0, size=(20000, 2)))
    plot_surface(surface, "x.png", marks=[(165.0, -175.0)], title="a, b")
    (figure,) = figures
    values, errors = figure.axes[:2]
    assert values.get_xlim() == errors.get_xlim() == (-180.0, 180.0)
    contours = [c for c in values.collections if hasattr(c, "levels")]
    ends = np.concatenate([p.vertices for c in contours for p in c.get_paths()])
    assert np.abs(ends).max() > 180.0  # no blank border of half a bin
    (number,) = [t for t in values.texts if t.get_text() == "1"]
    # towards the middle, dark with a light rim
    assert number.get_horizontalalignment() == "right" and number.xyann[1] > 0
    assert number.get_color() == "black" and number.get_path_effects()
    shown = errors.collections[0].get_array()
    assert np.ma.count(shown) == np.isfinite(surface.errors).sum() > 50
    told = {"variables": ["a", "b"], "error": surface.errors}
    assert "68 % interval in each bin" in _caption(told)


def test_without_errors_there_is_no_map_of_them(figures):
    surface = angles(np.linspace(-170.0, 170.0, 24).reshape(12, 2))
    assert not np.isfinite(surface.errors).any()
    plot_surface(surface, "x.png")
    (figure,) = figures
    maps = [axes for axes in figure.axes if axes.get_xlabel() == "a (°)"]
    assert len(maps) == 1
    # bins that have no neighbours are shown, too
    counts = [np.ma.count(c.get_array()) for c in maps[0].collections]
    assert np.isfinite(surface.values).sum() in counts
    told = {"variables": ["a", "b"], "error": surface.errors}
    assert "interval" not in _caption(told) and "Too few blocks" in _caption(told)
    told = {"variables": ["a"], "error": surface.errors}
    assert _caption(told) == "Free energy; bands are 68 % intervals."
