# SPDX-License-Identifier: MIT
"""Density and response functions from fluctuations, in the units of tables."""

from typing import NamedTuple

import mdtraj
import numpy as np
from scipy.constants import Boltzmann, elementary_charge, epsilon_0, gas_constant

from ..units import BAR_TO_PA, NM3_TO_M3, NM_TO_M
from .defaults import BLOCKS
from .dynamics.unwrap import unwrap_molecules
from .frames import cell_vectors
from .statistics import (
    ENOUGH,
    Estimate,
    independent_values,
    jackknife,
    series_covariance,
    series_mean,
    sum_blocks,
)


def density(trajectory):
    """Mass density of an equilibrated trajectory.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        At least 10 frames with a unit cell.

    Returns
    -------
    Estimate
        In kg/m³; the error is that of correlated frames, `series_mean`.
    """
    cell_vectors(trajectory)
    return series_mean(mdtraj.density(trajectory))


def compressibility(volumes, temperature):
    r"""Isothermal compressibility from the fluctuation of the volume under NPT.

    .. math:: \kappa_T = \frac{\langle \delta V^2 \rangle}{k_B T \langle V \rangle}

    Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. 2017, section 2.5.

    Parameters
    ----------
    volumes : (n,) array
        Volumes of the cell in nm³, equally spaced in time.
    temperature : float
        In K.

    Returns
    -------
    Estimate
        In 1/bar.
    """
    factor = NM3_TO_M3 * BAR_TO_PA / (Boltzmann * _above_zero(temperature))
    return _scaled(series_covariance(volumes), factor / np.mean(volumes))


def thermal_expansion(volumes, enthalpies, temperature):
    r"""Thermal expansion coefficient under NPT.

    .. math::
        \alpha_P = \frac{\langle \delta V \delta H \rangle}{k_B T^2 \langle V \rangle}

    Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. 2017, section 2.5.

    Parameters
    ----------
    volumes : (n,) array
        In nm³.
    enthalpies : (n,) array
        E + PV of the same frames in kJ/mol; 1 bar nm³ is 0.0602 kJ/mol.
    temperature : float
        In K.

    Returns
    -------
    Estimate
        In 1/K.
    """
    factor = 1e3 / (gas_constant * _above_zero(temperature) ** 2)
    return _scaled(series_covariance(volumes, enthalpies), factor / np.mean(volumes))


def heat_capacity(energies, temperature, *, mass=None):
    r"""Heat capacity from the fluctuation of the energy.

    .. math:: C = \frac{\langle \delta E^2 \rangle}{R T^2}

    of the total energy under NVT (C_V) or of the enthalpy under NPT (C_P). Nuclei are
    classical: in water this is far above experiment. Of a potential energy it lacks the
    kinetic R/2 per degree of freedom.

    Parameters
    ----------
    energies : (n,) array
        Of the whole system in kJ/mol, equally spaced in time.
    temperature : float
        In K.
    mass : float, optional
        Of the system in g/mol, to give the specific heat capacity.

    Returns
    -------
    Estimate
        In J/(mol K) of systems, or in J/(g K) with `mass`.
    """
    factor = 1e6 / (gas_constant * _above_zero(temperature) ** 2)
    return _scaled(
        series_covariance(energies), factor / (1.0 if mass is None else mass)
    )


def dielectric_constant(trajectory, charges, temperature, *, n_blocks=BLOCKS):
    r"""Static dielectric constant of neutral molecules with fixed charges.

    .. math::
        \varepsilon = 1 + \frac{\langle M^2 \rangle - \langle M \rangle^2}
        {3 \varepsilon_0 V k_B T}

    under conducting boundaries (Neumann, Mol. Phys. 50, 841, 1983,
    doi:10.1080/00268978300102721). Molecules are made whole along the topology's bonds.
    It means nothing where ions carry current, nor for a model without charges, unless
    those given are a fair picture of its molecules.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell and a topology with bonds.
    charges : (n_atoms,) array
        Charge numbers; the charge of every molecule must be zero.
    temperature : float
        In K.
    n_blocks : int, optional
        Blocks of frames that the error comes from, each many dipole relaxation times
        long.

    Returns
    -------
    Estimate
    """
    dipoles = dipole_moments(trajectory, charges)
    return dielectric_of(dipoles, temperature, n_blocks=n_blocks)


class Dipoles(NamedTuple):
    """Dipole moment of a cell over time.

    Attributes
    ----------
    values : (n_frames, 3) array
        In e nm.
    volume : float
        Mean volume of the cell in nm³.
    """

    values: np.ndarray
    volume: float


def dipole_moments(trajectory, charges):
    """Dipoles of neutral molecules; arguments as of `dielectric_constant`."""
    charges = np.asarray(charges, dtype=float)
    if charges.shape != (trajectory.n_atoms,):
        raise ValueError(
            f"expected {trajectory.n_atoms} charges, found shape {charges.shape}"
        )
    for molecule in trajectory.topology.find_molecules():
        total = charges[[atom.index for atom in molecule]].sum()
        if abs(total) > 1e-4:
            name = next(iter(molecule)).residue.name
            raise ValueError(
                f"expected neutral molecules, found {name} of {total:.4g} e"
            )
    moments = np.einsum("i,fix->fx", charges, unwrap_molecules(trajectory))
    volume = np.abs(np.linalg.det(cell_vectors(trajectory))).mean()
    return Dipoles(moments, float(volume))


def dielectric_of(dipoles, temperature, *, n_blocks=BLOCKS, electronic=1.0):
    """Dielectric constant of Dipoles, an Estimate, see `dielectric_constant`.

    Where the dipole holds fewer than 20 independent values, the error is that of one.

    Parameters
    ----------
    dipoles : Dipoles
    temperature : float
        In K.
    n_blocks : int, optional
    electronic : float, optional
        Dielectric constant of electrons by whose root the charges are screened; the
        whole is multiplied by it (Leontyev and Stuchebrukhov, Phys. Chem. Chem. Phys.
        13, 2613, 2011, doi:10.1039/c0cp01971b).
    """
    moments, volume = dipoles
    factor = _fluctuation_factor(volume, temperature)

    def estimate(sums, squares, n):
        return electronic * (1 + factor * (squares / n - np.sum((sums / n) ** 2)))

    sums = moments, np.sum(moments**2, axis=1), np.ones(len(moments))
    constant = jackknife(estimate, *(sum_blocks(values, n_blocks) for values in sums))
    if min(map(independent_values, moments.T)) < ENOUGH:
        wide = max(constant.error, abs(constant.value - electronic))
        constant = constant._replace(error=wide)
    return constant


def running_dielectric(dipoles, temperature, *, electronic=1.0, points=200):
    """Dielectric constant of the first frames of Dipoles, of more and more of them.

    Parameters
    ----------
    dipoles, temperature, electronic
        As of `dielectric_of`.
    points : int, optional

    Returns
    -------
    frames : (n,) array of int
        Numbers of frames.
    values : (n,) array
    """
    moments, volume = dipoles
    factor = _fluctuation_factor(volume, temperature)
    frames = np.unique(np.linspace(1, len(moments), points).astype(int))
    n = frames[:, None]
    means = np.cumsum(moments, axis=0)[frames - 1] / n
    squares = np.cumsum(moments**2, axis=0)[frames - 1] / n
    return frames, electronic * (1 + factor * np.sum(squares - means**2, axis=1))


def _fluctuation_factor(volume, temperature):
    """ε - 1 over the variance of the dipole moment of a cell in e² nm²."""
    factor = (elementary_charge * NM_TO_M) ** 2 / (volume * NM3_TO_M3)
    return factor / (3 * epsilon_0 * Boltzmann * _above_zero(temperature))


def _above_zero(temperature):
    """Return the temperature in K, which must be above 0."""
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0 K, found {temperature:.6g} K")
    return temperature


def _scaled(estimate, factor):
    """Multiply an Estimate."""
    return Estimate(estimate.value * factor, estimate.error * abs(factor))
