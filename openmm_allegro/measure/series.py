# SPDX-License-Identifier: MIT
"""A series of temperatures: coefficients and rates at each, and their lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..runs.charges import FORMAL
from ..runs.selections import selections
from ..runs.source import Source
from ..runs.table import Unreadable
from ..runs.window import Window
from ..units import M2_TO_CM2, NM3_TO_M3
from ..utils.config import SettingError
from ..utils.settings import setting
from .arrhenius import fit_lines
from .jumps import QUANTITY as JUMPS
from .jumps import UNITS, JumpsSettings
from .measurement import Measurement, Row, is_asked
from .quantity import Quantity
from .series_runs import read_series
from .stability import temperature_of

# Units of what is measured, in the order of the figure's panels, and their labels.
_D, _RATE, _SIGMA_T = "cm²/s", "1/ps", "S K/m"
BY_JUMPS = " by jumps"  # end of the names of coefficients
_LABELS = {_D: "$D$ (cm²/s)", _RATE: "Rate (1/ps)", _SIGMA_T: r"$\sigma T$ (S K/m)"}


@dataclass(frozen=True)
class SeriesSettings(JumpsSettings):
    """Settings of a series of temperatures: those of jumps, and its own."""

    at: tuple[float, ...] = setting(
        (), about="Temperatures to predict", unit="K", example="300,350"
    )
    stage: str | None = setting(
        None,
        about="Stage of the protocols that is measured, the same at all temperatures "
        "(default: the last of which one has frames)",
        metavar="NAME",
    )
    start: float | None = setting(
        None,
        about="First time that is measured, ps (default: where the potential energy "
        "says so, a tenth of the run at least)",
        minimum=0,
        unit="ps",
        metavar="PS",
    )

    @property
    def of_jumps(self) -> JumpsSettings:
        """Settings of the jumps at each temperature."""
        names = [field.name for field in fields(JumpsSettings)]
        return JumpsSettings(**{name: getattr(self, name) for name in names})


def measure_series(
    source: None, subjects: Sequence[str], settings: SeriesSettings
) -> Measurement:
    """Measure D, rates of jumps and conductivity at each temperature of a series.

    Subjects are the folder, and the ion if it is not the first of those that
    `mobile_ions` looks for. Results by item: those of `fit_lines`; and by temperature,
    as ``"500 K"``, those of `measure_jumps`, with ``conductivity`` in S/m.
    """
    from ..analysis import plot_arrhenius_panels

    folder, *words = subjects
    series = read_series(folder, settings.stage)
    warnings, notes, rows = series.warnings, [], []
    measured, reasons = {}, []
    for one in series.temperatures:
        name = f"{one.kelvin:g} K"
        source = Source([one.run], Window(start=settings.start))
        try:
            part = JUMPS.measure(source, selections(words), settings.of_jumps)
        except Unreadable:
            raise
        except ValueError as error:
            if isinstance(error, SettingError) and is_asked(settings, error.names):
                raise
            reasons.append(f"{name}: {error}")
            warnings.append(f"{name}: left out, {error}.")
            continue
        measured[one.kelvin] = _at_temperature(one.kelvin, part, source)
        mean, off_target = temperature_of(source, one.run)
        if mean is not None:
            rows.append(Row(name, "temperature", *mean, "K"))
        warnings += [f"{name}: {text}" for text in [*off_target, *part.warnings]]
        notes += [f"{name}: {text}" for text in [*part.remarks, *source.notes]]
        rows += _rows(name, measured[one.kelvin])
    if len(measured) < 2:
        raise ValueError(
            f"expected two temperatures at least of {folder} that can be measured, "
            f"found {len(measured)}: " + "; ".join(reasons)
        )
    panels, results, units, curves = {}, {}, {}, {}
    for unit, series in _by_unit(measured).items():
        lines, fitted = fit_lines(series, unit, settings.at)
        panels[_LABELS[unit]] = lines
        rows = rows + fitted.rows
        warnings += fitted.warnings
        results |= fitted.results
        curves |= {
            item: {
                "T (K)": x["T (K)"],
                "value": x[f"value ({unit})"],
                "error": x["error"],
            }
            for item, x in fitted.curves.items()
        }
        units |= {name: x for name, x in fitted.units.items() if x != unit}
        units |= {item: unit for item in fitted.results}
    left_out = _left_out(measured)
    if left_out:
        notes.append(f"Not at all temperatures, and so without a line: {left_out}.")
    return Measurement(
        rows,
        results | {f"{k:g} K": one["results"] for k, one in measured.items()},
        UNITS | units | {"conductivity": "S/m"},
        curves,
        lambda path: plot_arrhenius_panels(panels, path),
        notes=notes,
        warnings=warnings,
    )


QUANTITY = Quantity(
    "series",
    measure_series,
    SeriesSettings,
    "a series of temperatures of one protocol; D of ions by jumps and without them, "
    "rates, conductivity, and the activation energy of each in kJ/mol and eV",
    subjects="FOLDER [ION]",
    read_subjects=list,
    needs_runs=False,
)


def _at_temperature(kelvin: float, part: Measurement, source: Source) -> dict[str, Any]:
    """Values at one temperature: points by unit and item, and results."""
    label, result = next(iter(part.results.items()))
    points: dict[str, dict[str, Any]] = {_D: {}, _RATE: {}, _SIGMA_T: {}}
    names = {
        "tracer_diffusion": f"D of {label}",
        "jump_diffusion": f"D of {label}{BY_JUMPS}",
        "charge_diffusion": f"D of the charge of {label}",
    }
    for key, name in names.items():
        if result[key] is not None:
            points[_D][name] = result[key]
    rates = result["rates"]
    for k, kind in enumerate(result["kinds"]):
        name = name_rate(label, kind)
        points[_RATE][name] = float(rates.value[k]), float(rates.error[k])
    factor = _conductivity_over_d(label, source)
    charge = result["charge_diffusion"]
    conductivity = None
    if factor is not None and charge is not None:
        conductivity = tuple(factor * x / kelvin for x in charge)
        points[_SIGMA_T][f"σT of {label}"] = tuple(factor * x for x in charge)
    results = result | {"conductivity": conductivity, "label": label}
    return {"points": points, "results": results, "label": label}


def name_rate(label: str, kind: str) -> str:
    """Name the rate of a kind of jumps; sites of a density have no kinds."""
    from ..analysis.solids.density import KIND

    more = kind.removeprefix(f"{KIND}-{KIND}").removeprefix(", ").strip()
    return f"rate of jumps of {label}" + (f", {more}" if more else "")


def _conductivity_over_d(label: str, source: Source) -> float | None:
    """Conductivity in S/m times the temperature over D in cm²/s; None without charge.

    N z² e² / (V k), of formal charges.
    """
    from scipy.constants import Boltzmann, elementary_charge

    kind = next((kind for kind in source.kinds if kind.element == label), None)
    charge = FORMAL.get(label)
    if kind is None or charge is None:
        return None
    density = len(kind.centers) / (source.frames().volume * NM3_TO_M3)
    return density * (charge * elementary_charge) ** 2 / Boltzmann / M2_TO_CM2


def _by_unit(measured: Mapping[float, dict]) -> dict[str, dict[str, list]]:
    """Points (T, value, error) of the items that all temperatures have, by unit."""
    series: dict[str, dict[str, list]] = {}
    for unit in _LABELS:
        items: dict[str, list] = {}
        for kelvin, one in measured.items():
            for item, (value, error) in one["points"][unit].items():
                if value > 0 and error > 0 and np.isfinite(error):
                    items.setdefault(item, []).append((kelvin, value, error))
        items = {k: x for k, x in items.items() if len(x) == len(measured)}
        if items:
            series[unit] = items
    return series


def _left_out(measured: Mapping[float, dict]) -> str:
    """Items that not all temperatures have, in words."""
    known = {item for items in _by_unit(measured).values() for item in items}
    every = dict.fromkeys(
        item for one in measured.values() for x in one["points"].values() for item in x
    )
    return ", ".join(item for item in every if item not in known)


def _rows(name: str, one: dict[str, Any]) -> list[Row]:
    """Rows of one temperature."""
    from ..analysis.solids.density import KIND

    result, rows = one["results"], []
    for unit, items in one["points"].items():
        if unit != _SIGMA_T:
            rows += [Row(name, item, *x, unit) for item, x in items.items()]
    if result["conductivity"] is not None:
        rows.append(Row(name, "conductivity", *result["conductivity"], "S/m"))
    for key, text in (
        ("correlation_factor", "correlation factor"),
        ("haven_ratio", "Haven ratio"),
    ):
        if result[key] is not None:
            rows.append(Row(name, text, *result[key], ""))
    for kind, stay in result["residences"].items():
        site = "a site" if kind == KIND else kind
        rows.append(Row(name, f"residence time at {site}", *stay["time"], "ps"))
    return rows
