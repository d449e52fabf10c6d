# SPDX-License-Identifier: MIT
"""What a simulation is watched for."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from ase.data import atomic_numbers

from ...model.file import Model
from ...utils.config import check_types

# What is done where the settings do not say otherwise. NaN always stops.
DEFAULT_ACTIONS = {
    "temperature": "stop",
    "energy": "stop",
    "energy_jump": "stop",
    "closest": "frame",
    "bonds": "frame",
    "deviation": "frame",
}
ACTIONS = ("warn", "frame", "stop")


@dataclass(frozen=True)
class Watchdogs:
    """Limits of a sane simulation; field for field the ``[watchdogs]`` table of a TOML.

    What is empty or 0 is not watched. NaN in positions, velocities or a watched energy
    always is, and stops.

    Parameters
    ----------
    interval : int
        Steps between looks. A look at the energy costs an evaluation of all forces, at
        the deviation one of each member of the committee, at the rest far less.
    temperature_k : tuple of 2 float
        Lowest and highest temperature, K, of the velocities as the integrator has them
        (half a step from the positions in some).
    energy_per_atom : tuple of 2 float
        Lowest and highest potential energy over the number of particles, kJ/mol.
    energy_jump : float
        By how much that may differ from its first value, kJ/mol.
    closest : dict of str to float
        Smallest distances of pairs of elements, Å: ``{"H-O": 0.8}``. Only atoms of the
        Allegro force count, or all in a System without one.
    closest_of_training : float
        The same for all pairs of the model's elements, as a multiple of the smallest
        distance in its training data: with 1, no pair may be closer than one ever was.
        A pair that was never within the model's cutoff must stay beyond it. What
        ``closest`` says comes first. Needs ``for_models``.
    bond_stretch : float
        Largest length of a bond of the topology over its length at the start, above 1.
    deviation : float
        Largest deviation of the force on an atom among the members of a committee, eV/Å
        (see ``committee``).
    actions : dict of str to str
        For ``temperature``, ``energy``, ``energy_jump``, ``closest`` (both), ``bonds``
        and ``deviation``: "warn", "frame" (warn, and keep the frame) or "stop" (keep
        the frame and raise StopSimulation). The first three stop if not given, the
        others keep the frame.

    Raises
    ------
    ValueError
        If a value is out of range or a name unknown.
    """

    interval: int = 10
    temperature_k: tuple[float, ...] = ()
    energy_per_atom: tuple[float, ...] = ()
    energy_jump: float = 0.0
    closest: dict[str, float] = field(default_factory=dict)
    closest_of_training: float = 0.0
    bond_stretch: float = 0.0
    deviation: float = 0.0
    actions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self, "watchdogs")
        _check(self)

    def action(self, kind: str) -> str:
        """What is done when a limit is crossed."""
        return "stop" if kind == "nan" else (DEFAULT_ACTIONS | self.actions)[kind]

    def for_models(self, models: Sequence[Model]) -> "Watchdogs":
        """The same, with distances in the place of ``closest_of_training``.

        Parameters
        ----------
        models : sequence of Model
            ``AllegroPotential.models``. Of several the largest distance counts: below
            it, one of them has no data.

        Raises
        ------
        ValueError
            If a model file does not say how close atoms came in its training data.
        """
        if not self.closest_of_training:
            return self
        trained = closest_pairs(models)
        closest = {k: self.closest_of_training * v for k, v in trained.items()}
        closest |= {"-".join(sorted(k.split("-"))): v for k, v in self.closest.items()}
        return dataclasses.replace(self, closest=closest, closest_of_training=0.0)


def closest_pairs(models: Sequence[Model]) -> dict[str, float]:
    """How close atoms of each pair of elements came in the training data of models.

    Parameters
    ----------
    models : sequence of Model
        Of several, the largest distance counts.

    Returns
    -------
    dict of str to float
        ``{"H-O": 0.92}``, Å, for all pairs of elements. A pair that was never within
        its cutoff has the cutoff.

    Raises
    ------
    ValueError
        If a model file does not say so.
    """
    result: dict[str, float] = {}
    for number, model in enumerate(models):
        found = model.provenance.get("closest_pairs")
        if found is None:
            raise ValueError(
                "closest_of_training: expected a model file that says how close atoms "
                "came in its training data, found none in the provenance of model "
                f"{number} (made by an earlier version, or imported); give distances "
                "(Å) instead, closest = {'H-O': 0.8}"
            )
        elements, table = model.config.elements, model.config.cutoff_table()
        limits = torch.maximum(table, table.T).tolist()
        for i, first in enumerate(elements):
            for j, second in enumerate(elements[: i + 1]):
                pair = "-".join(sorted((first, second)))
                distance = found.get(pair, limits[i][j])
                result[pair] = max(result.get(pair, 0.0), distance)
    return result


def _check(settings: Watchdogs) -> None:
    def require(condition: bool, expected: str, found: Any) -> None:
        if not condition:
            raise ValueError(f"watchdogs: expected {expected}, found {found!r}")

    require(settings.interval >= 1, "an interval of at least 1", settings.interval)
    for name in ("temperature_k", "energy_per_atom"):
        limits = getattr(settings, name)
        require(
            not limits or (len(limits) == 2 and limits[0] < limits[1]),
            f"{name} of a lowest and a higher highest value",
            limits,
        )
    for name in ("energy_jump", "closest_of_training", "deviation"):
        value = getattr(settings, name)
        require(value >= 0, f"{name} of at least 0", value)
    stretch = settings.bond_stretch
    require(stretch == 0 or stretch > 1, "bond_stretch above 1, or 0 for none", stretch)
    seen = set()
    for pair, distance in settings.closest.items():
        names = pair.split("-")
        known = len(names) == 2 and all(atomic_numbers.get(n, 0) for n in names)
        require(known, "closest of pairs of elements like 'H-O'", pair)
        require(frozenset(names) not in seen, "closest of each pair once", pair)
        seen.add(frozenset(names))
        require(distance > 0, f"closest {pair} above 0 Å", distance)
    for kind, action in settings.actions.items():
        require(
            kind in {"nan", *DEFAULT_ACTIONS}, f"actions of {[*DEFAULT_ACTIONS]}", kind
        )
        require(action in ACTIONS, f"an action of {ACTIONS} for {kind}", action)
        require(kind != "nan" or action == "stop", "nan to stop", action)
