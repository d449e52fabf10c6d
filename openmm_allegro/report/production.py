# SPDX-License-Identifier: MIT
"""What is analysed: the equilibrated part of one run, and what is known of it."""

from dataclasses import dataclass, field
from pathlib import Path

import mdtraj
import numpy as np
from scipy.constants import gas_constant

from ..analysis.statistics import statistical_inefficiency
from ..runs.run import Run, read_frames
from ..runs.species import Kind, check_charges, find_kinds, formal_charges

# Parts of a run at thermostat's temperature that are left out at least, and at most.
_LEAST, _MOST = 0.1, 0.5
# Values that the search for the end of equilibration looks at.
_VALUES = 2000
# Numbers of independent values are known to about a tenth.
_AS_GOOD = 0.9


@dataclass
class Findings:
    """What sections have to say beyond themselves.

    Attributes
    ----------
    alerts : list of (str, str)
        Kind ("warning" or "note") and text.
    tiles : list of (str, str, str)
        Value, unit and name of the results to show first.
    caged : list of str
        Labels of kinds that have not moved far enough to diffuse.
    """

    alerts: list = field(default_factory=list)
    tiles: list = field(default_factory=list)
    caged: list = field(default_factory=list)


@dataclass(frozen=True)
class Production:
    """The part of a run that is analysed.

    Attributes
    ----------
    run : Run
    start : float
        Time in ps from which frames and energies are used.
    said : str
        How `start` was chosen.
    trajectory : mdtraj.Trajectory
        Frames from `start` on.
    stride : int
        Every how many-th frame of the file is in it.
    temperature : float
        In K: of the thermostat, or else the mean that was measured.
    kinds : list of Kind
    charges : dict of str to float or None
        By name of kind; None where they are not known.
    charges_said : str
        Where they are from, or why they are not known.
    folder : Path
        For figures, until they are in the page.
    """

    run: Run
    start: float
    said: str
    trajectory: mdtraj.Trajectory
    stride: int
    temperature: float
    kinds: list[Kind]
    charges: dict[str, float] | None
    charges_said: str
    folder: Path

    @property
    def ions(self):
        """Kinds that are ions of one atom or have a charge."""
        charged = {name for name, charge in (self.charges or {}).items() if charge}
        return [kind for kind in self.kinds if kind.monoatomic or kind.name in charged]

    @property
    def length(self):
        """Time in ps that the frames span."""
        return float(self.trajectory.time[-1] - self.trajectory.time[0])

    def thinned(self, most, least=20):
        """The trajectory with about `most` positions of atoms, or `least` frames."""
        trajectory = self.trajectory
        frames = max(least, most // trajectory.n_atoms)
        return trajectory[:: max(1, -(-trajectory.n_frames // frames))]


def prepare(run, folder, *, start=None, charges=None):
    """Read the frames of a run and decide what of it is analysed.

    Parameters
    ----------
    run : Run
    folder : Path
    start : float, optional
        In ps. Default: where the potential energy is equilibrated (`equilibration`).
    charges : dict of str to float, optional
        Charge numbers by name of kind. Default: formal ones of ions of one atom.

    Returns
    -------
    Production
    """
    said = "as asked"
    if start is None:
        start, said = _default_start(run)
    trajectory, stride = read_frames(run, start)
    kinds = find_kinds(trajectory.topology)
    charges_said = "Charges are those given."
    if charges is not None:
        check_charges(kinds, charges)
    else:
        try:
            charges = formal_charges(kinds)
            charges_said = "Charges are formal ones, of ions of one atom."
        except ValueError as error:
            charges_said = str(error)
    return Production(
        run=run,
        start=start,
        said=said,
        trajectory=trajectory,
        stride=stride,
        temperature=temperature_of(run, start),
        kinds=kinds,
        charges=charges,
        charges_said=charges_said,
        folder=folder,
    )


def equilibration(values, least=_LEAST, most=_MOST):
    """Part of a series to leave out so that most independent values stay.

    Chodera, J. Chem. Theory Comput. 12, 1799, 2016, doi:10.1021/acs.jctc.5b00784, on
    a grid of starts; of starts that are about as good, the first.

    Parameters
    ----------
    values : (n,) array
        As the potential energy.
    least, most : float, optional
        Bounds of the part.

    Returns
    -------
    float
    """
    values = np.asarray(values, dtype=float)
    values = values[:: max(1, len(values) // _VALUES)]
    parts = np.linspace(least, most, 21)
    independent = []
    for part in parts:
        kept = values[int(part * len(values)) :]
        independent.append(len(kept) / statistical_inefficiency(kept))
    good = np.array(independent) >= _AS_GOOD * np.max(independent)
    return float(parts[int(np.argmax(good))])


def temperature_of(run, start=0.0):
    """Temperature of a run's thermostat in K, or the mean that was measured; or NaN."""
    if run.target is not None:
        return run.target
    table = run.table
    kept = table["time"] >= start if table else np.array([], dtype=bool)
    if not kept.any() or not np.isfinite(table["temperature"][kept]).all():
        return np.nan
    return float(table["temperature"][kept].mean())


def degrees_of_freedom(table):
    """Degrees of freedom that kinetic energy and temperature were reported with."""
    warm = table["temperature"] > 0
    if "kinetic" not in table or not warm.any():
        raise ValueError("expected kinetic energies at a temperature, found none")
    ratio = table["kinetic"][warm] / table["temperature"][warm]
    return round(float(np.median(ratio)) * 2e3 / gas_constant)


def _default_start(run):
    energies, times = run.table.get("potential"), run.table.get("time")
    # An NVE run goes on from an equilibrated one, as a rule.
    least = 0.0 if run.ensemble == "nve" else _LEAST
    if energies is None or len(energies) < 50 or not np.isfinite(energies).all():
        return least * run.simulated if run.simulated > 0 else 0.0, (
            f"{least:.0%} of the run"
        )
    part = equilibration(energies, least=least)
    start = times[min(int(part * len(times)), len(times) - 1)] if part > 0 else 0.0
    if part > least:
        said = "where most independent values of the potential energy are left"
    else:
        said = f"{least:.0%} of the run" if least else "nothing is left out"
    return float(start), said
