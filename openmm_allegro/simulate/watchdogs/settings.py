# SPDX-License-Identifier: MIT
"""Settings of watchdogs: the limits of a sane simulation."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model.model import Model
from ...topology.names import SYMBOLS
from ...utils.config import brief
from ...utils.settings import check_settings, documented, setting

# Actions where the settings have none. NaN always stops.
DEFAULT_ACTIONS = {
    "temperature": "stop",
    "energy": "stop",
    "energy_jump": "stop",
    "closest": "frame",
    "bonds": "frame",
    "deviation": "frame",
}
ACTIONS = ("warn", "frame", "stop")


@documented
@dataclass(frozen=True)
class Watchdogs:
    """Limits of a sane simulation; field for field the ``[watchdogs]`` table of a TOML.

    A limit that is empty or 0 is not watched. NaN in positions, velocities or a watched
    energy always is, and stops.

    Raises
    ------
    ValueError
        If a value is out of range or a name unknown.
    """

    interval: int = setting(
        10,
        about="Steps between looks. A look at the energy costs an evaluation of all "
        "forces, at the deviation one of each member of the committee, at the rest far "
        "less",
        minimum=1,
    )
    temperature_k: tuple[float, ...] = setting(
        (),
        about="Lowest and highest temperature of the velocities as the integrator has "
        "them (half a step from the positions in some)",
        unit="K",
        minimum=-1e9,
        maximum=1e9,
    )
    energy_per_atom: tuple[float, ...] = setting(
        (),
        about="Lowest and highest potential energy over the number of particles",
        unit="kJ/mol",
        minimum=-1e12,
        maximum=1e12,
    )
    energy_jump: float = setting(
        0.0,
        about="Largest difference of that from its first value",
        unit="kJ/mol",
        minimum=0.0,
        maximum=1e12,
    )
    closest: dict[str, float] = setting(
        {},
        about="Smallest distances of pairs of elements, {H-O = 0.8}. Only atoms of the "
        "Allegro force count, or all in a System without one",
        unit="Å",
    )
    closest_of_training: float = setting(
        0.0,
        about="The same for all pairs of the model's elements, as a multiple of the "
        "smallest distance in its training data: with 1, no pair may be closer than "
        "one ever was. A pair that was never within the model's cutoff must stay "
        "beyond it. Values of closest come first. Needs for_models",
        minimum=0.0,
        maximum=10.0,
    )
    bond_stretch: float = setting(
        0.0,
        about="Largest length of a bond of the topology over its length at the start, "
        "above 1",
        minimum=0.0,
        maximum=1000.0,
    )
    deviation: float = setting(
        0.0,
        about="Largest deviation of the force on an atom among the members of a "
        "committee",
        unit="eV/Å",
        minimum=0.0,
        maximum=1e9,
    )
    actions: dict[str, str] = setting(
        {},
        about="Action of each limit: warn, frame (warn, and keep the frame) or stop "
        "(keep the frame, and raise StopSimulation). temperature, energy and "
        "energy_jump stop if not given; closest (both), bonds and deviation keep the "
        "frame",
    )

    def __post_init__(self) -> None:
        check_settings(self, "watchdogs", bits=31)
        _check(self)

    def action(self, kind: str) -> str:
        """Name the action that follows when a limit is crossed."""
        return "stop" if kind == "nan" else (DEFAULT_ACTIONS | self.actions)[kind]

    def for_models(self, models: Sequence[Model]) -> "Watchdogs":
        """Replace ``closest_of_training`` by distances.

        Parameters
        ----------
        models : sequence of Model
            ``AllegroPotential.models``. The largest distance among them counts: below
            it, one of them has no data.

        Raises
        ------
        ValueError
            If a model file does not hold how close atoms came in its training data.
        """
        if not self.closest_of_training:
            return self
        trained = closest_pairs(models)
        closest = {k: self.closest_of_training * v for k, v in trained.items()}
        closest |= {"-".join(sorted(k.split("-"))): v for k, v in self.closest.items()}
        return dataclasses.replace(self, closest=closest, closest_of_training=0.0)


def closest_pairs(models: Sequence[Model]) -> dict[str, float]:
    """Find how close atoms of each pair of elements came in training data.

    Parameters
    ----------
    models : sequence of Model
        The largest distance among them counts.

    Returns
    -------
    dict of str to float
        ``{"H-O": 0.92}``, Å, for all pairs of elements. A pair that was never within
        its cutoff has the cutoff.

    Raises
    ------
    ValueError
        If a model file does not hold it.
    """
    result: dict[str, float] = {}
    for number, model in enumerate(models):
        trained = model.provenance.get("closest_pairs")
        if trained is None:
            raise ValueError(
                "closest_of_training: expected a model file that says how close atoms "
                "came in its training data, found none in the provenance of model "
                f"{number} (made by an earlier version, or imported); give distances "
                "(Å) instead, closest = {'H-O': 0.8}"
            )
        elements, table = model.config.elements, model.config.cutoff_table()
        limits = np.maximum(table, table.T).tolist()
        for i, first in enumerate(elements):
            for j, second in enumerate(elements[: i + 1]):
                pair = "-".join(sorted((first, second)))
                distance = trained.get(pair, limits[i][j])
                result[pair] = max(result.get(pair, 0.0), distance)
    return result


def _check(settings: Watchdogs) -> None:
    def require(condition: bool, expected: str, found: Any) -> None:
        if not condition:
            raise ValueError(f"watchdogs: expected {expected}, found {brief(found)}")

    for name in ("temperature_k", "energy_per_atom"):
        limits = getattr(settings, name)
        require(
            not limits or (len(limits) == 2 and limits[0] < limits[1]),
            f"{name} of a lowest and a higher highest value",
            limits,
        )
    stretch = settings.bond_stretch
    require(stretch == 0 or stretch > 1, "bond_stretch above 1, or 0 for none", stretch)
    seen = set()
    for pair, distance in settings.closest.items():
        names = pair.split("-")
        known = len(names) == 2 and set(names) <= set(SYMBOLS)
        require(known, "closest of pairs of elements like 'H-O'", pair)
        require(frozenset(names) not in seen, "closest of each pair once", pair)
        seen.add(frozenset(names))
        require(
            0 < distance <= 100, f"closest {pair} above 0 and at most 100 Å", distance
        )
    for kind, action in settings.actions.items():
        require(
            kind in {"nan", *DEFAULT_ACTIONS}, f"actions of {[*DEFAULT_ACTIONS]}", kind
        )
        require(action in ACTIONS, f"an action of {ACTIONS} for {kind}", action)
        require(kind != "nan" or action == "stop", "nan to stop", action)
