# SPDX-License-Identifier: MIT
"""Corrections and lines of known values: boxes, Arrhenius, replicas."""

import numpy as np
import pytest

from openmm_allegro.analysis import (
    arrhenius,
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
