# SPDX-License-Identifier: MIT
"""Settings of runs, declared once; importing them loads neither torch nor OpenMM."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from ..nuclei.choices import NAMES, check_nuclei, nuclei_values
from ..runs.names import ENSEMBLES
from ..utils.config import brief
from ..utils.settings import (
    check_settings,
    documented,
    setting,
    setting_of,
    settings_of,
)
from .integrators import INTEGRATORS, choose_integrator

# Settings of what an ensemble at constant volume does not have.
_OF_BAROSTATS = ("pressure_bar", "barostat_interval")
# Settings of stages that are None if a protocol says 0: TOML knows no None.
NONE_IF_ZERO = (
    *("hydrogen_mass_da", "checkpoint_interval"),
    *("dipole_interval", "charge_interval", "variable_interval"),
    *("beads", "classical_beads", "bead_interval"),
    *("qtb_segment_ps", "qtb_cutoff_per_ps"),
)
# Settings of what is written every so many steps.
_INTERVALS = (
    *("report_interval", "velocity_interval"),
    *("dipole_interval", "charge_interval"),
    *("variable_interval", "bead_interval"),
)
# Root mean square force, kJ/mol/nm, down to which a packed box is minimised: what
# packing leaves above that is less than a tenth of the kinetic energy at 300 K.
PACKED_TOLERANCE = 100
# Steps between checkpoints by default, but for whole report intervals.
_CHECKPOINT_STEPS = 2000


@documented
@dataclass(frozen=True)
class RunSettings:
    """Settings of a simulation; ``run`` has them as arguments, with units.

    Raises
    ------
    ValueError
        If a value is of another type or out of range, or two contradict each other.
    """

    steps: int = setting(
        10_000,
        about="Number of steps; 0 only minimises. A finished run that is resumed with "
        "more becomes longer",
        minimum=0,
        may_change=True,
    )
    ensemble: str = setting(
        "nvt",
        about="Constant temperature (nvt), energy (nve), or temperature and pressure "
        "with OpenMM's Monte Carlo barostat, which scales the box (npt), each of its "
        "lengths (npt-anisotropic), or lengths and angles (npt-flexible)",
        choices=tuple(ENSEMBLES),
    )
    integrator: str = setting(
        "auto",
        about="Integrator and thermostat; auto is verlet in nve, else langevin-middle. "
        "rpmd and qtb have quantum nuclei",
        choices=INTEGRATORS,
    )
    temperature_k: tuple[float, ...] = setting(
        (300.0,),
        about="Temperature of thermostat, barostat and first velocities; several are a "
        "ramp over all steps, linear from each to the next",
        unit="K",
        above=0.0,
        maximum=1e6,
        option="temperature",
        example="300,400",
    )
    timestep_fs: float = setting(
        0.5,
        about="Time step",
        unit="fs",
        above=0.0,
        maximum=1000,
        option="timestep",
    )
    friction_per_ps: float = setting(
        1.0,
        about="Friction of Langevin dynamics, collision frequency of other thermostats",
        unit="1/ps",
        above=0.0,
        maximum=1e6,
        option="friction",
    )
    pressure_bar: float = setting(
        1.0,
        about="Pressure of the barostat; may be negative",
        unit="bar",
        minimum=-1e7,
        maximum=1e7,
        option="pressure",
    )
    barostat_interval: int = setting(
        25, about="Steps between attempts to change the volume", minimum=1
    )
    hydrogen_mass_da: float | None = setting(
        None,
        about="Mass of hydrogens, taken from the atoms they are bonded to; their own "
        "if not given. Where it is another than that of the stage before, velocities "
        "are scaled, so that each atom keeps its kinetic energy",
        unit="Da",
        above=0.0,
        below=12.0,
        option="hydrogen-mass",
    )
    report_interval: int = setting(
        20,
        about="Steps between frames and between lines of energies, at most all steps",
        minimum=1,
    )
    velocity_interval: int = setting(
        0, about="Steps between frames with velocities in HDF5; 0 for none", minimum=0
    )
    dipole_interval: int | None = setting(
        None,
        about="Steps between lines with the dipole moment of the molecules and the "
        "current of their charges, for a model with charges; none if not given. An "
        "infrared spectrum takes a line every 2 fs or so",
        minimum=1,
    )
    charge_interval: int | None = setting(
        None,
        about="Steps between records of the charges of all atoms, in whole report "
        "intervals, for a model with charges; none if not given",
        minimum=1,
    )
    variable_interval: int | None = setting(
        None,
        about="Steps between lines of collective variables, where there are any; the "
        "report interval if not given",
        minimum=1,
    )
    beads: int | None = setting(
        None,
        about="Copies of the system in the ring polymer of integrator rpmd; 32 if not "
        "given. Cards take products of 2, 3 and 5",
        minimum=1,
        maximum=1024,
    )
    classical_beads: int | None = setting(
        None,
        about="Copies on which integrator rpmd computes all forces but the model's, "
        "by contraction; 1 is the centroid, all if not given",
        minimum=1,
    )
    bead_interval: int | None = setting(
        None,
        about="Steps between frames of all beads; ten report intervals if not given",
        minimum=1,
    )
    qtb_segment_ps: float | None = setting(
        None,
        about="Length of the segments for which integrator qtb makes its noise; 0.1 if "
        "not given. The first step costs the cube of its steps",
        unit="ps",
        above=0.0,
        maximum=100.0,
        option="qtb-segment",
    )
    qtb_cutoff_per_ps: float | None = setting(
        None,
        about="Angular frequency above which the noise of integrator qtb ends, so that "
        "what vibrates faster freezes; 1000 if not given (5300 1/cm)",
        unit="1/ps",
        above=0.0,
        maximum=1e6,
        option="qtb-cutoff",
    )
    qtb_adaptation: float | None = setting(
        None,
        about="Rate at which integrator qtb adapts its noise after each segment; 0.01 "
        "if not given, 0 for none",
        minimum=0.0,
        maximum=1e3,
    )
    checkpoint_interval: int | None = setting(
        None,
        about="Steps between checkpoints; if not given, about 2000 in whole report "
        "intervals, or a quarter of an hour where that is sooner",
        minimum=1,
        may_change=True,
    )
    minimize: bool = setting(
        True,
        about="Minimise the energy first, until forces are of thermal size (a root "
        "mean square over atoms of 1,000 kJ/mol/nm): a frame of dynamics stays as it "
        "is, and the run says so",
        recorded=False,
    )
    minimize_tolerance_kj_mol_nm: float | None = setting(
        None,
        about="Root mean square force on atoms at which the minimisation ends; 1,000 "
        f"if not given. A freshly packed box takes {PACKED_TOLERANCE}: at forces of "
        "thermal size the energy of packing stays, and heats the run",
        unit="kJ/mol/nm",
        above=0.0,
        maximum=1e6,
        option="minimize-tolerance",
        recorded=False,
    )
    draw_velocities: bool = setting(
        False,
        about="Draw new velocities where another run's end has velocities",
        recorded=False,
    )

    _where: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if isinstance(self.temperature_k, int | float):
            object.__setattr__(self, "temperature_k", (self.temperature_k,))
        check_settings(self, self._where, bits=31)
        try:
            _check_together(self)
        except ValueError as error:
            where = f"{self._where}: " if self._where else ""
            raise ValueError(f"{where}{error}") from None

    @property
    def has_barostat(self) -> bool:
        """True if the volume changes."""
        return ENSEMBLES[self.ensemble] is not None

    def record(self) -> dict[str, Any]:
        """Collect the values as a run's record has them, without what it lacks.

        Defaults are worked out: the integrator, and steps between checkpoints. One
        temperature is a number, several are a list.
        """
        values = {
            name: getattr(self, name)
            for name, meaning in settings_of(type(self)).items()
            if meaning.recorded
            and name not in NAMES
            and (self.has_barostat or name not in _OF_BAROSTATS)
        }
        values |= nuclei_values(self)
        values["integrator"] = choose_integrator(self.integrator, self.ensemble)
        kelvin = list(self.temperature_k)
        values["temperature_k"] = kelvin if len(kelvin) > 1 else kelvin[0]
        if self.checkpoint_interval is None:
            reports = max(1, _CHECKPOINT_STEPS // self.report_interval)
            values["checkpoint_interval"] = reports * self.report_interval
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class _Named:
    """First field of a stage."""

    name: str = setting(
        about="Name of the stage, part of its files' names: letters, digits, - and _",
        recorded=False,
    )


@documented
@dataclass(frozen=True)
class Stage(RunSettings, _Named):
    """One run of a protocol; field for field a ``[[stages]]`` table of its TOML.

    Each begins with the positions, the velocities and the box that the one before
    ended with. ``[300, 3000]`` heats, ``[600, 900, 600]`` anneals. An instant quench is
    a stage at a lower temperature with ``draw_velocities``.

    Raises
    ------
    ValueError
        As ``RunSettings``, or if the name cannot be one of a file.
    """

    steps: int = setting_of(RunSettings, "steps", default=0)
    minimize: bool = setting_of(RunSettings, "minimize", default=False)
    bias: bool = setting(
        False, about="Let the bias of the protocol act", recorded=False
    )

    @property
    def _where(self) -> str:
        return f"stage {self.name}"

    def __post_init__(self) -> None:
        for name in NONE_IF_ZERO:
            if getattr(self, name) == 0:
                object.__setattr__(self, name, None)
        # before it is part of messages
        name = brief(self.name)
        if not isinstance(self.name, str):
            raise ValueError(f"stage: expected a text for name, found {name}")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", self.name):
            raise ValueError(
                f"stage {name}: expected a name of 1 to 100 letters, digits, - and _, "
                f"found {name}"
            )
        super().__post_init__()


@documented
@dataclass(frozen=True)
class Execution:
    """Settings of how a run is carried out, which are no part of what is simulated.

    Raises
    ------
    ValueError
        If a value is of another type or out of range, or two contradict each other.
    """

    platform: str | None = setting(
        None, about="Name of an OpenMM platform; the fastest present by default"
    )
    threads: int | None = setting(
        None,
        about="Threads of the CPU platform and of the model on the CPU; by default all "
        "processors, and torch's number",
        minimum=1,
    )
    seed: int = setting(
        0,
        about="Seed of velocities and thermostat; 0 draws one, which is recorded",
        minimum=0,
    )
    overwrite: bool = setting(False, about="Replace existing output")
    resume: bool = setting(
        False,
        about="Continue existing output, from its last checkpoint, if there is any",
    )
    progress: bool = setting(True, about="Show progress, with ns/day and the time left")

    def __post_init__(self) -> None:
        check_settings(self, bits=31)
        if self.overwrite and self.resume:
            raise ValueError(
                "expected overwrite (--force) or resume (--resume), found both: one "
                "replaces what the other continues"
            )


def check_work(settings: RunSettings) -> None:
    """Refuse a run of no steps and no minimisation; a stage may be made as one.

    Raises
    ------
    ValueError
    """
    if settings.steps == 0 and not settings.minimize:
        raise ValueError(
            "expected steps of at least 1, or minimize, found 0 steps and no "
            "minimisation: nothing to do"
        )


def _check_together(settings: RunSettings) -> None:
    """Refuse values that contradict each other."""
    steps = settings.steps
    for name in _INTERVALS:
        interval = getattr(settings, name) or 0
        if interval > steps > 0:
            raise ValueError(
                f"expected {name} of at most steps = {steps}, found {interval}: "
                "nothing would be written"
            )
    if settings.charge_interval and settings.charge_interval % settings.report_interval:
        raise ValueError(
            f"expected charge_interval in whole report intervals of "
            f"{settings.report_interval}, found {settings.charge_interval}: charges "
            "are of frames"
        )
    of_stage, tolerance = settings._where, settings.minimize_tolerance_kj_mol_nm
    if tolerance is not None and not settings.minimize and not of_stage:
        raise ValueError(
            f"expected minimize beside minimize_tolerance = {tolerance:g} kJ/mol/nm, "
            "found no minimisation"
        )
    if not settings.temperature_k:
        raise ValueError("expected a temperature, found none")
    if settings.ensemble == "nve" and len(settings.temperature_k) > 1:
        raise ValueError(
            "expected one temperature (of the first velocities) in ensemble 'nve', "
            f"found {list(settings.temperature_k)} K"
        )
    choose_integrator(settings.integrator, settings.ensemble)
    check_nuclei(settings)
