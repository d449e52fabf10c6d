# SPDX-License-Identifier: MIT
"""Collective variables, restraints and hills that a run wrote."""

from typing import Any, NamedTuple

import numpy as np

from ..utils.restraints import restraint_energy
from .names import OTHER_SUFFIXES
from .run import Run
from .table import Unreadable, read_columns
from .window import Window

_TIME, _BIAS, _RESTRAINTS = "time_ps", "bias_kj_mol", "restraints_kj_mol"
# Units of a variable that repeats after 360 of them.
_TURN, _PERIODIC = 360.0, "dihedral"


class Described(NamedTuple):
    """A variable, as the record of a run describes it.

    Attributes
    ----------
    name, kind, unit, column : str
    """

    name: str
    kind: str
    unit: str
    column: str

    @property
    def period(self) -> float | None:
        """Length after which it repeats, in its unit, or None."""
        return _TURN if self.kind == _PERIODIC else None

    @property
    def in_radians(self) -> bool:
        """True if a force constant is per rad²."""
        return self.kind in ("angle", _PERIODIC)


class VariableSeries(NamedTuple):
    """Variables of a run over time.

    Attributes
    ----------
    variables : tuple of d Described
    steps : (n,) array
    times : (n,) array
        In ps.
    values : (n, d) array
        In the variables' units.
    bias, restraints : (n,) arrays
        Energies that acted, in kJ/mol.
    """

    variables: tuple[Described, ...]
    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    restraints: np.ndarray

    def columns(self, names: Any) -> np.ndarray:
        """Values (n, m) of some variables by name."""
        known = [variable.name for variable in self.variables]
        return self.values[:, [known.index(name) for name in names]]


class HillSeries(NamedTuple):
    """Hills of metadynamics, of the variables of its bias.

    Attributes
    ----------
    names : list of str
    steps : (n,) array
    centers, widths : (n, d) arrays
        In the variables' units.
    heights : (n,) array
        In kJ/mol.
    bias_factor : float
    """

    names: list[str]
    steps: np.ndarray
    centers: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    bias_factor: float


def described_variables(run: Run) -> tuple[Described, ...]:
    """List the variables in the record of a run, none if it has none."""
    return tuple(
        Described(*(str(each.get(name, "")) for name in Described._fields))
        for each in run.record.get("variables", ())
    )


def variables_between(run: Run, window: Window) -> VariableSeries:
    """Read the variables of a run in a window.

    Raises
    ------
    FileNotFoundError
        If the run has no such file, or no record that describes it.
    ValueError
        If it cannot be read, or has fewer than two lines in the window.
    """
    variables, path = described_variables(run), run.variables
    if path is None or not variables:
        missing = "variables in its record" if path else "file of them"
        raise FileNotFoundError(
            f"expected variables of {run.name}, {OTHER_SUFFIXES['variables']} beside a "
            "record that describes them, as simulate writes for [[variables]]; found "
            f"no {missing}"
        )
    table = read_columns(path, "variables", time=_TIME)
    needed = ["step", *(v.column for v in variables), _BIAS, _RESTRAINTS]
    missing_columns = [name for name in needed if name not in table]
    if missing_columns:
        raise Unreadable(
            f"expected columns {', '.join(missing_columns)} in {path}, found "
            f"{', '.join(table)}"
        )
    times = table[_TIME]
    complete = np.isfinite([table[name] for name in needed]).all(axis=0)
    rows = np.flatnonzero(complete & window.holds(times))
    if len(rows) < 2:
        raise ValueError(
            f"expected lines of {path} between --start and --stop, found {len(rows)}"
        )
    return VariableSeries(
        variables,
        table["step"][rows],
        times[rows],
        np.stack([table[v.column][rows] for v in variables], axis=1),
        table[_BIAS][rows],
        table[_RESTRAINTS][rows],
    )


def read_hills(run: Run) -> HillSeries:
    """Read the hills of a run of metadynamics.

    Raises
    ------
    FileNotFoundError
        If it has none.
    ValueError
        If they cannot be read.
    """
    path, bias = run.hills, run.record.get("bias", {})
    if path is None or not bias.get("variables"):
        raise FileNotFoundError(
            f"expected hills of {run.name}, {OTHER_SUFFIXES['hills']} beside a record "
            "of metadynamics, found none"
        )
    by_name = {variable.name: variable for variable in described_variables(run)}
    names = [str(name) for name in bias["variables"]]
    columns = [by_name[name].column for name in names]
    table = read_columns(path, "hills", time=_TIME)
    needed = [*columns, *(f"width_{x}" for x in columns), "step", "height_kj_mol"]
    missing = [name for name in needed if name not in table]
    if missing:
        raise Unreadable(
            f"expected columns {', '.join(missing)} in {path}, found {', '.join(table)}"
        )
    return HillSeries(
        names,
        table["step"],
        np.stack([table[x] for x in columns], axis=1),
        np.stack([table[f"width_{x}"] for x in columns], axis=1),
        table["height_kj_mol"],
        float(bias["bias_factor"]),
    )


def restraints_on(run: Run, series: VariableSeries) -> np.ndarray:
    """Energy of variables (n, d) of any run in the restraints of this one, kJ/mol.

    Raises
    ------
    ValueError
        If a restraint is of a variable that the series lacks.
    """
    energy = np.zeros(len(series.values))
    by_name = {
        v.name: (v, x) for v, x in zip(series.variables, series.values.T, strict=True)
    }
    for restraint in run.record.get("restraints", ()):
        name = restraint["variable"]
        if name not in by_name:
            raise ValueError(
                f"expected the variable {name} of a restraint of {run.name} in all "
                f"runs, found {', '.join(by_name)}"
            )
        variable, values = by_name[name]
        energy += restraint_energy(
            values,
            restraint["center"],
            restraint["force_constant"],
            flat=restraint.get("flat", 0.0),
            side=restraint.get("side", "both"),
            period=variable.period,
            in_degrees=variable.in_radians,
        )
    return energy
