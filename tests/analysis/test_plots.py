# SPDX-License-Identifier: MIT
"""The figures of the analysis: files are written, nonsense is refused."""

import numpy as np
import pytest
from analysis_helpers import assert_png

from openmm_allegro.analysis import (
    Coordination,
    Diffusion,
    plot_msd,
    plot_rdf,
    plot_temperature,
    plot_temperatures,
)


def test_plots_write_files(tmp_path):
    r = np.linspace(0.0025, 0.7975, 160)
    g = 1 + np.exp(-((r - 0.3) ** 2) / 0.002)
    shell = Coordination(number=4.2, r_max=0.36, r_peak=0.3, g_peak=2.0)
    path = plot_rdf(
        {"Na-O": (r, g), "O-O": (r, g**2)},
        tmp_path / "rdf.png",
        reference={"experiment": (r, g)},
        coordination={"Na-O": shell},
        title="NaCl",
    )
    assert path == tmp_path / "rdf.png"
    assert_png(path)

    time = np.arange(0, 2000, 0.5)
    temperature = np.random.default_rng(17).normal(300, 8, len(time))
    assert_png(plot_temperature(time, temperature, tmp_path / "t.png", target=300))
    assert_png(plot_temperature(time[:50], temperature[:50], str(tmp_path / "t2.png")))

    lag_times = np.arange(1.0, 101.0)
    result = Diffusion(
        coefficient=2e-5,
        error=4e-7,
        lag_times=lag_times,
        msd=0.012 * lag_times,
        msd_error=1e-4 * lag_times**1.5,
        fit_start=10.0,
        intercept=0.0,
    )
    assert_png(plot_msd({"Na": result}, tmp_path / "msd.png"))


def test_plots_refuse_what_they_cannot_draw(tmp_path):
    r = np.arange(5.0)
    with pytest.raises(ValueError, match="at least one curve"):
        plot_rdf({}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="one length for 'a'"):
        plot_rdf({"a": (r, r[:3])}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="coordination only for"):
        plot_rdf({"a": (r, r)}, tmp_path / "x.png", coordination={"b": None})
    with pytest.raises(ValueError, match="ascending"):
        plot_temperature(r[::-1], r, tmp_path / "x.png")
    with pytest.raises(ValueError, match="window"):
        plot_temperature(r, r, tmp_path / "x.png", window=9.0)
    with pytest.raises(ValueError, match="at least one diffusion"):
        plot_msd({}, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_panels_are_coloured_by_temperature(tmp_path):
    x = np.linspace(0.0, 1.0, 5)
    panels = {"Li": {500.0: (x, x, 0.1 * x), 600.0: (x, 2 * x, None)}}
    path = plot_temperatures(panels, tmp_path / "t.svg", {"xlabel": "x"}, title="T")
    text = path.read_text()
    assert text.count("#0072b2") >= 2 and text.count("#e0701a") >= 2
    with pytest.raises(ValueError, match="at least one curve"):
        plot_temperatures({}, tmp_path / "none.svg", {})
