# SPDX-License-Identifier: MIT
"""Lines of known slope: infinite boxes, Arrhenius, replicas."""

import numpy as np
import pytest

from openmm_allegro.analysis import (
    arrhenius,
    infinite_box,
    replica_mean,
    yeh_hummer_correction,
)


def test_correction_is_stokes_einstein_of_the_box():
    """Water at 298 K, 2.5 nm, 0.89 mPa s: k T xi / (6 pi eta L) by hand."""
    expected = 2.837297 * 1.380649e-23 * 298 / (6 * np.pi * 0.89e-3 * 2.5e-9) * 1e4
    assert yeh_hummer_correction(2.5, 298, 0.89) == pytest.approx(expected)
    assert expected == pytest.approx(2.78e-6, rel=0.01)
    with pytest.raises(ValueError, match="viscosity above 0"):
        yeh_hummer_correction(2.5, 298, 0.0)


def test_infinite_box_gives_coefficient_and_viscosity_back():
    lengths = np.array([1.5, 2.0, 3.0, 5.0])
    exact = 2.4e-5 - np.array([yeh_hummer_correction(x, 300, 0.8) for x in lengths])
    errors = np.array([1e-7, 2e-7, 1e-7, 3e-7])
    found = infinite_box(lengths, exact, errors, 300)
    assert found.coefficient.value == pytest.approx(2.4e-5)
    assert found.viscosity.value == pytest.approx(0.8)

    rng = np.random.default_rng(41)
    repeats = [
        infinite_box(lengths, rng.normal(exact, errors), errors, 300)
        for _ in range(400)
    ]
    for name, true in (("coefficient", 2.4e-5), ("viscosity", 0.8)):
        inside = [
            abs(getattr(r, name)[0] - true) < getattr(r, name)[1] for r in repeats
        ]
        assert 0.61 < np.mean(inside) < 0.75  # three deviations of 400 trials
    with pytest.raises(ValueError, match="grow with the box"):
        infinite_box(lengths, exact[::-1], errors, 300)
    with pytest.raises(ValueError, match="two different box lengths"):
        infinite_box([2.0, 2.0], [1e-5, 1e-5], [1e-7, 1e-7], 300)


def test_arrhenius_gives_its_energy_back_with_an_honest_error():
    temperatures = np.array([300.0, 350.0, 400.0, 500.0])
    exact = 3e-3 * np.exp(-25.0 / (8.314462618e-3 * temperatures))
    errors = exact * np.array([0.1, 0.05, 0.05, 0.03])
    found = arrhenius(temperatures, exact, errors)
    assert found.activation_energy.value == pytest.approx(25.0)
    assert np.exp(found.log_prefactor.value) == pytest.approx(3e-3)
    assert found.chi_squared == pytest.approx(0, abs=1e-12)
    assert found.at(350.0).value == pytest.approx(exact[1])

    rng = np.random.default_rng(42)
    inside, predicted, chi_squared = [], [], []
    cold = 3e-3 * np.exp(-25.0 / (8.314462618e-3 * 250))
    for _ in range(400):
        fit = arrhenius(temperatures, rng.normal(exact, errors), errors)
        inside.append(
            abs(fit.activation_energy.value - 25) < fit.activation_energy.error
        )
        predicted.append(abs(fit.at(250.0).value - cold) < fit.at(250.0).error)
        chi_squared.append(fit.chi_squared)
    assert 0.61 < np.mean(inside) < 0.75
    assert 0.60 < np.mean(predicted) < 0.76
    assert np.mean(chi_squared) == pytest.approx(2, abs=0.4)
    with pytest.raises(ValueError, match="values above 0"):
        arrhenius([300, 400], [1.0, -1.0], [0.1, 0.1])
    with pytest.raises(ValueError, match="errors above 0"):
        arrhenius([300, 400], [1.0, 2.0], [0.1, 0.0])
    with pytest.raises(ValueError, match="as many temperatures"):
        arrhenius([300, 400], [1.0], [0.1, 0.0])


def test_replicas_that_scatter_widen_the_error():
    assert replica_mean([(1.0, 0.3), (1.0, 0.3), (1.0, 0.3)]).error == pytest.approx(
        0.3 / np.sqrt(3)
    )
    apart = replica_mean([(1.0, 0.1), (3.0, 0.1)])
    assert apart.value == 2.0
    assert apart.error == pytest.approx(1.0)
    assert replica_mean([(1.5, 0.2)]) == (1.5, 0.2)
    with pytest.raises(ValueError, match="at least one run"):
        replica_mean([])
