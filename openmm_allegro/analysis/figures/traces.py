# SPDX-License-Identifier: MIT
"""Figures of values over the time of a run."""

from pathlib import Path

import numpy as np

from .figure import COLORS, DASHED, band, new_figure, with_error, writes_figure

# A mean of so many times the spread is taken off, lest ticks are of many digits.
_FAR = 1e3
# Of more points a curve is drawn as pixels, or a PDF would be megabytes.
_POINTS = 5000


@writes_figure
def plot_temperature(time, temperature, path, *, target=None, window=None, title=None):
    """Plot a temperature trace with its running mean.

    Parameters
    ----------
    time : (n,) array
        Times in ps, ascending.
    temperature : (n,) array
        Instantaneous temperatures in K.
    target : float, optional
        Temperature of the thermostat in K, drawn as a line.
    window : float, optional
        Width of the running mean in ps. Default: about a twentieth of the trace.
    """
    time, temperature = _checked(time, temperature, "temperature")
    if not np.all(np.diff(time) > 0):
        raise ValueError("expected ascending times, found times that fall or repeat")
    span = time[-1] - time[0]
    window = float(f"{span / 20:.1g}") if window is None else window
    if not 0 < window <= span:
        raise ValueError(f"expected 0 < window <= {span:.6g} ps, found {window:.6g} ps")
    middle, mean = _running_mean(time, temperature, window)
    with new_figure(path, title) as axes:
        factor = _draw_trace(
            axes, time, temperature, "Temperature (K)", label="instantaneous", alpha=0.7
        )
        axes.plot(middle * factor, mean, color=COLORS[0], label=f"{window:.3g} ps mean")
        if target is not None:
            label = f"target {target:g} K"
            axes.axhline(target, color="black", label=label, **DASHED)
        _add_legend_above(axes, columns=3, fontsize=6.5, columnspacing=0.8)
    return Path(path)


@writes_figure
def plot_series(time, values, path, *, ylabel, mean=None, drift=None, title=None):
    """Plot a trace, as energy, density or volume, with its mean or its drift.

    Parameters
    ----------
    time, values : (n,) arrays
        Times in ps, ascending, and values.
    ylabel : str
        Quantity and unit.
    mean, drift : Estimate, optional
        From `density` or `series_mean`, and from `drift`.
    """
    time, values = _checked(time, values, "values")
    zero, ylabel = _zero(values, ylabel)
    values = values - zero
    with new_figure(path, title) as axes:
        factor = _draw_trace(axes, time, values, ylabel)
        if mean is not None:
            level, label = np.full(2, mean.value - zero), f"mean {with_error(*mean)}"
            ends = time[[0, -1]] * factor
            band(axes, ends, level, mean.error, COLORS[0], label=label)
        if drift is not None:
            line = values.mean() + drift.value * (time - time.mean())
            unit = ylabel.partition("(")[2].removesuffix(")")
            label = f"drift {drift.value:.2g} ± {drift.error:.1g} {unit} per ps"
            axes.plot(time * factor, line, color="black", label=label, **DASHED)
        if mean is not None or drift is not None:
            _add_legend_above(axes, columns=2)
    return Path(path)


@writes_figure
def plot_kinetic_energies(traces, path, *, title=None):
    """Plot kinetic energies of nuclei by element, beside the classical one.

    Parameters
    ----------
    traces : dict of str to (times, energies, classical)
        By label: times in ps, ascending, mean energies of a nucleus and 3/2 k T in meV.
    """
    with new_figure(path, title) as axes:
        for number, (label, (time, values, _)) in enumerate(traces.items()):
            time, values = _checked(time, values, f"energies of {label}")
            color = COLORS[number % len(COLORS)]
            axes.plot(time, values, color=color, lw=0.6, alpha=0.5)
            mean = f"{label}, mean {values.mean():.4g} meV"
            axes.axhline(values.mean(), color=color, lw=1, label=mean)
        for thermal in sorted({trace[2] for trace in traces.values()}):
            label = f"classical, {thermal:.3g} meV"
            axes.axhline(thermal, color="black", label=label, **DASHED)
        axes.set(xlabel="Time (ps)", ylabel="Kinetic energy (meV)")
        axes.set_ylim(0, None)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return Path(path)


def _zero(values, ylabel):
    """Choose what is taken off values that are far from 0, and say so on the axis."""
    mean = float(np.round(values.mean()))
    if not np.ptp(values) * _FAR < abs(mean):
        return 0.0, ylabel
    name, parenthesis, unit = ylabel.partition(" (")
    sign = "+" if mean < 0 else "−"
    return mean, f"{name} {sign} {abs(mean):.0f}{parenthesis}{unit}"


def _checked(time, values, name):
    """Make arrays of times and values; ValueError, by the name, unless they fit."""
    time, values = np.asarray(time, dtype=float), np.asarray(values, dtype=float)
    if time.ndim != 1 or time.shape != values.shape:
        raise ValueError(
            f"expected time and {name} of one length, found shapes {time.shape} and "
            f"{values.shape}"
        )
    if len(time) < 2:
        raise ValueError(f"expected at least 2 values of {name}, found {len(time)}")
    return time, values


def _draw_trace(axes, time, values, ylabel, *, label=None, alpha=1.0):
    """Draw values over time, in ps or ns; return the factor of the unit."""
    unit, factor = ("ns", 1e-3) if time[-1] - time[0] >= 1000 else ("ps", 1.0)
    axes.plot(
        time * factor,
        values,
        color=COLORS[5],
        linewidth=0.5,
        alpha=alpha,
        label=label,
        rasterized=len(time) > _POINTS,
    )
    axes.set(xlabel=f"Time ({unit})", ylabel=ylabel)
    axes.set_xlim(time[0] * factor, time[-1] * factor)
    return factor


def _running_mean(time, values, window):
    """Centred mean over `window` ps, where the whole window lies in the trace."""
    step = (time[-1] - time[0]) / (len(time) - 1)
    width = min(max(1, round(window / step)), len(values))
    weights = np.full(width, 1 / width)
    middle = np.convolve(time, weights, mode="valid")
    return middle, np.convolve(values, weights, mode="valid")


def _add_legend_above(axes, *, columns, fontsize=None, columnspacing=None):
    """Put the legend above the trace, so that it hides none of it."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.15 * (high - low))
    axes.legend(
        loc="upper center",
        ncols=columns,
        fontsize=fontsize,
        columnspacing=columnspacing,
    )
