# SPDX-License-Identifier: MIT
"""A figure of every quantity is written; nothing to draw is an error."""

import numpy as np
import pytest
from analysis_helpers import assert_png

from openmm_allegro import analysis
from openmm_allegro.analysis import Estimate

X = np.linspace(0.01, 1.0, 60)
WAVE = np.exp(-3 * X) * np.cos(9 * X)
NOISE = np.full(60, 0.03)


def test_structure(tmp_path):
    g = analysis.RadialDistribution(X, 1 + WAVE, NOISE, X, NOISE)
    assert_png(analysis.plot_rdf({"Na-O": g}, tmp_path / "g.png"))
    force = analysis.potential_of_mean_force(g, 300)
    assert_png(analysis.plot_potential({"Na-O": force}, tmp_path / "w.png"))
    # Falling to the last bin, and known nowhere.
    falling = analysis.PotentialOfMeanForce(X, -X, NOISE)
    assert_png(analysis.plot_potential({"Na-O": falling}, tmp_path / "f.png"))
    with pytest.raises(ValueError, match="known to 1 kJ/mol"):
        analysis.plot_potential({"": force._replace(error=0 * X + 2)}, path="no.png")
    factor = {"X-ray": (X, Estimate(1 + WAVE, NOISE))}
    measured = {"experiment": (X, 1 + WAVE)}
    path = tmp_path / "s.png"
    assert_png(analysis.plot_structure_factor(factor, path, reference=measured))
    angles = analysis.AngleDistribution(180 * X, X, NOISE, 100)
    assert_png(analysis.plot_angles({"P-O-O": angles}, tmp_path / "a.png"))
    environments = {(1, 5): Estimate(0.7, 0.1), (0, 6): Estimate(0.3, 0.1)}
    assert_png(analysis.plot_speciation(environments, ["Cl", "O"], tmp_path / "n.png"))
    clusters = analysis.Clusters(
        np.array([1, 2]),
        Estimate(np.array([0.8, 0.2]), np.array([0.1, 0.1])),
        Estimate(1.2, 0.1),
    )
    assert_png(analysis.plot_clusters(clusters, tmp_path / "c.png"))
    with pytest.raises(ValueError, match="at least one environment"):
        analysis.plot_speciation({}, [], tmp_path / "x.png")


def test_motion(tmp_path):
    function = analysis.Correlation(X, WAVE, NOISE)
    assert_png(analysis.plot_vacf({"Li": function}, tmp_path / "v.png"))
    assert_png(analysis.plot_non_gaussian({"Li": function}, tmp_path / "n.png"))
    spectrum = analysis.Spectrum(X, 33 * X, 1 + WAVE, NOISE)
    assert_png(analysis.plot_density_of_states({"Li": spectrum}, tmp_path / "d.png"))
    integral = analysis.GreenKubo(Estimate(0.9, 0.1), X, 1 - WAVE, NOISE, 0.5)
    path = tmp_path / "k.png"
    assert_png(analysis.plot_green_kubo({"Li": integral}, path, ylabel="$D(t)$"))
    hove = analysis.VanHove(X, np.array([1.0]), 1 + WAVE[None], NOISE[None])
    assert_png(analysis.plot_van_hove(hove, tmp_path / "h.png"))
    assert_png(analysis.plot_van_hove(hove, tmp_path / "h2.png", distinct=True))
    data = np.array([300.0, 400, 500]), np.array([1.0, 3, 7]), np.full(3, 0.1)
    lines = {"Li": (*data, analysis.arrhenius(*data))}
    assert_png(analysis.plot_arrhenius(lines, tmp_path / "e.png", ylabel="$D$"))
    # the legend beside a panel has a column of its own, beside one panel too
    one = analysis.plot_arrhenius_panels(
        {"$D$": lines}, tmp_path / "p.png"
    ).read_bytes()
    assert int.from_bytes(one[16:20]) == 2 * 3.5 * 300
    path = analysis.plot_series(
        X,
        WAVE,
        tmp_path / "t.png",
        ylabel="Energy",
        mean=Estimate(0.0, 0.1),
        drift=Estimate(0.1, 0.01),
    )
    assert_png(path)
    with pytest.raises(ValueError, match="at least one result"):
        analysis.plot_vacf({}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="one length"):
        analysis.plot_series(X, WAVE[1:], tmp_path / "x.png", ylabel="Energy")
    assert not (tmp_path / "x.png").exists()


def test_ions(tmp_path):
    pair = Estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2]))
    matrix = Estimate(np.array([[1.1, -0.3], [-0.3, 1.9]]), np.full((2, 2), 0.1))
    found = analysis.Conductivity(
        species=("Na", "Cl"),
        einstein=Estimate(2.4, 0.3),
        nernst_einstein=Estimate(3.0, 0.1),
        haven_ratio=Estimate(1.25, 0.2),
        transference=pair,
        matrix=matrix,
        onsager=matrix,
        self_part=pair,
        lag_times=X,
        displacement=X,
        fit_start=0.1,
        reference="all",
    )
    assert_png(analysis.plot_conductivity(found, tmp_path / "c.png"))
    for rate in (1.0, 8.0):
        held = np.exp(-rate * X)
        survival = analysis.Survival(
            Estimate(1 / rate, 0.1),
            Estimate(2 / rate, 0.1),
            X,
            held,
            NOISE,
            held,
            NOISE,
            0.01,
            90,
        )
        assert_png(analysis.plot_survival({"Na-O": survival}, tmp_path / "s.png"))
