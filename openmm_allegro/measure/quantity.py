# SPDX-License-Identifier: MIT
"""Declaration of a quantity, and the settings that several quantities share."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..analysis.defaults import BLOCKS
from ..runs.selections import selections
from ..runs.source import Source
from ..utils.progress import log_if_long
from ..utils.settings import check_settings, setting
from .measurement import Measurement, over_runs
from .sentences import say_once
from .subjects import centers_in, with_centers

_log = logging.getLogger(__name__)

# Fields of a window that structure takes, and motion.
STRUCTURE = ("start", "stop", "stride", "time_step", "cell", "drop_repeated")
MOTION = (*STRUCTURE, "join")


@dataclass(frozen=True)
class Settings:
    """Settings of a quantity, held to the bounds that their fields declare."""

    def __post_init__(self) -> None:
        name = type(self).__name__.removesuffix("Settings")
        check_settings(self, re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower())


@dataclass(frozen=True)
class Quantity:
    """A quantity, as the command, the page and the manual know it.

    Attributes
    ----------
    name : str
        ``analyze NAME``.
    compute : callable
        ``compute(source, subjects, settings)``, see `measure`.
    settings : type
        Frozen dataclass of its options, made with ``utils.settings.setting``.
    about : str
        Help, to which the part before the first semicolon is the summary.
    subjects : str
        What may be named, for the line of usage.
    read_subjects : callable
        Makes subjects of words, see `runs.selections`.
    default : callable, optional
        Chooses the subjects of a Source where none is named.
    aliases : tuple of str
    window : tuple of str
        Fields of `runs.window.Window` that it takes.
    temperature : bool
        Whether it needs a temperature.
    curves : bool
        Whether there is something for a CSV file.
    figures : dict of str to str
        Further figures, each an option ``--plot-NAME``, and the help of the option.
    needs_runs : bool
        Whether it is measured of runs; else of files that ``--json`` wrote.
    charges_of_ions : bool
        Whether its setting ``charges`` is the one that ``report`` takes.
    folders : bool
        Whether the folder of a protocol stands for all its stages.
    centers : bool
        Whether centres of mass of molecules, as ``com:EMC``, may be named.
    beads : bool
        Whether it is of the beads of a ring polymer where there are any, and not of
        the centroid.
    section : str
        Section of the page that shows its rows, figure and notes as they are:
        "structure", "kinetics", "vibrations", "charges" or "nuclei". Empty for a
        quantity that a section lays out by itself, or that the page leaves out.
    applies : callable, optional
        Tells of a Source whether the page shows it at all. Default: always.
    """

    name: str
    compute: Callable[[Source | None, Any, Any], Measurement]
    settings: type
    about: str
    subjects: str = "[SELECTION ...]"
    read_subjects: Callable[[Sequence[str]], Any] = selections
    default: Callable[[Source], Any] | None = None
    aliases: tuple[str, ...] = ()
    window: tuple[str, ...] = STRUCTURE
    temperature: bool = False
    curves: bool = True
    figures: Mapping[str, str] = field(default_factory=dict)
    needs_runs: bool = True
    charges_of_ions: bool = False
    folders: bool = False
    centers: bool = False
    beads: bool = False
    section: str = ""
    applies: Callable[[Source], bool] | None = None

    def measure(
        self, source: Source | None, subjects: Any = None, settings: Any = None
    ) -> Measurement:
        """Measure the quantity, and of several runs the means too.

        Parameters
        ----------
        source : Source
            None for a quantity that needs no runs.
        subjects : optional
            Such as `read_subjects` makes; by default what the quantity chooses.
        settings : optional
            By default those that its fields declare.

        Raises
        ------
        ValueError
            If the data does not allow it.
        """
        settings = settings or self.settings()
        if source is not None and "join" in self.window:
            for series in source.series():  # before anything is read
                series.frames.check_times()
        if not subjects and self.default is not None:
            subjects = self.default(source)
        if source is not None and self.beads:
            source = source.over_beads()
        if self.centers and source is not None:
            source, subjects = with_centers(source, subjects)
        elif texts := centers_in(subjects):
            raise ValueError(
                f"expected atoms for {self.name}, found centres of mass, "
                f"{', '.join(texts)}; they may be named where points are enough, as "
                "for rdf, diffusion and survival"
            )
        with log_if_long(_log, f"measuring {self.name}"):
            measurement = self.compute(source, subjects, settings)
        rows, items = measurement.rows, [row.item for row in measurement.rows]
        return replace(
            measurement,
            rows=rows if source is None else over_runs(rows, source),
            warnings=say_once(measurement.warnings, [*items, *measurement.results]),
        )


def blocks_setting(default: int = BLOCKS, more: str = "") -> Any:
    """Declare the number of blocks that errors come from."""
    return setting(
        default,
        about="Blocks of frames that errors come from, each longer than what is "
        "measured stays correlated" + more,
        minimum=1,
        metavar="N",
    )


def bin_width_setting(default: float) -> Any:
    """Declare the width of bins of distances."""
    return setting(default, about="Width of the bins", unit="nm", above=0, metavar="NM")


def shell_setting() -> Any:
    """Declare the radii of shells, one or one for each pair."""
    return setting(
        None,
        about="Radius of the shell, nm, or one for each pair: 0.36,0.32 (default: "
        "first minimum of g(r))",
        above=0,
        unit="nm",
        metavar="NM",
        example="0.36,0.32",
    )


def intermolecular_setting() -> Any:
    """Declare whether pairs of atoms in one molecule are left out."""
    return setting(
        False, about="Leave out pairs of atoms in one molecule, as the bonds define it"
    )


def max_lag_setting(default: str = "a twentieth") -> Any:
    """Declare the longest lag time."""
    return setting(
        None,
        about=f"Longest lag time, ps (default: {default} of the run)",
        above=0,
        unit="ps",
        metavar="PS",
    )
