# SPDX-License-Identifier: MIT
"""Run a System in an ensemble, so that a kill at any moment loses nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from ..bias.sampling import Sampling
from ..bias.settings import Bias, Restraint, Variable
from .arguments import run_settings
from .execute import execute
from .watchdogs.watchdog import Watchdogs


def run(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    steps: int = 10_000,
    ensemble: str = "nvt",
    integrator: str = "auto",
    temperature: unit.Quantity = 300.0 * unit.kelvin,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity = 1.0 * unit.bar,
    barostat_interval: int = 25,
    hydrogen_mass: unit.Quantity | None = None,
    report_interval: int = 20,
    velocity_interval: int = 0,
    dipole_interval: int | None = None,
    charge_interval: int | None = None,
    variable_interval: int | None = None,
    beads: int | None = None,
    classical_beads: int | None = None,
    bead_interval: int | None = None,
    qtb_segment: unit.Quantity | None = None,
    qtb_cutoff: unit.Quantity | None = None,
    qtb_adaptation: float | None = None,
    checkpoint_interval: int | None = None,
    reporters: Sequence[Any] = (),
    watchdogs: Watchdogs | None = None,
    variables: Sequence[Variable] = (),
    restraints: Sequence[Restraint] = (),
    bias: Bias | None = None,
    minimize: bool = True,
    minimize_tolerance: unit.Quantity | None = None,
    state: openmm.State | None = None,
    draw_velocities: bool = False,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Minimise and run molecular dynamics.

    A kill at any moment leaves files that can be read and a checkpoint. ``resume=True``
    continues from there; no frame is repeated or missing. In NVT, NVE and NPT on the
    platforms Reference and CPU, the result of a model alone is then the same to the
    last bit as without the interruption, whether a due step, a signal or the clock
    caused the last checkpoint. Beside a force field on the CPU platform it is the same
    but for rounding, unless there is one thread and the checkpoint was due. The
    barostats of the other ensembles tune the size of their moves anew.

    Parameters
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity, or array in nm
    system : openmm.System
    output : path
        Prefix of the files to write, such as ``runs/nacl``.
    steps : int
        Steps in all, those before a resumption included; 0 only minimises.
    ensemble : str
        "nvt", "nve", "npt", "npt-anisotropic" or "npt-flexible"; the last three have a
        Monte Carlo barostat (Åqvist et al., doi:10.1016/j.cplett.2003.12.039) that
        moves molecules, as ``create_system(rigid_molecules=...)`` made them.
    integrator : str
        One of ``simulate.integrators.INTEGRATORS``.
    temperature : Quantity
        Several are a ramp over all steps: ``[300, 3000] * kelvin``.
    timestep : Quantity
    friction : Quantity
        Inverse time.
    pressure : Quantity
        Pressure of the barostat.
    barostat_interval : int
        Steps between volume moves.
    hydrogen_mass : Quantity, optional
    report_interval : int
        Steps between frames and between lines of energies.
    velocity_interval : int
        Steps between frames with velocities in HDF5; 0 for none.
    dipole_interval : int, optional
        Steps between lines of ``reporters.DipoleReporter``, for a model with charges.
    charge_interval : int, optional
        Steps between records of the charges of all atoms, for a model with charges.
    variable_interval : int, optional
        Steps between lines of ``variables``; ``report_interval`` if not given.
    beads, classical_beads, bead_interval : int, optional
        Of integrator "rpmd": beads, those that classical forces are computed on, and
        steps between frames of all of them. ``state`` is taken as the centroid.
    qtb_segment, qtb_cutoff : Quantity, optional
    qtb_adaptation : float, optional
        Of integrator "qtb": length of segments, cutoff of the noise, inverse time, and
        rate of adaptation.
    checkpoint_interval : int, optional
        Steps between checkpoints. ``RunSettings`` has more on the settings up to here.
    reporters : sequence of OpenMM reporters
        Further reporters, such as ``reporters.PressureReporter``. When a run is
        resumed, files of this package's reporters are cut to the checkpoint; files of
        others are not.
    watchdogs : Watchdogs, optional
        Limits to watch, and what to do beyond them.
    variables : sequence of Variable
        Collective variables (``openmm_allegro.bias``), written as the run goes on.
    restraints : sequence of Restraint
        Harmonic restraints of variables.
    bias : Metadynamics, Opes or Plumed, optional
        A bias of variables that learns as the run goes on.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size.
    minimize_tolerance : Quantity, optional
        Root mean square force on atoms at which that ends: for a packed box ``100 *
        kilojoule_per_mole / nanometer``, 1,000 of them by default.
    state : openmm.State, optional
        End of another run: its positions, velocities and box replace ``positions``, the
        System's box and velocities that are drawn. With other masses than there, draw
        velocities all the same.
    draw_velocities : bool
        Whether to draw velocities in spite of ``state``.
    platform : str, optional
        Name of an OpenMM platform; the fastest present by default.
    threads : int, optional
        Threads of the CPU platform and of the model on the CPU.
    notes : dict, optional
        JSON values to keep in the record, by names that it does not have itself.
    seed : int
        Seed of velocities and thermostat, below 2³¹; 0 draws one, which is recorded.
    overwrite : bool
        Whether existing output may be replaced.
    resume : bool
        Whether to continue existing output, if there is any.
    progress : bool
        Whether to show progress, with ns/day and the time left.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``trajectory`` (XTC, not wrapped into the box), ``energies``
        (CSV; under NPT with the density), ``state`` (XML with positions, velocities and
        box), ``system`` (XML, with the barostat if any), ``checkpoint``, ``record``
        (JSON of settings and progress), and if asked for ``velocities`` (HDF5),
        ``dipoles`` (CSV) and ``charges`` (binary, ``utils.charge_records``); with
        variables ``variables``, and with a bias ``hills`` or ``kernels`` (CSV); of
        quantum nuclei ``nuclei`` (CSV of kinetic energies) and ``beads`` (XTC), with
        the centroid as the trajectory of a ring polymer.

    Raises
    ------
    FileExistsError
        If output exists and neither ``overwrite`` nor ``resume`` is set, or the record
        to resume from is missing.
    ValueError
        If a value is out of range, positions do not fit or are not finite, nothing can
        move, the System has a barostat or a thermostat already, the volume is to change
        and there is no box, energy and forces at the start are not finite, or the run
        to be resumed is another one, or lacks files.
    RuntimeError
        If the simulation becomes unstable, a reporter fails, a watchdog stops it
        (StopSimulation), the output cannot be written, or another run writes it. The
        files stay as they are then, with the last sane checkpoint.
    """
    settings, execution = run_settings(
        {
            "steps": steps,
            "ensemble": ensemble,
            "integrator": integrator,
            "temperature": temperature,
            "timestep": timestep,
            "friction": friction,
            "pressure": pressure,
            "barostat_interval": barostat_interval,
            "hydrogen_mass": hydrogen_mass,
            "report_interval": report_interval,
            "velocity_interval": velocity_interval,
            "dipole_interval": dipole_interval,
            "charge_interval": charge_interval,
            "variable_interval": variable_interval,
            "beads": beads,
            "classical_beads": classical_beads,
            "bead_interval": bead_interval,
            "qtb_segment": qtb_segment,
            "qtb_cutoff": qtb_cutoff,
            "qtb_adaptation": qtb_adaptation,
            "checkpoint_interval": checkpoint_interval,
            "minimize": bool(minimize),
            "minimize_tolerance": minimize_tolerance,
            "draw_velocities": bool(draw_velocities),
            "platform": platform,
            "threads": threads,
            "seed": seed,
            "overwrite": bool(overwrite),
            "resume": bool(resume),
            "progress": bool(progress),
        }
    )
    return execute(
        topology,
        positions,
        system,
        output,
        settings,
        execution,
        reporters=reporters,
        watchdogs=watchdogs,
        state=state,
        notes=notes,
        sampling=Sampling(variables, restraints, bias).of_run(),
    )
