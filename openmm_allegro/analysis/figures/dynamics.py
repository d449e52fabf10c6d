# SPDX-License-Identifier: MIT
"""Figures of motion: displacements, correlation functions, spectra, Arrhenius lines."""

from pathlib import Path

import numpy as np

from ...units import EV_TO_KJ_PER_MOL, NM2_PER_PS_TO_CM2_PER_S
from .figure import (
    DASHED,
    band,
    colored,
    mark,
    new_figure,
    new_panels,
    plot_curves,
    shade,
    with_error,
    writes_figure,
)


@writes_figure
def plot_msd(diffusions, path, *, title=None):
    """Plot mean square displacements with their fitted lines, 6 D t + intercept.

    Parameters
    ----------
    diffusions : dict of str to Diffusion
        For each label what `diffusion` returns.
    """
    with new_figure(path, title) as axes:
        for label, result, color in colored(diffusions, "diffusion result"):
            t, value = result.lag_times, with_error(*(1e5 * x for x in result[:2]))
            text = f"{label}: {value}"
            band(axes, t, result.msd, result.msd_error, color, label=text)
            fitted = t[t >= result.fit_start]
            slope = 6 * result.coefficient / NM2_PER_PS_TO_CM2_PER_S
            line = slope * fitted + result.intercept
            axes.plot(fitted, line, color="black", **DASHED)
        axes.plot([], [], color="black", label="fit", **DASHED)
        axes.set(xlabel="Lag time (ps)", ylabel="MSD (nm²)", ylim=(0, None))
        axes.set_xlim(0, max(d.lag_times[-1] for d in diffusions.values()))
        axes.legend(loc="upper left", title="$D$ (10⁻⁵ cm²/s)", alignment="left")
    return Path(path)


@writes_figure
def plot_vacf(results, path, *, title=None):
    """Plot velocity autocorrelation functions, each over its value at 0.

    Parameters
    ----------
    results : dict of str to Correlation
    """
    curves = {
        label: (times, values / values[0], error / values[0])
        for label, (times, values, error) in results.items()
    }
    axis = {"xlabel": "Time (ps)", "ylabel": "$C(t)/C(0)$", "xlim": (0, None)}
    return plot_curves(curves, path, axis, title=title, level=0.0)


@writes_figure
def plot_density_of_states(results, path, *, max_wavenumber=None, title=None):
    """Plot vibrational densities of states.

    Parameters
    ----------
    results : dict of str to Spectrum
    max_wavenumber : float, optional
        Right end in 1/cm. Default: where all but 0.1 % of the states lie to the left.
    """
    # States per THz, drawn over wavenumbers: 1 THz is 33.4 1/cm.
    curves = {label: (x.wavenumber, x.density, x.error) for label, x in results.items()}
    if max_wavenumber is None:
        max_wavenumber = max(map(_last_wavenumber, results.values()), default=None)
    axis = {
        "xlabel": "Wavenumber (cm$^{-1}$)",
        "ylabel": "States per atom and THz",
        "xlim": (0, max_wavenumber),
        "ylim": (0, None),
    }
    return plot_curves(curves, path, axis, title=title)


@writes_figure
def plot_green_kubo(results, path, *, ylabel, scale=1.0, title=None):
    """Plot running Green-Kubo integrals and where they are read.

    Parameters
    ----------
    results : dict of str to GreenKubo
    ylabel : str
        As ``"$D(t)$ (10$^{-5}$ cm²/s)"``.
    scale : float, optional
        What the integrals are multiplied by, as 1e5.
    """
    with new_figure(path, title) as axes:
        for label, result, color in colored(results):
            value, error = (scale * x for x in result.coefficient)
            running, band_error = scale * result.running, scale * result.running_error
            text = f"{label}: {with_error(value, error)}"
            band(axes, result.lag_times, running, band_error, color, label=text)
            mark(axes, result.cutoff, value, error, color)
        axes.set(xlabel="Upper limit (ps)", ylabel=ylabel, xlim=(0, None))
        axes.legend()
    return Path(path)


@writes_figure
def plot_van_hove(result, path, *, distinct=False, title=None):
    """Plot a van Hove function at its lag times.

    Parameters
    ----------
    result : VanHove
    distinct : bool, optional
        Whether it is the distinct part.
    """
    curves = {
        f"{time:.3g} ps": (result.r, value, error)
        for time, value, error in zip(
            result.lag_times, result.values, result.error, strict=True
        )
    }
    name = r"$G_d(r, t)/\rho$" if distinct else r"$4\pi r^2 G_s(r, t)$ (nm$^{-1}$)"
    axis = {"xlabel": "$r$ (nm)", "ylabel": name, "xlim": (0, None), "ylim": (0, None)}
    level = 1.0 if distinct else None
    return plot_curves(curves, path, axis, title=title, level=level)


@writes_figure
def plot_non_gaussian(results, path, *, title=None):
    """Plot non-Gaussian parameters over the logarithm of time.

    Parameters
    ----------
    results : dict of str to Correlation
    """
    axis = {"xlabel": "Time (ps)", "ylabel": r"$\alpha_2(t)$", "xscale": "log"}
    return plot_curves(results, path, axis, title=title, level=0.0)


@writes_figure
def plot_arrhenius(results, path, *, ylabel, title=None):
    """Plot values over inverse temperature with their Arrhenius lines.

    Parameters
    ----------
    results : dict of str to (temperatures, values, errors, Arrhenius)
        What `arrhenius` was given, and what it returned.
    ylabel : str
        As ``"$D$ (cm²/s)"``.
    """
    with new_figure(path, title) as axes:
        _draw_lines(axes, results, ylabel)
        # Above: beside the points there is no room for so many numbers.
        axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0))
    return Path(path)


def plot_arrhenius_panels(panels, path):
    """Plot quantities of several units over inverse temperature, below each other.

    Parameters
    ----------
    panels : dict of str to dict
        By the label of the y axis what `plot_arrhenius` takes.
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).

    Returns
    -------
    Path
        The file written.
    """
    with new_panels(path, len(panels)) as several:
        for axes, (ylabel, results) in zip(several, panels.items(), strict=True):
            _draw_lines(axes, results, ylabel)
            axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=1)
    return Path(path)


def _draw_lines(axes, results, ylabel):
    """Draw what `plot_arrhenius` does, but for the legend."""
    for label, (temperatures, values, errors, line), color in colored(results):
        inverse = 1000 / np.asarray(temperatures)
        energy = np.array(line.activation_energy)
        text = (
            f"{label}:\n{with_error(*energy)} kJ/mol, "
            f"{with_error(*energy / EV_TO_KJ_PER_MOL)} eV"
        )
        if line.degrees_of_freedom:
            squared, freedom = line.chi_squared, line.degrees_of_freedom
            text += rf", $\chi^2$ {squared:.3g} of {freedom}"
        _mark_above(axes, inverse, np.asarray(values), np.asarray(errors), color, text)
        drawn = np.linspace(inverse.min(), inverse.max(), 50)
        heights, widths = np.array([line.at(1000 / x) for x in drawn]).T
        # The line is one of ln x, whose error is the relative one of x.
        factors = np.exp(widths / heights)
        shade(axes, drawn, heights / factors, heights * factors, color)
        axes.plot(drawn, heights, color=color, linewidth=0.9)
    axes.set(xlabel="1000 K / $T$", ylabel=ylabel, yscale="log")


def _mark_above(axes, x, values, errors, color, label):
    """Mark points on a logarithmic axis; errors that reach 0 have their upper half."""
    holds_zero = errors >= values
    mark(axes, x, values, [np.where(holds_zero, 0.0, errors), errors], color, label)
    style = {"marker": "v", "linestyle": "", "markersize": 6, "markerfacecolor": "none"}
    axes.plot(x[holds_zero], values[holds_zero], color=color, **style)


def _last_wavenumber(spectrum):
    """Wavenumber a little beyond 99.9 % of the states."""
    share = np.cumsum(spectrum.density) / spectrum.density.sum()
    return 1.05 * spectrum.wavenumber[np.searchsorted(share, 0.999)]
