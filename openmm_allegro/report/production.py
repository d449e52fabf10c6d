# SPDX-License-Identifier: MIT
"""The equilibrated part of one run, measured when a section asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..measure.measurement import Measurement
from ..measure.quantities import QUANTITIES
from ..runs.charges import read_charges
from ..runs.names import SUFFIXES, WITH_TOPOLOGY
from ..runs.run import Run
from ..runs.source import Source
from ..runs.species import Kind
from ..runs.table import Unreadable
from ..runs.window import Window
from ..utils.progress import name_stage


@dataclass
class Findings:
    """Warnings and first results that sections leave for the top of the page.

    Attributes
    ----------
    alerts : list of (str, str)
        Kind ("warning" or "note") and text.
    tiles : list of (str, str, str)
        Value, unit and name of the results to show first.
    measured : dict of str to Measurement
        What the page shows, by the names of quantities.
    """

    alerts: list = field(default_factory=list)
    tiles: list = field(default_factory=list)
    measured: dict[str, Measurement] = field(default_factory=dict)

    def warn(self, text: str, kind: str = "warning") -> None:
        """Leave a warning, or a note, for the top of the page."""
        self.alerts.append((kind, text))

    def take(self, measured: Mapping[str, Measurement]) -> None:
        """Leave measurements, and their warnings for the top of the page."""
        self.measured |= measured
        texts = [text for one in measured.values() for text in one.warnings]
        for text in dict.fromkeys(texts):
            self.warn(text)


@dataclass(frozen=True)
class Production:
    """Part of a run that is shown.

    Attributes
    ----------
    run : Run
    source : Source
        Of this run alone.
    charges_given : str or None
        As ``Na=1,Cl=-1``.
    folder : Path
        For figures, until they are in the page.
    asked : mapping of str to settings
        Settings of quantities that were asked for, by their names.
    measured : dict of str to Measurement
        Quantities that sections have asked for.
    """

    run: Run
    source: Source
    charges_given: str | None
    folder: Path
    asked: Mapping[str, Any] = field(default_factory=dict)
    measured: dict[str, Measurement] = field(default_factory=dict)

    def measure(self, name: str) -> Measurement:
        """Measure a quantity as ``analyze NAME`` does where nothing is named.

        Raises
        ------
        ValueError
            If the data does not allow it.
        """
        if name not in self.measured:
            quantity = QUANTITIES[name]
            given = {}
            if quantity.charges_of_ions:
                given["charges"] = self.charges_given
            settings = self.asked.get(name) or quantity.settings(**given)
            self.measured[name] = quantity.measure(self.source, None, settings)
        return self.measured[name]

    def soundness(self) -> Measurement:
        """Measure the stability, of energies or bonds alone where one is unreadable."""
        try:
            return self.measure("stability")
        except Unreadable:
            rest = self._without("energies") or self._without("trajectory")
            if rest is None:
                raise
            self.measured["stability"] = rest
            return rest

    def _without(self, name: str) -> Measurement | None:
        """Measure the stability without a file; None if another is unreadable too."""
        source = Source([replace(self.run, **{name: None})], self.source.window)
        try:
            return QUANTITIES["stability"].measure(source)
        except Unreadable:
            return None

    @property
    def start(self) -> float:
        """Time in ps from which frames and energies are used."""
        return self.source.start(self.run).time

    @property
    def reason(self) -> str:
        """Reason of the start, for a reader."""
        return self.source.start(self.run).reason

    @property
    def kinds(self) -> list[Kind]:
        """Kinds of molecules and ions."""
        return self.source.kinds


def make_production(
    run: Run,
    folder: Path,
    *,
    charges: str | None = None,
    asked: Mapping[str, Any] | None = None,
    **window: Any,
) -> Production:
    """Choose what of a run is shown.

    Parameters
    ----------
    run : Run
    folder : Path
    charges : str, optional
        Charge numbers, as ``Na=1,Cl=-1``. Default: those of the run's System, or formal
        ones of ions of one atom.
    asked : mapping of str to settings, optional
        See Production.
    **window
        Fields of Window. Default: from where the potential energy is equilibrated.
    """
    source = Source([run], Window(**window))
    return Production(run, source, charges, folder, asked or {})


def check_frames(production: Production) -> None:
    """Check that there are frames, and charges that fit them.

    Raises
    ------
    ValueError
        If there are none, or no atoms of which charges were given.
    """
    run = production.run
    if not run.has_frames:
        raise ValueError(
            f"expected a trajectory and a topology, found no "
            f"{run.name}{SUFFIXES['topology']}, or no frames in "
            f"{run.name}{SUFFIXES['trajectory']} or {WITH_TOPOLOGY[0]}"
        )
    name_stage("reading the frames")
    for _ in production.source.frames():  # all of it can be read
        pass
    if production.charges_given is not None:
        read_charges(production.charges_given, production.source.topology)
