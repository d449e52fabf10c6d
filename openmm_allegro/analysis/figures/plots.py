# SPDX-License-Identifier: MIT
"""Figures of g(r), temperature and diffusion, ready to print."""

from pathlib import Path

import numpy as np

from .figure import COLORS, band, new_figure, with_error


def plot_rdf(
    results,
    path,
    *,
    reference=None,
    reference_name="reference",
    coordination=None,
    title=None,
):
    """Plot radial distribution functions.

    Parameters
    ----------
    results : dict of str to (r, g) or RadialDistribution
        For each label what `rdf` returns: distances in nm and g(r); or what
        `radial_distributions` does, drawn with its errors.
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    reference : dict of str to (r, g), optional
        Measured or *ab initio* curves, drawn dashed: in the colour of the result of
        the same label, else in black and grey.
    reference_name : str, optional
        What dashed curves of the results' labels are, for the legend.
    coordination : dict of str to Coordination, optional
        For labels of `results`: the number goes into the legend and its radius is
        marked on the axis.
    title : str, optional
        Title of the figure.

    Returns
    -------
    Path
        The file written.
    """
    _check_curves(results, "results")
    coordination = coordination or {}
    unknown = set(coordination) - set(results)
    if unknown:
        raise ValueError(
            f"expected coordination only for {sorted(results)}, found {sorted(unknown)}"
        )
    with new_figure(path, title) as axes:
        axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
        limit = 0.0
        for i, (label, (r, g, *errors)) in enumerate(results.items()):
            limit = max(limit, np.max(r))
            color = COLORS[i % len(COLORS)]
            if label in coordination:
                shell = coordination[label]
                label = f"{label}, $n$ = {shell.number:.2f}"
                axes.plot(
                    [shell.r_max] * 2,
                    [0, 0.05],
                    color=color,
                    linewidth=2.5,
                    transform=axes.get_xaxis_transform(),
                    solid_capstyle="butt",
                )
            band(axes, r, g, errors[0] if errors else None, color, label=label)
        if reference:
            _check_curves(reference, "reference")
            own = list(results)
            shades = iter(np.linspace(0.0, 0.6, len(reference)))
            for label, (r, g, *_) in reference.items():
                if label in own:
                    color = COLORS[own.index(label) % len(COLORS)]
                    axes.plot(r, g, "--", color=color, linewidth=0.9)
                else:
                    shade = str(next(shades))
                    axes.plot(r, g, "--", color=shade, linewidth=0.9, label=label)
            if set(own) & set(reference):
                axes.plot(
                    [], [], "--", color="0.4", linewidth=0.9, label=reference_name
                )
        start = min(
            np.asarray(r)[np.argmax(np.asarray(g) > 0)] for r, g, *_ in results.values()
        )
        axes.set(xlabel="$r$ (nm)", ylabel="$g(r)$", ylim=(0, None))
        axes.set_xlim(max(0.0, start - 0.05 * limit), limit)
        axes.legend()
    return Path(path)


def plot_temperature(time, temperature, path, *, target=None, window=None, title=None):
    """Plot a temperature trace with its running mean.

    Parameters
    ----------
    time : (n,) array
        Times in ps, ascending.
    temperature : (n,) array
        Instantaneous temperatures in K.
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    target : float, optional
        Temperature of the thermostat in K, drawn as a line.
    window : float, optional
        Width of the running mean in ps. Default: about a twentieth of the trace.
    title : str, optional
        Title of the figure.

    Returns
    -------
    Path
        The file written.
    """
    time, temperature = np.asarray(time, float), np.asarray(temperature, float)
    if time.ndim != 1 or time.shape != temperature.shape or len(time) < 2:
        raise ValueError(
            "expected time and temperature of one length, at least 2, found shapes "
            f"{time.shape} and {temperature.shape}"
        )
    if not np.all(np.diff(time) > 0):
        raise ValueError("expected ascending times, found times that fall or repeat")
    span = time[-1] - time[0]
    window = float(f"{span / 20:.1g}") if window is None else window
    if not 0 < window <= span:
        raise ValueError(f"expected 0 < window <= {span:.6g} ps, found {window:.6g} ps")

    with new_figure(path, title) as axes:
        unit, factor = ("ns", 1e-3) if span >= 1000 else ("ps", 1.0)
        axes.plot(
            time * factor,
            temperature,
            color=COLORS[5],
            linewidth=0.4,
            alpha=0.7,
            label="instantaneous",
            rasterized=len(time) > 5000,
        )
        middle, mean = _running_mean(time, temperature, window)
        axes.plot(middle * factor, mean, color=COLORS[0], label=f"{window:.3g} ps mean")
        if target is not None:
            axes.axhline(
                target,
                color="black",
                linestyle="--",
                linewidth=0.8,
                label=f"target {target:g} K",
            )
        axes.set(
            xlabel=f"Time ({unit})",
            ylabel="Temperature (K)",
            xlim=(time[0] * factor, time[-1] * factor),
        )
        # Room above the trace, so that the legend hides none of it.
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.15 * (high - low))
        axes.legend(loc="upper center", ncols=3, columnspacing=0.8, fontsize=6.5)
    return Path(path)


def plot_msd(diffusions, path, *, title=None):
    """Plot mean square displacements with their fitted lines, 6 D t + intercept.

    Parameters
    ----------
    diffusions : dict of str to Diffusion
        For each label what `diffusion` returns.
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    title : str, optional
        Title of the figure.

    Returns
    -------
    Path
        The file written.
    """
    if not diffusions:
        raise ValueError("expected at least one diffusion result, found none")
    with new_figure(path, title) as axes:
        for i, (label, result) in enumerate(diffusions.items()):
            color = COLORS[i % len(COLORS)]
            t, msd, error = result.lag_times, result.msd, result.msd_error
            band(axes, t, msd, error, color, label=f"{label}: {_in_1e5(result)}")
            fitted = t[t >= result.fit_start]
            # 1 cm²/s = 100 nm²/ps
            line = 6 * 100 * result.coefficient * fitted + result.intercept
            axes.plot(fitted, line, color="black", linestyle="--", linewidth=0.9)
        axes.plot([], [], color="black", linestyle="--", linewidth=0.9, label="fit")
        axes.set(xlabel="Lag time (ps)", ylabel="MSD (nm²)", ylim=(0, None))
        axes.set_xlim(0, max(d.lag_times[-1] for d in diffusions.values()))
        axes.legend(loc="upper left", title="$D$ (10⁻⁵ cm²/s)", alignment="left")
    return Path(path)


def _check_curves(curves, name):
    if not curves:
        raise ValueError(f"expected at least one curve in {name}, found none")
    for label, (r, g, *_) in curves.items():
        if np.ndim(r) != 1 or np.shape(r) != np.shape(g):
            raise ValueError(
                f"expected r and g of one length for {label!r}, found shapes "
                f"{np.shape(r)} and {np.shape(g)}"
            )


def _running_mean(time, values, window):
    """Centred mean over `window` ps, where the whole window lies in the trace."""
    step = (time[-1] - time[0]) / (len(time) - 1)
    width = min(max(1, round(window / step)), len(values))
    weights = np.full(width, 1 / width)
    middle = np.convolve(time, weights, mode="valid")
    return middle, np.convolve(values, weights, mode="valid")


def _in_1e5(result):
    """``2.31 ± 0.04`` in 1e-5 cm²/s, to two digits of the error."""
    return with_error(1e5 * result.coefficient, 1e5 * result.error)
