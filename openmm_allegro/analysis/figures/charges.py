# SPDX-License-Identifier: MIT
"""Figures of charges: screening, dipole moments, dielectric constant, infrared."""

from pathlib import Path

import numpy as np

from .figure import (
    DASHED,
    band,
    colored,
    draw_level,
    mark,
    new_figure,
    plot_curves,
    with_error,
    writes_figure,
)

# Waves that a figure of screening shows, over those that its line is of.
_SHOWN = 2.0


@writes_figure
def plot_screening(results, path, *, title=None):
    """Plot the screening of long waves, and the line that gives it at q = 0.

    Parameters
    ----------
    results : dict of str to ChargeStructure
    """
    with new_figure(path, title) as axes:
        draw_level(axes, 1.0)
        ends, tops = [], [1.0]
        for label, result, color in colored(results):
            q, (value, error) = result.q, result.screening
            shown = q <= max(_SHOWN * result.fit_end, q[0])
            text = f"{label}, at 0: {with_error(*result.limit)}"
            mark(axes, q[shown], value[shown], error[shown], color, text)
            mark(axes, 0.0, *result.limit, color)
            x = np.linspace(0, result.fit_end, 50)
            line = np.polynomial.Polynomial(result.line)(x**2)
            axes.plot(x, line, color=color, **DASHED)
            ends.append(q[shown][-1])
            tops.append(np.max((value + error)[shown], initial=sum(result.limit)))
        axes.set(xlabel="$q$ (nm$^{-1}$)", ylabel=r"$1 - 1/\varepsilon(q)$")
        # room for the legend above
        axes.set_ylim(0, (1.15 + 0.1 * len(results)) * max(tops))
        axes.set_xlim(-0.03 * max(ends), 1.05 * max(ends))
        axes.legend(loc="upper left")
    return Path(path)


@writes_figure
def plot_charge_structure(results, path, *, title=None):
    """Plot charge structure factors, with those of charges at random places.

    Parameters
    ----------
    results : dict of str to ChargeStructure
    """
    curves = {label: (x.q, *x.factor) for label, x in results.items()}
    random = {}
    for label, x in results.items():
        name = "random" if len(results) == 1 else f"random, {label}"
        random[name] = x.q, np.full(len(x.q), x.uncorrelated)
    axis = {
        "xlabel": "$q$ (nm$^{-1}$)",
        "ylabel": "$S_{zz}(q)$ ($e$²)",
        "xlim": (0, None),
        "ylim": (0, None),
    }
    return plot_curves(curves, path, axis, title=title, dashed=random)


@writes_figure
def plot_dipoles(results, path, *, title=None):
    """Plot distributions of the dipole moments of molecules.

    Parameters
    ----------
    results : dict of str to MolecularDipoles
    """
    with new_figure(path, title) as axes:
        for label, x, color in colored(results):
            text = f"{label}: {with_error(*x.mean)} D"
            band(axes, x.dipole, x.density, x.error, color, label=text)
            height = np.interp(x.mean.value, x.dipole, x.density)
            axes.plot([x.mean.value] * 2, [0, height], color=color, **DASHED)
        top = 1.2 * max(x.density.max() for x in results.values())  # the legend's room
        axes.set(xlabel="Dipole moment (D)", ylabel="Probability (1/D)", ylim=(0, top))
        axes.legend()
    return Path(path)


@writes_figure
def plot_running_dielectric(results, path, *, title=None):
    """Plot the dielectric constant of more and more of a run.

    Parameters
    ----------
    results : dict of str to (times, values)
        Times in ps.
    """
    curves = {label: (*x, None) for label, x in results.items()}
    axis = {"xlabel": "Time taken (ps)", "ylabel": r"$\varepsilon$", "ylim": (0, None)}
    return plot_curves(curves, path, axis, title=title, level=1.0)


@writes_figure
def plot_infrared(results, path, *, max_wavenumber=None, title=None):
    """Plot infrared spectra.

    Parameters
    ----------
    results : dict of str to Infrared
    max_wavenumber : float, optional
        Right end in 1/cm.
    """
    curves = {
        label: (x.wavenumber, x.absorption, x.error) for label, x in results.items()
    }
    axis = {
        "xlabel": "Wavenumber (cm$^{-1}$)",
        "ylabel": r"$n \alpha$ (cm$^{-1}$)",
        "xlim": (0, max_wavenumber),
        "ylim": (0, None),
    }
    return plot_curves(curves, path, axis, title=title)
