# SPDX-License-Identifier: MIT
"""Infrared spectrum from the dipole moment of a cell, and from the current in it."""

from typing import NamedTuple

import numpy as np
from scipy.constants import Boltzmann, elementary_charge, epsilon_0, speed_of_light

from ...units import NM2_PER_PS_TO_M2_PER_S, NM3_TO_M3, THZ_TO_WAVENUMBER
from ..defaults import LONG_BLOCKS
from ..statistics import block_mean
from .spectra import window_length, windowed_waves

_PER_M_TO_PER_CM = 1e-2


class Infrared(NamedTuple):
    """Infrared spectrum.

    Attributes
    ----------
    frequency : (n,) array
        In THz.
    wavenumber : (n,) array
        The same in 1/cm.
    absorption, error : (n,) arrays
        Absorption coefficient times refractive index in 1/cm. At frequency 0 it is
        σ / (ε0 c) of a static conductivity σ.
    loss, loss_error : (n,) arrays
        Imaginary part of the dielectric function, NaN at frequency 0.
    """

    frequency: np.ndarray
    wavenumber: np.ndarray
    absorption: np.ndarray
    error: np.ndarray
    loss: np.ndarray
    loss_error: np.ndarray


def infrared_spectrum(
    dipoles,
    time_step,
    volume,
    temperature,
    *,
    currents=None,
    electronic=1.0,
    resolution=1.0,
    n_blocks=LONG_BLOCKS,
):
    r"""Infrared spectrum from the autocorrelation of the dipole's time derivative.

    .. math::
        n(\omega) \alpha(\omega) = \frac{1}{6 \varepsilon_0 c V k_B T}
        \int_{-\infty}^\infty \langle \dot M(0) \cdot \dot M(t) \rangle
        e^{-i \omega t} dt, \qquad \dot M = \dot D + J

    (McQuarrie, Statistical Mechanics, 1976, section 21-1), D the dipoles of molecules
    about their own centres and J the current of molecules that have a charge. The
    correlation function is the classical one. That is the same as to correct it by the
    harmonic quantum factor, ħω / k_B T / (1 - exp(-ħω / k_B T)), in the quantum formula
    (Ramírez, López-Ciudad, Kumar and Marx, J. Chem. Phys. 121, 3973, 2004,
    doi:10.1063/1.1774986).

    The spectrum is Welch's, of Hann windows that overlap by half, of differences of D
    from frame to frame, which are corrected to derivatives at each frequency.

    Parameters
    ----------
    dipoles : (n_frames, 3) array
        D in e nm.
    time_step : float
        Time between frames in ps; the highest frequency is 1 / (2 time_step), and what
        is faster appears at wrong places.
    volume : float
        Of the cell in nm³.
    temperature : float
        In K.
    currents : (n_frames, 3) array, optional
        J of the same frames in e nm/ps. Default: 0.
    electronic : float, optional
        Dielectric constant of electrons by whose root the charges are screened.
    resolution : float, optional
        Width of a line in THz (1 THz is 33.4 1/cm). Halving it doubles the error.
    n_blocks : int, optional
        Blocks of frames that the error comes from, each longer than a window.

    Returns
    -------
    Infrared
    """
    dipoles = _checked(dipoles, "dipoles")
    currents = np.zeros_like(dipoles) if currents is None else np.asarray(currents)
    currents = _checked(currents, "currents")
    if currents.shape != dipoles.shape:
        raise ValueError(
            f"expected dipoles and currents of the same frames, found {len(dipoles)} "
            f"and {len(currents)}"
        )
    for name, value in (
        *(("temperature", temperature), ("volume", volume)),
        *(("electronic", electronic), ("time_step", time_step)),
    ):
        if not 0 < value < np.inf:
            raise ValueError(f"expected {name} above 0, found {value:.6g}")
    moved = np.diff(dipoles, axis=0) / time_step
    length = window_length(len(moved), time_step, resolution, n_blocks)
    frequency = np.fft.rfftfreq(length, time_step)
    half = np.pi * frequency * time_step
    # A difference is 2i sin(ωΔt/2)/Δt of what its middle has, which is half a frame
    # later: iω is wanted.
    derivative = (np.exp(-1j * half) / np.sinc(half / np.pi))[:, None]
    blocks = []
    for changes, flows in zip(
        np.array_split(moved, n_blocks),
        np.array_split(currents[:-1], n_blocks),
        strict=True,
    ):
        waves = derivative * windowed_waves(changes, length)
        waves += windowed_waves(flows, length)
        blocks.append(np.sum(np.abs(waves) ** 2, axis=-1).mean(axis=0) * time_step)
    unit = electronic * elementary_charge**2 * NM2_PER_PS_TO_M2_PER_S
    unit /= 6 * epsilon_0 * Boltzmann * temperature * volume * NM3_TO_M3
    # ε'' = n α c / ω, so far in Hz.
    loss, loss_error = block_mean(unit * np.array(blocks))
    with np.errstate(divide="ignore", invalid="ignore"):
        per_omega = 1 / (2e12 * np.pi * frequency)
    per_omega[0] = np.nan
    to_absorption = _PER_M_TO_PER_CM / speed_of_light
    return Infrared(
        frequency,
        frequency * THZ_TO_WAVENUMBER,
        loss * to_absorption,
        loss_error * to_absorption,
        loss * per_omega,
        loss_error * per_omega,
    )


def _checked(values, name):
    """Finite float array (n_frames, 3)."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(
            f"expected {name} of shape (n_frames, 3), found {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite {name}, found NaN or infinity")
    return values
