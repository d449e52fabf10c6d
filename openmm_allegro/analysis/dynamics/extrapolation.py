# SPDX-License-Identifier: MIT
"""Corrections of coefficients for the box, and lines through temperatures."""

from typing import NamedTuple

import numpy as np
from scipy.constants import Boltzmann
from scipy.special import chdtrc

from ...units import GAS_CONSTANT, M2_TO_CM2, MPA_S_TO_PA_S, NM_TO_M
from ..statistics import Estimate

# Sum over the images of a cubic lattice, doi:10.1021/jp0477147.
_XI = 2.837297


class Arrhenius(NamedTuple):
    """Line ln x = ln x0 - E / RT, through values at several temperatures.

    Attributes
    ----------
    activation_energy : Estimate
        E in kJ/mol.
    log_prefactor : Estimate
        ln x0, x0 in the unit of the values.
    covariance : (2, 2) array
        Of ln x0 and E, times `scale` squared.
    chi_squared : float
        Sum of squared residuals over errors; about the `degrees_of_freedom` where the
        line and the errors are right.
    degrees_of_freedom : int
        Number of temperatures less two; 0 where nothing tests the line.
    p_value : float
        Probability of a `chi_squared` as large where line and errors are right; 1
        without degrees of freedom.
    scale : float
        Factor of all errors: √(chi_squared / degrees_of_freedom), 1 at least, so that
        a line that misses its points does not seem certain.
    """

    activation_energy: Estimate
    log_prefactor: Estimate
    covariance: np.ndarray
    chi_squared: float
    degrees_of_freedom: int = 0
    p_value: float = 1.0
    scale: float = 1.0

    def at(self, temperature):
        """Estimate of x at a temperature in K."""
        gradient = np.array([1.0, -1 / _rt(temperature)])
        log = self.log_prefactor.value + gradient[1] * self.activation_energy.value
        value = np.exp(log)
        return Estimate(value, value * np.sqrt(gradient @ self.covariance @ gradient))


def yeh_hummer_correction(box_length, temperature, viscosity):
    r"""Increase of a diffusion coefficient from a cubic box to an infinite system.

    .. math:: D_\infty - D_L = \frac{2.837297\, k_B T}{6 \pi \eta L}

    Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004, doi:10.1021/jp0477147.

    Parameters
    ----------
    box_length : float
        L in nm.
    temperature : float
        In K.
    viscosity : float
        Shear viscosity of the liquid in mPa s: of the model where it is known.

    Returns
    -------
    float
        In cm²/s.
    """
    for name, value in (
        ("box length", box_length),
        ("temperature", temperature),
        ("viscosity", viscosity),
    ):
        if not value > 0:
            raise ValueError(f"expected a {name} above 0, found {value:.6g}")
    energy = Boltzmann * temperature
    drag = 6 * np.pi * viscosity * MPA_S_TO_PA_S * box_length * NM_TO_M
    return _XI * energy / drag * M2_TO_CM2


def arrhenius(temperatures, values, errors):
    r"""Activation energy of diffusion coefficients, conductivities or rates.

    .. math:: \ln x = \ln x_0 - E / RT

    by least squares, weighted by the relative errors of the values. Where the line
    misses the values by more than their errors, these are scaled by the residuals
    (Birge, Phys. Rev. 40, 207, 1932, doi:10.1103/PhysRev.40.207).

    Parameters
    ----------
    temperatures : (n,) array
        In K, at least two different ones.
    values, errors : (n,) arrays
        Positive, in any unit.

    Returns
    -------
    Arrhenius
    """
    temperatures, values, errors = _checked(temperatures, values, errors)
    if not np.all(values > 0):
        raise ValueError(f"expected values above 0, found {values.min():.6g}")
    parameters, covariance, chi_squared = _line(
        -1 / _rt(temperatures), np.log(values), errors / values
    )
    freedom = len(values) - 2
    scale = np.sqrt(max(1.0, chi_squared / freedom)) if freedom else 1.0
    covariance = covariance * scale**2
    deviations = np.sqrt(np.diag(covariance))
    return Arrhenius(
        activation_energy=Estimate(float(parameters[1]), float(deviations[1])),
        log_prefactor=Estimate(float(parameters[0]), float(deviations[0])),
        covariance=covariance,
        chi_squared=chi_squared,
        degrees_of_freedom=freedom,
        p_value=float(chdtrc(freedom, chi_squared)) if freedom else 1.0,
        scale=float(scale),
    )


def _rt(temperature):
    """RT in kJ/mol."""
    return GAS_CONSTANT * np.asarray(temperature, dtype=float)


def _checked(temperatures, values, errors):
    """Float arrays of one length; ValueError unless a line can be laid through them."""
    arrays = [np.asarray(x, dtype=float) for x in (temperatures, values, errors)]
    if arrays[0].ndim != 1 or len({x.shape for x in arrays}) != 1:
        raise ValueError(
            "expected as many temperatures as values and errors, found shapes "
            + ", ".join(str(x.shape) for x in arrays)
        )
    if not np.all(arrays[0] > 0) or len(np.unique(arrays[0])) < 2:
        raise ValueError(
            f"expected at least two different temperatures above 0, found {arrays[0]}"
        )
    if not np.all(arrays[2] > 0):
        raise ValueError(f"expected errors above 0, found {arrays[2].min():.6g}")
    return arrays


def _line(x, y, errors):
    """Intercept and slope (2,), their covariance (2, 2) and chi squared."""
    design = np.stack([np.ones(len(x)), x], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    parameters = covariance @ design.T @ (y / errors)
    residuals = y / errors - design @ parameters
    return parameters, covariance, float(residuals @ residuals)
