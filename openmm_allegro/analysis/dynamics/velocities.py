# SPDX-License-Identifier: MIT
"""Velocities: autocorrelation, vibrational density of states, Green-Kubo diffusion."""

from typing import NamedTuple

import numpy as np
from scipy.signal import welch

from ...units import GAS_CONSTANT, NM2_PER_PS_TO_CM2_PER_S, THZ_TO_WAVENUMBER
from ...utils.hdf5 import open_hdf5
from ..defaults import BLOCKS, LONG_BLOCKS
from ..frames import frame_interval, select_atoms, vectors_of_atoms
from ..frames import masses as element_masses
from ..statistics import Estimate, block_mean, slow_mean
from .correlation import block_correlations, correlation, green_kubo
from .spectra import window_length

# Atoms whose spectra are held at a time.
_ATOMS = 50
# Velocities that are read at a time, 24 MB as stored.
_ATOMS_READ = 2_000_000


class Velocities(NamedTuple):
    """Velocities of some atoms.

    Attributes
    ----------
    values : (n_frames, n_atoms, 3) array
        Velocities in nm/ps.
    masses : (n_atoms,) array
        In g/mol.
    atoms : (n_atoms,) array of int
        Indices of the atoms in the trajectory.
    time_step : float
        Time between frames in ps.
    volume : float
        Mean volume of the cell in nm³; NaN without a cell.
    kinetic : (n_frames,) array or None
        Kinetic energy of all atoms in kJ/mol, in the same frame of reference.
    all_masses : (n_all_atoms,) array or None
        Of all atoms in g/mol.
    """

    values: np.ndarray
    masses: np.ndarray
    atoms: np.ndarray
    time_step: float
    volume: float
    kinetic: np.ndarray | None = None
    all_masses: np.ndarray | None = None


class Spectrum(NamedTuple):
    """Vibrational density of states.

    Attributes
    ----------
    frequency : (n,) array
        In THz.
    wavenumber : (n,) array
        The same in 1/cm.
    density, error : (n,) arrays
        States per atom and THz; the integral over all frequencies, by trapezoids, is
        3. At frequency 0 it is 12 m D / k_B T for a fluid of one kind of atom.
    """

    frequency: np.ndarray
    wavenumber: np.ndarray
    density: np.ndarray
    error: np.ndarray


def read_velocities(
    path, selection="all", *, reference="all", time_step=None, masses=None
):
    """Read the velocities of an HDF5 trajectory of mdtraj's, which mdtraj.load drops.

    Parameters
    ----------
    path : str or Path
        File that ``mdtraj.reporters.HDF5Reporter(..., velocities=True)`` wrote.
    selection : str or (n,) array of int
        Atoms whose velocities are kept.
    reference : str, (n,) array of int or None
        Atoms whose centre of mass is at rest; None for velocities as they are.
    time_step : float, optional
        Time between frames in ps. Default: from the file.
    masses : (n_atoms,) array, optional
        Masses of all atoms in g/mol. Default: those in the file, which a run writes
        there, or of the elements.

    Returns
    -------
    Velocities
    """
    values, times, volumes, kinetic = [], [], [], []
    with open_hdf5(path) as file:
        holder = _Holder(file.topology)
        atoms = select_atoms(holder, selection)
        masses = _masses(file, holder) if masses is None else np.asarray(masses, float)
        if masses.shape != (holder.n_atoms,):
            raise ValueError(
                f"expected {holder.n_atoms} masses for {path}, found shape "
                f"{masses.shape}"
            )
        if reference is not None:
            rest = select_atoms(holder, reference)
            weights = masses[rest] / masses[rest].sum()
        # Piece by piece: the file holds positions too, and atoms not asked for.
        for frames in _pieces(file, holder.n_atoms):
            if frames.velocities is None:
                raise ValueError(f"expected velocities in {path}, found none")
            some = np.asarray(frames.velocities[:, atoms], dtype=float)
            squares = np.einsum("fix,fix,i->f", *[frames.velocities] * 2, masses)
            if reference is not None:
                at_rest = frames.velocities[:, rest]
                moving = np.einsum("i,fix->fx", weights, at_rest)
                some -= moving[:, None]
                momentum = np.einsum("i,fix->fx", masses, frames.velocities)
                squares += masses.sum() * np.sum(moving**2, axis=1)
                squares -= 2 * np.sum(moving * momentum, axis=1)
            kinetic.append(0.5 * squares)  # g/mol nm²/ps² are kJ/mol
            values.append(some)
            times.append(frames.time)
            volumes.append(_volumes(frames))
    values, times, volumes, kinetic = map(
        np.concatenate, (values, times, volumes, kinetic)
    )
    return Velocities(
        values,
        masses[atoms],
        atoms,
        frame_interval(times, time_step),
        float(volumes.mean()),
        kinetic,
        masses,
    )


def kinetic_temperatures(velocities, *, drift=False, constraints=0):
    r"""Kinetic temperature of some atoms in each frame, and of all atoms.

    .. math:: T = \frac{\sum_i m_i v_i^2}{R f}, \quad
        f = 3 \sum_i \left( 1 - \frac{m_i}{M} \right)

    with M the mass of all atoms: of N of them f is 3 N - 3, as the motion of their
    centre is none of theirs.

    Parameters
    ----------
    velocities : Velocities
        As `read_velocities` gives them; of some atoms without constraints.
    drift : bool, optional
        Whether the velocity of the centre of mass is among them.
    constraints : int, optional
        Number of constraints of all atoms.

    Returns
    -------
    some, whole : (n_frames,) arrays
        In K.

    Raises
    ------
    ValueError
        If no atom with mass is free to move.
    """
    masses, total = velocities.masses, velocities.all_masses.sum()
    lost = 0.0 if drift else 1.0
    freedom = 3 * (np.count_nonzero(masses) - lost * masses.sum() / total)
    of_all = 3 * (np.count_nonzero(velocities.all_masses) - lost) - constraints
    if not (freedom > 1e-6 and of_all > 0):
        raise ValueError("expected atoms with mass that move, found none")
    squares = np.einsum("fix,fix,i->f", *[velocities.values] * 2, masses)
    some, whole = squares / freedom, 2 * velocities.kinetic / of_all
    return some / GAS_CONSTANT, whole / GAS_CONSTANT


def velocity_autocorrelation(velocities, time_step, *, max_lag=None, n_blocks=BLOCKS):
    r"""Velocity autocorrelation function, averaged over atoms and time origins.

    .. math:: C(t) = \langle v_i(0) \cdot v_i(t) \rangle_i

    Parameters
    ----------
    velocities : (n_frames, n_atoms, 3) array
        In nm/ps.
    time_step : float
        Time between frames in ps.
    max_lag : float, optional
        Longest lag time in ps. Default: a twentieth of the trajectory.
    n_blocks : int, optional
        Blocks of time origins that the error comes from.

    Returns
    -------
    Correlation
        In nm²/ps². Errors hold that mean kinetic energies, whose blocks may be as
        correlated as they are, fluctuate slowly.
    """
    sums = _sums(velocities, time_step, max_lag, n_blocks)
    function = correlation(*sums, time_step)
    slow = _slow_error(velocities, function) * np.abs(function.values)
    return function._replace(error=np.hypot(function.error, slow))


def green_kubo_diffusion(
    velocities, time_step, *, max_lag=None, cutoff=None, n_blocks=BLOCKS
):
    r"""Self-diffusion coefficient from the velocity autocorrelation function.

    .. math:: D(t) = \frac{1}{3} \int_0^t \langle v(0) \cdot v(s) \rangle ds

    Kubo, J. Phys. Soc. Jpn. 12, 570, 1957, doi:10.1143/JPSJ.12.570. The integral is by
    trapezoids: frames must be close enough in time to draw C(t).

    Parameters
    ----------
    velocities, time_step, max_lag, n_blocks
        As in `velocity_autocorrelation`.
    cutoff : float, optional
        Time in ps to which is integrated. Default: where C(t) has become noise, see
        `correlation.noise_start`.

    Returns
    -------
    GreenKubo
        In cm²/s.
    """
    sums = _sums(velocities, time_step, max_lag, n_blocks)
    factor = NM2_PER_PS_TO_CM2_PER_S / 3
    result = green_kubo(*sums, time_step, factor=factor, cutoff=cutoff)
    first = correlation(*(x[:, :1] for x in sums), time_step)  # its C(0) counts
    slow = _slow_error(velocities, first)
    value, error = result.coefficient
    return result._replace(
        coefficient=Estimate(value, float(np.hypot(error, slow * value))),
        running_error=np.hypot(result.running_error, slow * np.abs(result.running)),
    )


def density_of_states(
    velocities, masses, time_step, *, resolution=1.0, n_blocks=LONG_BLOCKS
):
    r"""Vibrational density of states, the spectrum of the mass-weighted velocities.

    .. math::
        D(\nu) = \frac{2}{N k_B T} \sum_i m_i
        \int \langle v_i(0) \cdot v_i(t) \rangle e^{-2\pi i \nu t} dt

    (Lin, Blanco and Goddard, J. Chem. Phys. 119, 11792, 2003, doi:10.1063/1.1624057)
    by Welch's method, with k_B T from the velocities themselves.

    Parameters
    ----------
    velocities : (n_frames, n_atoms, 3) array
        In nm/ps.
    masses : (n_atoms,) array
        In any unit.
    time_step : float
        Time between frames in ps; the highest frequency is 1 / (2 time_step).
    resolution : float, optional
        Width of a line in THz (1 THz is 33.4 1/cm). Halving it doubles the error.
    n_blocks : int, optional
        Blocks of frames that the error comes from, each at least 2 / `resolution` long.

    Returns
    -------
    Spectrum
    """
    velocities = vectors_of_atoms(velocities, "velocities")
    n_frames, n_atoms, _ = velocities.shape
    masses = np.asarray(masses, dtype=float)
    if masses.shape != (n_atoms,):
        raise ValueError(f"expected {n_atoms} masses, found shape {masses.shape}")
    length = window_length(n_frames, time_step, resolution, n_blocks)
    blocks, kinetic = [], []
    for block in np.array_split(velocities, n_blocks):
        power = 0.0
        for first in range(0, n_atoms, _ATOMS):
            paths = block[:, first : first + _ATOMS].transpose(1, 2, 0)
            # Not detrended: what diffuses has states at zero frequency.
            frequency, density = welch(
                paths, 1 / time_step, nperseg=length, detrend=False
            )
            # welch adds those of negative frequencies, which the ends share: there
            # they are the halves of a trapezoid.
            density[..., 0] *= 2
            if length % 2 == 0:
                density[..., -1] *= 2
            power = power + np.einsum(
                "i,ixf->f", masses[first : first + _ATOMS], density
            )
        blocks.append(power)
        kinetic.append(np.einsum("i,fix->", masses, block**2) / len(block))
    if not np.mean(kinetic) > 0:
        raise ValueError("expected atoms with mass that move, found no kinetic energy")
    density, error = block_mean(np.array(blocks) * 3 / np.mean(kinetic))
    wavenumber = frequency * THZ_TO_WAVENUMBER
    return Spectrum(frequency, wavenumber, density, error)


class _Holder(NamedTuple):
    """A topology where functions expect a trajectory."""

    topology: object

    @property
    def n_atoms(self):
        return self.topology.n_atoms


def _masses(file, holder):
    """Masses (n_atoms,) in g/mol that a file holds, or those of its elements."""
    if "masses" in file.root:
        return np.asarray(file.root.masses[:], dtype=float)
    return element_masses(holder)


def _pieces(file, n_atoms):
    """Yield the frames of an HDF5 file, a number of them at a time."""
    size, n_frames = max(1, _ATOMS_READ // n_atoms), len(file)
    if n_frames == 0:
        raise ValueError("expected at least one frame, found none")
    for _ in range(0, n_frames, size):
        yield file.read(n_frames=size)


def _volumes(frames):
    """Volume of the cell in each frame in nm³, NaN without a cell."""
    if frames.cell_lengths is None:
        return np.full(len(frames.time), np.nan)
    cosines = np.cos(np.radians(np.asarray(frames.cell_angles, dtype=float)))
    lengths = np.prod(np.asarray(frames.cell_lengths, dtype=float), axis=1)
    skew = 1 - np.sum(cosines**2, axis=1) + 2 * np.prod(cosines, axis=1)
    return lengths * np.sqrt(skew)


def _slow_error(velocities, function):
    """Relative error of all of a function that blocks miss: of mean kinetic energies.

    Atoms share their kinetic energy with others slowly: the error of C(0) is that of
    its time series, and what blocks of it lack scales the whole function.
    """
    velocities = vectors_of_atoms(velocities, "velocities")
    series = np.einsum("fix,fix->f", velocities, velocities) / velocities.shape[1]
    of_blocks = float(function.error[0])
    missing = max(0.0, slow_mean(series, of_blocks).error ** 2 - of_blocks**2)
    return np.sqrt(missing) / max(float(function.values[0]), 1e-300)


def _sums(velocities, time_step, max_lag, n_blocks):
    """Block sums of the VACF and their numbers of terms, atom by atom."""
    velocities = vectors_of_atoms(velocities, "velocities")
    total = 0.0
    for first in range(0, velocities.shape[1], _ATOMS):
        some = velocities[:, first : first + _ATOMS]
        sums, counts = block_correlations(some, some, time_step, max_lag, n_blocks)
        total = total + sums
    return total, counts * velocities.shape[1]
