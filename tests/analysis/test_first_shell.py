# SPDX-License-Identifier: MIT
"""First minimum of a noisy g(r) that is known, and how well its place is."""

import numpy as np
import pytest

from openmm_allegro.analysis.structure.coordination import coordination_of
from openmm_allegro.analysis.structure.rdf import Histogram
from openmm_allegro.measure.shells import judge_shells

EDGES = np.linspace(0, 1.0, 201)
R = 0.5 * (EDGES[1:] + EDGES[:-1])
VOLUMES = 4 / 3 * np.pi * np.diff(EDGES**3)
# Minima at 0.355 and 0.575 nm, where g is 0.84 and 0.90; beyond them 1.14 and 1.04.
FIRST, SECOND = 0.355, 0.575


def bump(height, center, width):
    return height * np.exp(-0.5 * ((R - center) / width) ** 2)


def liquid():
    """g(r) as of the oxygen of water."""
    waves = bump(2.0, 0.28, 0.022) - bump(0.18, 0.345, 0.03) + bump(0.15, 0.45, 0.04)
    waves += bump(0.04, 0.68, 0.05) - bump(0.1, 0.57, 0.05)
    return (1 + waves) / (1 + np.exp(-(R - 0.262) / 0.006))


def histogram_of(g, pairs, rng, repeated=1):
    """Histogram of so many pairs within 0.4 nm; frames come several times over."""
    stretches, scale = 40, pairs / (g * VOLUMES)[R < 0.4].sum()
    expected = g * VOLUMES * scale / stretches
    counts = rng.poisson(expected, (stretches // repeated, len(R))) if rng else expected
    counts = np.repeat(np.atleast_2d(counts), repeated if rng else stretches, axis=0)
    ideal = np.tile(VOLUMES * scale / stretches, (len(counts), 1))
    return Histogram(EDGES, counts.astype(float), ideal, np.full(len(counts), 10.0))


def shells_of(g, pairs, seeds=60, repeated=1):
    rng, shells = np.random.default_rng(12), []
    for _ in range(seeds):
        try:
            shells.append(coordination_of(histogram_of(g, pairs, rng, repeated)))
        except ValueError:
            shells.append(None)
    return shells


def test_the_exact_curve_has_its_first_minimum():
    found = coordination_of(histogram_of(liquid(), 1e7, None))
    assert found.r_max == pytest.approx(FIRST, abs=0.006)
    low, high = found.r_range
    assert low <= found.r_max <= high < low + 0.01
    # 1e7 pairs are within 0.4 nm, of ten atoms in each of 40 stretches.
    closer = (liquid() * VOLUMES)[EDGES[1:] < found.r_max + 1e-9].sum()
    exact = 1e7 / 400 * closer / (liquid() * VOLUMES)[R < 0.4].sum()
    assert found.number == pytest.approx(exact)
    shell = 4 * np.pi * found.r_max**2 * 0.84
    density = 1e7 / 400 / (liquid() * VOLUMES)[R < 0.4].sum()
    assert found.growth == pytest.approx(shell * density, rel=0.03)
    assert judge_shells({"O-O": found}) == []


@pytest.mark.parametrize("pairs, told", [(1000, 0.5), (3000, 0.0)])
def test_a_noisy_shell_ends_at_the_first_minimum(pairs, told):
    """Of 1000 pairs one in four ended at the second minimum, and nothing was said."""
    shells = [x for x in shells_of(liquid(), pairs) if x is not None]
    assert len(shells) > 54
    radii = np.array([x.r_max for x in shells])
    assert np.mean(np.abs(radii - FIRST) < 0.05) > 0.9
    low, high = np.array([x.r_range for x in shells]).T
    # The range holds the minimum about as often as it says.
    held = (low <= FIRST + 0.0026) & (FIRST - 0.0026 <= high)
    assert np.mean(held) > 0.68
    numbers = np.array([x.number_range for x in shells])
    assert np.all(numbers[:, 0] <= [x.number for x in shells])
    assert np.all(numbers[:, 1] >= [x.number for x in shells])
    warned = [bool(judge_shells({"O-O": x})) for x in shells]
    assert np.mean(warned) > told


def test_frames_that_repeat_each_other_are_not_taken_for_more():
    """A curve without a minimum, of frames that come four times over each."""
    falling = np.exp(-np.maximum(R - 0.28, 0) / 0.2) * 2 + 1
    falling /= 1 + np.exp(-(R - 0.262) / 0.006)
    for pairs in (3000, 30_000):
        shells = shells_of(falling, pairs, 40, repeated=4)
        assert sum(x is not None for x in shells) <= 6


def test_a_warning_names_the_range_and_what_to_do():
    rng = np.random.default_rng(3)
    shell = coordination_of(histogram_of(liquid(), 400, rng))
    (warning,) = judge_shells({"O-O": shell})
    low, high = shell.r_range
    assert f"from {low:.3f} to {high:.3f} nm" in warning
    assert warning.startswith("O-O: ") and "--shell" in warning
    asked = coordination_of(histogram_of(liquid(), 400, rng), first_shell=False)
    assert asked.r_range is None and judge_shells({"O-O": asked}) == []
