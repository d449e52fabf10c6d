# SPDX-License-Identifier: MIT
"""Figures of motion: correlation functions, spectra, van Hove, Arrhenius, traces."""

from pathlib import Path

import numpy as np

from .figure import COLORS, band, colored, new_figure, with_error


def plot_vacf(results, path, *, title=None):
    """Plot velocity autocorrelation functions, each over its value at 0.

    Parameters
    ----------
    results : dict of str to Correlation
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    title : str, optional

    Returns
    -------
    Path
        The file written.
    """
    with new_figure(path, title) as axes:
        axes.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        for label, (times, values, error), color in colored(results):
            band(axes, times, values / values[0], error / values[0], color, label=label)
        axes.set(xlabel="Time (ps)", ylabel="$C(t)/C(0)$", xlim=(0, None))
        axes.legend()
    return Path(path)


def plot_density_of_states(results, path, *, max_wavenumber=None, title=None):
    """Plot vibrational densities of states.

    Parameters
    ----------
    results : dict of str to Spectrum
    path : str or Path
        File to write.
    max_wavenumber : float, optional
        Right end in 1/cm. Default: where all but 0.1 % of the states lie to the left.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        end = 0.0
        for label, found, color in colored(results):
            # States per THz, drawn over wavenumbers: 1 THz is 33.4 1/cm.
            band(axes, found.wavenumber, found.density, found.error, color, label=label)
            share = np.cumsum(found.density) / found.density.sum()
            end = max(end, 1.05 * found.wavenumber[np.searchsorted(share, 0.999)])
        axes.set(xlabel="Wavenumber (cm$^{-1}$)", ylabel="States per atom and THz")
        axes.set(xlim=(0, max_wavenumber or end), ylim=(0, None))
        axes.legend()
    return Path(path)


def plot_green_kubo(results, path, *, ylabel, scale=1.0, title=None):
    """Plot running Green-Kubo integrals and where they are read.

    Parameters
    ----------
    results : dict of str to GreenKubo
    path : str or Path
        File to write.
    ylabel : str
        As ``"$D(t)$ (10$^{-5}$ cm²/s)"``.
    scale : float, optional
        What the integrals are multiplied by, as 1e5.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        for label, found, color in colored(results):
            value, error = (scale * x for x in found.coefficient)
            band(
                axes,
                found.lag_times,
                scale * found.running,
                scale * found.running_error,
                color,
                label=f"{label}: {with_error(value, error)}",
            )
            axes.errorbar(
                found.cutoff,
                value,
                error,
                color=color,
                marker="o",
                markersize=3,
                capsize=2,
                linewidth=0.9,
            )
        axes.set(xlabel="Upper limit (ps)", ylabel=ylabel, xlim=(0, None))
        axes.legend()
    return Path(path)


def plot_van_hove(found, path, *, distinct=False, title=None):
    """Plot a van Hove function at its lag times.

    Parameters
    ----------
    found : VanHove
    path : str or Path
        File to write.
    distinct : bool, optional
        Whether it is the distinct part.
    title : str, optional

    Returns
    -------
    Path
    """
    curves = {
        f"{time:.3g} ps": (value, error)
        for time, value, error in zip(
            found.lag_times, found.values, found.error, strict=True
        )
    }
    with new_figure(path, title) as axes:
        if distinct:
            axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
        for label, (value, error), color in colored(curves):
            band(axes, found.r, value, error, color, label=label)
        name = r"$G_d(r, t)/\rho$" if distinct else r"$4\pi r^2 G_s(r, t)$ (nm$^{-1}$)"
        axes.set(xlabel="$r$ (nm)", ylabel=name, xlim=(0, None), ylim=(0, None))
        axes.legend()
    return Path(path)


def plot_non_gaussian(results, path, *, title=None):
    """Plot non-Gaussian parameters over the logarithm of time.

    Parameters
    ----------
    results : dict of str to Correlation
    path : str or Path
        File to write.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        axes.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        for label, (times, values, error), color in colored(results):
            band(axes, times, values, error, color, label=label)
        axes.set(xlabel="Time (ps)", ylabel=r"$\alpha_2(t)$", xscale="log")
        axes.legend()
    return Path(path)


def plot_arrhenius(results, path, *, ylabel, title=None):
    """Plot values over inverse temperature with their Arrhenius lines.

    Parameters
    ----------
    results : dict of str to (temperatures, values, errors, Arrhenius)
        What `arrhenius` was given, and what it returned.
    path : str or Path
        File to write.
    ylabel : str
        As ``"$D$ (cm²/s)"``.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        for label, (temperatures, values, errors, line), color in colored(results):
            energy = with_error(*line.activation_energy)
            axes.errorbar(
                1000 / np.asarray(temperatures),
                values,
                errors,
                fmt="o",
                color=color,
                markersize=3,
                capsize=2,
                linewidth=0.9,
                label=f"{label}: {energy} kJ/mol",
            )
            inverse = np.linspace(
                1 / np.max(temperatures), 1 / np.min(temperatures), 50
            )
            drawn = np.array([line.at(1 / x) for x in inverse])
            band(axes, 1000 * inverse, *drawn.T, color, linewidth=0.9)
        axes.set(xlabel="1000 K / $T$", ylabel=ylabel, yscale="log")
        axes.legend()
    return Path(path)


def plot_series(time, values, path, *, ylabel, mean=None, drift=None, title=None):
    """Plot a trace, as energy, density or volume, with its mean or its drift.

    Parameters
    ----------
    time, values : (n,) arrays
        Times in ps, ascending, and values.
    path : str or Path
        File to write.
    ylabel : str
        Quantity and unit.
    mean, drift : Estimate, optional
        From `density` or `series_mean`, and from `drift`.
    title : str, optional

    Returns
    -------
    Path
    """
    time, values = np.asarray(time, dtype=float), np.asarray(values, dtype=float)
    if time.ndim != 1 or time.shape != values.shape or len(time) < 2:
        raise ValueError(
            "expected time and values of one length, at least 2, found shapes "
            f"{time.shape} and {values.shape}"
        )
    with new_figure(path, title) as axes:
        axes.plot(
            time, values, color=COLORS[5], linewidth=0.5, rasterized=len(time) > 5000
        )
        if mean is not None:
            level = np.full(2, mean.value)
            label = f"mean {with_error(*mean)}"
            band(axes, time[[0, -1]], level, mean.error, COLORS[0], label=label)
        if drift is not None:
            line = values.mean() + drift.value * (time - time.mean())
            label = f"drift {drift.value:.2g} ± {drift.error:.1g} per ps"
            axes.plot(time, line, "--", color="black", linewidth=0.9, label=label)
        axes.set(xlabel="Time (ps)", ylabel=ylabel, xlim=(time[0], time[-1]))
        if mean is not None or drift is not None:
            low, high = axes.get_ylim()
            axes.set_ylim(low, high + 0.15 * (high - low))
            axes.legend(loc="upper center", ncols=2)
    return Path(path)
