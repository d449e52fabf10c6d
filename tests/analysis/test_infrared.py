# SPDX-License-Identifier: MIT
"""Infrared spectra: a line, white noise, Debye's relaxation, currents."""

import numpy as np
import pytest
from analysis_helpers import autoregressive
from scipy.constants import Boltzmann, elementary_charge, epsilon_0, speed_of_light
from scipy.integrate import trapezoid

from openmm_allegro.analysis import infrared_spectrum
from openmm_allegro.analysis.thermodynamics import (
    Dipoles,
    dielectric_of,
    running_dielectric,
)

KELVIN, VOLUME = 300.0, 8.0
# e² nm²/ps² over 6 ε0 c V k_B T, in 1/cm and 1/ps: the spectrum of a ⟨M'·M'⟩ of 1.
UNIT = elementary_charge**2 * 1e-6 / 100
UNIT /= 6 * epsilon_0 * speed_of_light * VOLUME * 1e-27 * Boltzmann * KELVIN


def waves(n_frames, time_step, frequency, phases=(0.3, 1.1, 4.0)):
    """Three components of amplitude 0.2 e nm at a frequency in THz."""
    times = np.arange(n_frames) * time_step
    return 0.2 * np.cos(2 * np.pi * frequency * times[:, None] + phases)


@pytest.mark.parametrize("frequency", [1.7, 50.0, 110.0])
def test_a_harmonic_dipole_is_one_line_with_its_integral(frequency):
    """3,670 1/cm is 110 THz; frames every 4 fs reach 125 THz."""
    found = infrared_spectrum(
        waves(20_000, 0.004, frequency), 0.004, VOLUME, KELVIN, resolution=0.5
    )
    top = np.argmax(found.absorption)
    assert found.frequency[top] == pytest.approx(frequency, abs=0.25)
    assert found.wavenumber[top] == pytest.approx(33.3564 * found.frequency[top])
    # π ⟨M'·M'⟩ over frequencies in rad/ps, of which each component has A² ω² / 2
    squared = 3 * 0.2**2 / 2 * (2 * np.pi * frequency) ** 2
    area = 2 * np.pi * trapezoid(found.absorption, found.frequency)
    assert area == pytest.approx(np.pi * squared * UNIT, rel=0.01)
    beside = np.abs(found.frequency - frequency) > 2
    assert found.absorption[beside].max() < 1e-4 * found.absorption.max()


def test_currents_are_added_with_their_phase():
    """A charge that moves is a dipole or a current, and both may cancel."""
    times = np.arange(8000) * 0.004
    dipoles, omega = waves(8000, 0.004, 20.0), 2 * np.pi * 20.0
    currents = -0.2 * omega * np.sin(omega * times[:, None] + (0.3, 1.1, 4.0))
    options = {"time_step": 0.004, "volume": VOLUME, "temperature": KELVIN}
    bound = infrared_spectrum(dipoles, **options)
    free = infrared_spectrum(np.zeros_like(dipoles), currents=currents, **options)
    peak = bound.absorption.max()
    np.testing.assert_allclose(free.absorption, bound.absorption, atol=1e-3 * peak)
    both = infrared_spectrum(dipoles, currents=currents, **options)
    np.testing.assert_allclose(both.absorption, 4 * free.absorption, atol=4e-3 * peak)
    none = infrared_spectrum(dipoles, currents=-currents, **options)
    assert none.absorption.max() < 1e-4 * peak
    screened = infrared_spectrum(dipoles, electronic=1.8, **options)
    np.testing.assert_allclose(screened.absorption, 1.8 * bound.absorption)


def test_shot_noise_is_flat_and_its_end_is_the_conductivity():
    """⟨J·J⟩ of 3 at one frame alone is 3 Δt at all frequencies."""
    currents = np.random.default_rng(71).normal(size=(40_000, 3))
    found = infrared_spectrum(
        np.zeros_like(currents), 0.01, VOLUME, KELVIN, currents=currents, resolution=2
    )
    z = (found.absorption - 3 * 0.01 * UNIT) / found.error
    assert np.abs(z).max() < 6 and np.mean(z**2) < 3.5
    assert found.error.max() < 0.2 * found.absorption.max()
    # σ = ∫ ⟨J(0)·J(t)⟩ dt / (3 V k_B T) over t > 0, by hand in S/m
    conductivity = 0.5 * 3 * 0.01 * elementary_charge**2 * 1e-6 / (3 * VOLUME * 1e-27)
    conductivity /= Boltzmann * KELVIN
    expected = conductivity / (epsilon_0 * speed_of_light) / 100
    assert 3 * 0.01 * UNIT == pytest.approx(expected)
    assert np.isnan(found.loss[0]) and np.isfinite(found.loss[1:]).all()


def test_langevin_dipoles_have_debyes_spectrum_and_its_constant():
    """Dipoles that forget in 0.5 ps: ε'' = Δε ωτ / (1 + ω²τ²)."""
    rng, step, tau = np.random.default_rng(72), 0.02, 0.5
    dipoles = 0.3 * np.array([autoregressive(60_000, tau / step, rng) for _ in "xyz"]).T
    found = infrared_spectrum(dipoles, step, VOLUME, KELVIN, resolution=0.1)
    increment = 3 * 0.3**2 * elementary_charge**2 * 1e-18
    increment /= 3 * epsilon_0 * VOLUME * 1e-27 * Boltzmann * KELVIN
    omega = 2 * np.pi * found.frequency[1:]
    slow = omega * step < 0.5  # where frames are close enough in time
    debye = increment * omega * tau / (1 + (omega * tau) ** 2)
    z = (found.loss[1:] - debye)[slow] / found.loss_error[1:][slow]
    assert np.mean(z**2) < 3.5 and np.abs(z).max() < 6
    constant = dielectric_of(Dipoles(dipoles, VOLUME), KELVIN)
    assert abs(constant.value - 1 - increment) < 4 * constant.error
    assert constant.error < 0.1 * increment
    # Kramers and Kronig: ε - 1 is 2/π of the integral of ε'' over ln ω
    per_omega = found.loss[1:] / omega
    per_omega = np.append(per_omega[0], per_omega)
    integral = 2 / np.pi * trapezoid(per_omega, 2 * np.pi * found.frequency)
    assert integral == pytest.approx(constant.value - 1, rel=0.05)

    frames, running = running_dielectric(Dipoles(dipoles, VOLUME), KELVIN)
    assert frames[0] == 1 and running[0] == pytest.approx(1)
    assert frames[-1] == 60_000 and running[-1] == pytest.approx(constant.value)
    screened = dielectric_of(Dipoles(dipoles, VOLUME), KELVIN, electronic=1.8)
    assert screened.value == pytest.approx(1.8 * constant.value)
    assert screened.error == pytest.approx(1.8 * constant.error)


def test_series_that_do_not_fit_are_refused():
    dipoles = waves(400, 0.004, 20.0)
    good = {"time_step": 0.004, "volume": VOLUME, "temperature": KELVIN}
    with pytest.raises(ValueError, match="expected a resolution from"):
        infrared_spectrum(dipoles, resolution=0.1, **good)
    with pytest.raises(ValueError, match="found 400 and 399"):
        infrared_spectrum(dipoles, currents=dipoles[1:], resolution=10, **good)
    with pytest.raises(ValueError, match=r"shape \(n_frames, 3\), found \(400, 2\)"):
        infrared_spectrum(dipoles[:, :2], **good)
    with pytest.raises(ValueError, match="finite dipoles"):
        infrared_spectrum(np.where(dipoles > 0, np.nan, dipoles), **good)
    for name in ("temperature", "volume", "time_step"):
        with pytest.raises(ValueError, match=f"{name} above 0"):
            infrared_spectrum(dipoles, **(good | {name: 0.0}))
