# SPDX-License-Identifier: MIT
"""Section of the page: what velocities tell."""

import numpy as np
from mdtraj.formats import HDF5TrajectoryFile

from ..analysis import (
    density_of_states,
    green_kubo_conductivity,
    green_kubo_diffusion,
    plot_density_of_states,
    plot_green_kubo,
    plot_vacf,
    read_velocities,
    velocity_autocorrelation,
)
from .html import (
    attempt,
    figure,
    join,
    measured,
    note,
    paragraph,
    section,
    side_by_side,
    table,
)
from .production import temperature_of

# Velocities that are read: 2.4 GB in float64, with the positions beside them.
_VALUES = 300_000_000
_CURVES = 6
# Blocks of the spectrum, and its end in 1/cm: above bonds of hydrogen.
_BLOCKS = 5
_HIGHEST = 4500.0
# Longest lag in ps: the cage and the vibrations, and little noise.
_LAG = 2.0


def vibrations(run, production):
    """Velocity autocorrelation, spectrum and Green-Kubo integrals of a run.

    Parameters
    ----------
    run : Run or None
        One with velocities, if there is.
    production : Production
        Of a run with the same atoms.
    """
    title = "Vibrations"
    if run is None:
        return section(
            title,
            note(
                "Not computed: no run has velocities, in an HDF5 file that was written "
                "with velocities."
            ),
        )
    try:
        velocities = _read(run, production.trajectory.n_atoms)
    except ValueError as error:
        return section(title, note(f"Not computed: {error}."))
    heat = None
    if run.ensemble != "nve":
        heat = note("The run has a thermostat, which changes how velocities decay.")
    return section(
        title,
        paragraph(
            f"From the velocities of {run.name}, {len(velocities.values):,} frames "
            f"every {1e3 * velocities.time_step:.3g} fs, relative to the centre of "
            "mass."
        ),
        heat,
        side_by_side(
            attempt("Density of states", _spectrum, velocities, production),
            attempt("Velocity autocorrelation", _decay, velocities, production),
            attempt("Green–Kubo", _integrals, velocities, production, run),
        ),
    )


def _read(run, n_atoms):
    path = run.path(".h5")
    try:  # a run that goes on holds a lock
        with HDF5TrajectoryFile(str(path)) as file:
            found, size = file.topology.n_atoms, 3 * len(file) * file.topology.n_atoms
    except (AttributeError, LookupError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"expected an HDF5 file of mdtraj's, found {reason}"
        ) from error
    if found != n_atoms:
        raise ValueError(f"expected {n_atoms} atoms in {path}, found {found}")
    if size > _VALUES:
        raise ValueError(
            f"expected at most {_VALUES:,} velocities, found {size:,} in {path}"
        )
    return read_velocities(path)


def _spectrum(velocities, production):
    n_frames, dt = len(velocities.values), velocities.time_step
    # Each block is a window long at least; no finer than 1 THz.
    resolution = max(1.0, 1.5 * _BLOCKS * 1.01 / (n_frames * dt))
    if not 1.5 / (8 * dt) > resolution:
        raise ValueError(
            f"expected a few hundred frames with velocities, found {n_frames} every "
            f"{dt:.3g} ps"
        )
    symbols = np.array([a.element.symbol for a in production.trajectory.topology.atoms])
    found = {}
    for element in sorted(set(symbols[velocities.masses > 0]))[:_CURVES]:
        atoms = np.flatnonzero(symbols == element)
        found[element] = density_of_states(
            velocities.values[:, atoms],
            velocities.masses[atoms],
            dt,
            resolution=resolution,
            n_blocks=_BLOCKS,
        )
    highest = 1e3 / (2 * dt) / 29.9792458
    remark = None
    if highest < _HIGHEST:
        remark = note(
            f"Frames every {1e3 * dt:.3g} fs show vibrations up to {highest:.0f} cm⁻¹: "
            "faster ones appear at wrong places."
        )
    return join(
        figure(
            lambda path: plot_density_of_states(
                found, path, max_wavenumber=min(highest, _HIGHEST)
            ),
            production.folder,
            f"Vibrational density of states of {', '.join(found)}",
            f"Resolution {resolution:.2g} THz, {33.356 * resolution:.0f} cm⁻¹.",
        ),
        remark,
    )


def _decay(velocities, production):
    found = {
        kind.label: velocity_autocorrelation(
            velocities.values[:, kind.centers],
            velocities.time_step,
            max_lag=_lag(velocities),
        )
        for kind in production.kinds[:_CURVES]
    }
    return figure(
        lambda path: plot_vacf(found, path),
        production.folder,
        f"Velocity autocorrelation of {', '.join(found)}",
        "Over its value at 0; the band is the error.",
    )


def _integrals(velocities, production, run):
    found = {
        kind.label: green_kubo_diffusion(
            velocities.values[:, kind.centers],
            velocities.time_step,
            max_lag=_lag(velocities),
        )
        for kind in production.kinds[:_CURVES]
    }
    rows = [
        (
            f"D of {label}",
            measured(*x.coefficient, 1e5),
            "10⁻⁵ cm²/s",
            f"{x.cutoff:.3g}",
        )
        for label, x in found.items()
    ]
    temperature = temperature_of(run)
    if production.charges and temperature > 0 and np.isfinite(velocities.volume):
        atoms = np.zeros(velocities.values.shape[1])
        for kind in production.kinds:
            atoms[kind.centers] = production.charges.get(kind.name, 0)
        whole = green_kubo_conductivity(
            velocities.values,
            atoms,
            temperature,
            velocities.volume,
            velocities.time_step,
            max_lag=_lag(velocities),
        )
        cut = f"{whole.cutoff:.3g}"
        rows.append(("conductivity", measured(*whole.coefficient), "S/m", cut))
    return join(
        figure(
            lambda path: plot_green_kubo(
                found, path, ylabel="$D(t)$ (10$^{-5}$ cm²/s)", scale=1e5
            ),
            production.folder,
            "Running integrals of the velocity autocorrelation",
            "The integrals are read at the points, where what follows is noise.",
        ),
        table(("quantity", "value", "unit", "integrated to (ps)"), rows),
        paragraph(
            "A check of the Einstein values: a tail of long times is cut off here."
        ),
    )


def _lag(velocities):
    """Longest lag in ps: less than each of ten blocks."""
    block = len(velocities.values) // 10
    if block < 3:
        raise ValueError(
            f"expected at least 30 frames with velocities, found "
            f"{len(velocities.values)}"
        )
    return min(_LAG, (block - 1) * velocities.time_step)
