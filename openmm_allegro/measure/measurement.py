# SPDX-License-Identifier: MIT
"""A measurement: its table, its arrays, its curves and its figure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..runs.source import Source
from ..runs.table import Unreadable
from ..utils.config import SettingError
from .sentences import say_once


class Row(NamedTuple):
    """One line of a table: ``O  D  2.31 ± 0.04  cm²/s``.

    Attributes
    ----------
    item : str
        What was measured, as an element or a pair.
    quantity : str
    value : float
    error : float or None
        Half-width of the 68 % interval, where there is one.
    unit : str
    """

    item: str
    quantity: str
    value: float
    error: float | None
    unit: str


@dataclass(frozen=True)
class Measurement:
    """Numbers measured of a source, and their figure.

    Attributes
    ----------
    rows : list of Row
        The table to print.
    results : dict
        All arrays and values by item, for JSON.
    units : dict of str to str
        Unit of each name in `results`.
    curves : dict of str to dict of str to array
        For each item the columns of the CSV, whose names hold their units.
    plot : callable, optional
        Draws the figure to a path.
    figures : dict of str to callable
        Further figures by name, as ``{"green_kubo": draw}``.
    notes : list of str
        Sentences that a reader of the numbers should know.
    failed : dict of str to str
        Items that could not be measured, and the reason.
    warnings : list of str
        Sentences about numbers that a run was too short for, see `judgement`.
    """

    rows: list[Row]
    results: dict[str, Any]
    units: dict[str, str]
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    plot: Callable[[Path], Any] | None = None
    figures: Mapping[str, Callable[[Path], Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Reasons of what could not be measured."""
        failed = [f"{item}: {reason}." for item, reason in self.failed.items()]
        return say_once(failed, self.failed)

    @property
    def remarks(self) -> list[str]:
        """Notes, and the reasons of what could not be measured."""
        return self.reasons + say_once(self.notes, self.results)

    @property
    def table(self) -> list[dict[str, Any]]:
        """Rows as dicts, each with the warnings that name its item."""
        return [
            row._asdict()
            | {"warnings": [x for x in self.warnings if names(x, row.item)]}
            for row in self.rows
        ]


@dataclass(frozen=True)
class Part:
    """Part of a measurement, of one item.

    Attributes
    ----------
    value : NamedTuple
        Its fields are the item's results.
    rows : list of Row
    more : dict
        Further results.
    notes, warnings : list of str
    """

    value: Any
    rows: list[Row]
    more: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def measure_items(
    items: Mapping[str, Any],
    measure: Callable[[str, Any], Part],
    plot: Callable[[dict[str, Any], Path], Any],
    settings: Any,
    *,
    units: dict[str, str],
    columns: Mapping[str, str],
) -> Measurement:
    """Measure items that are alike; see `each` for those that the data does not allow.

    Parameters
    ----------
    items : mapping of str to object
    measure : callable
        Takes the label and the item.
    plot : callable
        Draws the values by label to a path.
    settings : dataclass
        See `each`.
    units : dict of str to str
    columns : mapping of str to str
        Fields of a value by the titles of their columns in the CSV.
    """
    parts, failed = each(items, measure, settings)
    values = {label: part.value for label, part in parts.items()}
    notes = [note for part in parts.values() for note in part.notes]
    warnings = [text for part in parts.values() for text in part.warnings]
    return Measurement(
        [row for part in parts.values() for row in part.rows],
        {label: part.value._asdict() | part.more for label, part in parts.items()},
        units,
        {
            label: {title: getattr(value, name) for title, name in columns.items()}
            for label, value in values.items()
        },
        lambda path: plot(values, path),
        notes=list(dict.fromkeys(notes)),
        failed=failed,
        warnings=list(dict.fromkeys(warnings)),
    )


def highest(
    item: str,
    name: str,
    places: Any,
    values: Any,
    errors: Any,
    unit: str,
    unit_of_place: str,
) -> list[Row]:
    """Make the rows of the highest point of a curve, and of its place."""
    top = int(np.argmax(values))
    return [
        Row(item, name, float(values[top]), float(errors[top]), unit),
        Row(item, "at", float(places[top]), None, unit_of_place),
    ]


def names(warning: str, item: str) -> bool:
    """Tell whether a warning is about an item, or about all."""
    return re.search(rf"(?<![\w-]){re.escape(item)}(?![\w-])", warning) is not None


def amount(value: float, error: float | None) -> str:
    """Write ``2.31 ± 0.04``, or ``(2.31 ± 0.04)e-5`` where that reads better."""
    from ..analysis.figures.figure import with_error

    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if error is None or not np.isfinite(error) or not np.isfinite(value):
        return f"{value:.4g}"
    size = max(abs(value), abs(error))
    if error <= 1e-6 * size:
        return f"{value:.4g}"
    exponent = int(np.floor(np.log10(size)))
    if -3 <= exponent < 5:
        return with_error(value, error)
    scaled = with_error(value / 10.0**exponent, error / 10.0**exponent)
    return f"({scaled})e{exponent}"


def each(
    subjects: Mapping[str, Any], measure: Callable[[str, Any], Any], settings: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Measure each subject; one that the data does not allow leaves its reason.

    Parameters
    ----------
    subjects : mapping of str to object
    measure : callable
        Takes the label and the subject.
    settings : dataclass
        Where one that was asked for is refused, nothing is measured.

    Returns
    -------
    results : dict of str to object
    failed : dict of str to str

    Raises
    ------
    ValueError
        If there is no result: that of the first subject. A file that cannot be read is
        an error in any case.
    """
    results, failed, first = {}, {}, None
    for label, subject in subjects.items():
        try:
            results[label] = measure(label, subject)
        except Unreadable:
            raise
        except SettingError as error:
            if len(subjects) > 1 and is_asked(settings, error.names):
                raise SettingError(f"{label}: {error}", *error.names) from error
            failed[label] = str(error)
            first = first or error
        except ValueError as error:
            failed[label] = str(error)
            first = first or error
    if first is not None and not results:
        raise first
    return results, failed


def is_asked(settings: Any, names: Sequence[str]) -> bool:
    """Tell whether one of some settings was asked for, and is not the default."""
    return any(
        known.name in names and getattr(settings, known.name) != known.default
        for known in fields(settings)
    )


def over_runs(rows: list[Row], source: Source) -> list[Row]:
    """Add to the rows of several runs their means.

    Parameters
    ----------
    rows : list of Row
        Of items such as ``"Na (a)"`` and ``"Na (b)"`` of runs a and b.
    source : Source

    Returns
    -------
    list of Row
        Those, and of what has errors the mean over runs as ``"Na"``, unless their
        temperatures differ.
    """
    if source.temperatures_differ or len(source.runs) < 2:
        return rows
    from ..analysis import replica_mean

    endings = tuple(f" ({run.name})" for run in source.runs)
    together: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        ending = next((end for end in endings if row.item.endswith(end)), None)
        if ending is not None and row.error is not None:
            key = row.item.removesuffix(ending), row.quantity, row.unit
            together.setdefault(key, []).append(row)
    means = []
    for (item, quantity, unit), of_runs in together.items():
        values = [(row.value, row.error) for row in of_runs]
        if len(values) > 1 and np.isfinite(values).all():
            means.append(Row(item, quantity, *replica_mean(values), unit))
    return rows + means
