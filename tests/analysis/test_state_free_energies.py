# SPDX-License-Identifier: MIT
"""Free energies of states and of works, from numbers with a known answer."""

import numpy as np
import pytest

pytest.importorskip("pymbar")

from openmm_allegro.analysis.figures.states import plot_overlap, plot_works
from openmm_allegro.analysis.states import (
    independent,
    overlap_warnings,
    state_free_energies,
    work_free_energy,
    work_warnings,
)


def gaussian_works(free_energy, sigma, count, seed=0):
    """Works of both directions whose distributions obey Crooks's theorem."""
    random = np.random.default_rng(seed)
    middle = 0.5 * sigma**2
    return (
        random.normal(middle + free_energy, sigma, count),
        random.normal(middle - free_energy, sigma, count),
    )


@pytest.mark.parametrize("free_energy", [3.0, -4.2e5])
def test_gaussian_works(free_energy):
    """Also where the zeros of energy are as far apart as those of models."""
    found = work_free_energy(*gaussian_works(free_energy, 1.5, 2000))
    for estimate in (found.both, found.forward, found.reverse):
        assert 0 < estimate.error < 0.2
        assert abs(estimate.value - free_energy) < 4 * estimate.error
    assert found.both.error < min(found.forward.error, found.reverse.error)
    assert abs(found.slope.value - 1.0) < 4 * found.slope.error < 0.5
    assert found.overlap.sum(axis=1) == pytest.approx([1, 1])
    assert found.overlap[0, 1] > 0.1
    assert found.best == found.both and not work_warnings(found)


def test_error_of_gaussian_works_is_honest():
    """The spread over seeds of what one seed gives as its error."""
    found = [work_free_energy(*gaussian_works(1, 2, 50, s)).both for s in range(60)]
    values, errors = np.array(found).T
    assert np.std(values) == pytest.approx(errors.mean(), rel=0.35)
    assert 0.5 < np.mean(np.abs(values - 1) < errors) < 0.85


def test_few_switches_of_one_direction_are_biased():
    """To the sides that the second law says, and it is said so."""
    means = {}
    for name in ("forward", "reverse"):
        values = []
        for seed in range(40):
            works = dict(
                zip(("forward", "reverse"), gaussian_works(0, 4, 20, seed), strict=True)
            )
            other = {"forward": None, "reverse": None} | {name: works[name]}
            result = work_free_energy(**other)
            values.append(result.best.value)
            assert result.both is None and result.slope is None
        means[name] = np.mean(values)
        (text,) = work_warnings(result)
        assert ("too high" if name == "forward" else "too low") in text
    assert means["forward"] > 1.0 and means["reverse"] < -1.0
    (text,) = work_warnings(work_free_energy(*gaussian_works(0, 12, 50)))
    assert "forward works and reverse works" in text


def test_starts_that_are_not_in_equilibrium_show_in_the_slope():
    forward, reverse = gaussian_works(0.0, 1.0, 1000)
    found = work_free_energy(2.0 * forward, 2.0 * reverse)
    assert found.slope.value == pytest.approx(0.5, abs=0.1)
    assert any("slope of 1" in text for text in work_warnings(found))


def test_states_of_oscillators():
    """f = ln(k / k0) / 2 of one coordinate, beside shifted zeros of energy."""
    springs, zeros = np.array([1.0, 2.0, 4.0]), np.array([0.0, -7.0, 3e5])
    random = np.random.default_rng(1)
    x = np.concatenate([random.normal(0, k**-0.5, 800) for k in springs])
    energies = 0.5 * springs[:, None] * x**2 + zeros[:, None]
    found = state_free_energies(energies, [800] * 3)
    expected = 0.5 * np.log(springs) + zeros
    assert found.error[0] == 0 and (found.error[1:] < 0.06).all()
    assert (np.abs(found.f - expected)[1:] < 4 * found.error[1:]).all()
    assert not overlap_warnings(found.overlap, ["a", "b", "c"])


def test_poor_overlap_is_named():
    overlap = np.array([[0.8, 0.2, 0.0], [0.2, 0.79, 0.01], [0.0, 0.01, 0.99]])
    (text,) = overlap_warnings(overlap, ["λ = 0", "λ = 0.5", "λ = 1"])
    assert "λ = 0.5 and λ = 1 of at least 0.03, found 0.01" in text
    assert len(overlap_warnings(np.full((2, 2), np.nan), ["a", "b"])) == 1


def test_correlated_works_are_thinned_out():
    random = np.random.default_rng(2)
    fast = random.normal(size=400)
    slow = np.repeat(random.normal(size=40), 10)
    assert len(independent(fast)) > 250
    assert 20 < len(independent(slow)) < 80
    assert independent(np.ones(9)).tolist() == [1.0] * 9


@pytest.mark.parametrize("works", [(None, None), ([1.0], None), ([1.0, 2.0], [])])
def test_too_few_works_are_refused(works):
    with pytest.raises(ValueError, match="at least 2 works of a direction"):
        work_free_energy(*works)


def test_figures_of_states(tmp_path):
    pytest.importorskip("matplotlib")
    overlap = np.array([[0.99, 0.01], [0.01, 0.99]])
    path = plot_overlap([0.0, 1.0], overlap, tmp_path / "o.png")
    assert path.stat().st_size > 5000
    forward, reverse = gaussian_works(3.0, 1.5, 50)
    works = {"forward": forward, "reverse": reverse}
    plot_works(works, (3.0, 0.2), tmp_path / "w.png")
    plot_works({"reverse": reverse}, (3.0, 0.2), tmp_path / "w.svg")
    text = (tmp_path / "w.svg").read_text()
    assert "reverse, sign turned (50)" in text or "<text" not in text
