# SPDX-License-Identifier: MIT
"""Commands of LAMMPS that run a stage: masses, start, reports, steps, end."""

import math
import textwrap
import zlib

from ..runs.names import lammps_paths_of, paths_of
from ..simulate.integrators import choose_integrator, start_temperature
from ..simulate.minimizer import MINIMIZER_TOLERANCE, most_iterations
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
from .ensembles import Segment, fixes, segments
from .plan import Begin, Plan
from .table import write_table

# Fix langevin takes no larger seed, and adds the number of the process.
_SEEDS = 800_000_000


def stage_lines(plan: Plan, number: int, begin: Begin) -> list[str]:
    """Commands of a stage, from its first step or that of the restart file on.

    Parameters
    ----------
    plan : Plan
    number : int
        Of the stage, from 0.
    begin : Begin
        Where the run begins, with this stage or an earlier one.
    """
    step = begin.step if number == begin.stage else 0
    name, stage = plan.names[number], plan.stages[number]
    lines = [
        *title(f"Stage {name}: {_describe(plan, number)}"),
        *_masses(plan, number, begin),
    ]
    if not step:
        lines += _start(plan, number)
    if not stage.steps:
        return [*lines, f"write_restart   {lammps_paths_of(name)['restart']}"]
    last_frame = begin.last_frame if step else 0
    lines += _reports(plan, number, step, last_frame)
    before: list[tuple[str, str]] = []
    for part in segments(stage):
        if part.stop > step or part.stop == stage.steps:  # perhaps of no steps
            now = fixes(stage, part, _seed(plan.seed + number, part.number, step))
            lines += [_fix(*one) for one in now if one not in before]
            lines.append(_run(part))
            before = now
    return [*lines, *_end(plan, number, step, [fix for fix, _ in before])]


def title(text: str) -> list[str]:
    """Comment that begins a section."""
    return ["", *textwrap.wrap(f"# ---- {text}", 88, subsequent_indent="#      ")]


def comments(sentences: list[str]) -> list[str]:
    """Sentences as comments of lines that fit a screen."""
    return [
        line
        for text in sentences
        for line in textwrap.wrap(
            f"# {text}", 88, subsequent_indent="#   ", break_on_hyphens=False
        )
    ]


def _describe(plan: Plan, number: int) -> str:
    stage = plan.stages[number]
    if not stage.steps:
        return "minimisation alone"
    time = stage.steps * stage.timestep_fs * 1e-3
    text = f"{stage.steps:,} steps of {stage.timestep_fs:g} fs ({time:g} ps), "
    text += stage.ensemble
    if stage.ensemble != "nve" or draws(plan, number):
        text += " at " + " to ".join(f"{kelvin:g}" for kelvin in stage.temperature_k)
        text += " K"
    if stage.has_barostat:
        text += f" and {stage.pressure_bar:g} bar"
    text += f", {choose_integrator(stage.integrator, stage.ensemble)}"
    if stage.ensemble != "nve":
        text += f" ({stage.friction_per_ps:g}/ps)"
    return text


def _masses(plan: Plan, number: int, begin: Begin) -> list[str]:
    """Masses where they are others than those that LAMMPS has."""
    before = max(number - 1, 0)
    if begin.restart and number == begin.stage and begin.step:
        before = number
    if all(one.masses[number] == one.masses[before] for one in plan.types):
        return []
    return [
        f"mass            {i} {one.masses[number]:.10g}  # {one.element}"
        for i, one in enumerate(plan.types, start=1)
    ]


def _start(plan: Plan, number: int) -> list[str]:
    """Minimise and draw velocities, as a stage does before its first step."""
    stage, lines = plan.stages[number], []
    if stage.minimize:
        tolerance = stage.minimize_tolerance_kj_mol_nm or MINIMIZER_TOLERANCE
        force = tolerance / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
        norm = force * math.sqrt(plan.atoms)
        most = most_iterations(tolerance)
        thermal = "of thermal size, " if tolerance == MINIMIZER_TOLERANCE else ""
        lines += [
            f"# until forces are {thermal}{force:.3g} eV/A of an atom in the root mean "
            "square; minimize takes the norm of all",
            "thermo          20",
            f"minimize        0.0 {norm:.6g} {most} {10 * most}",
        ]
    if draws(plan, number):
        kelvin = start_temperature(stage.temperature_k)
        draw = f"{kelvin:.10g} {plan.seed + number} mom yes dist gaussian"
        lines.append(f"velocity        all create {draw}")
    else:  # a state of OpenMM has a momentum, and other masses give one
        lines += _keep_kinetic_energies(plan, number)
        lines.append("velocity        all zero linear  # the centre of mass rests")
    return [*lines, "reset_timestep  0"]


def _keep_kinetic_energies(plan: Plan, number: int) -> list[str]:
    """Scale velocities of atoms whose masses are others than in the stage before."""
    factors = [
        math.sqrt(one.masses[max(number - 1, 0)] / one.masses[number])
        for one in plan.types
    ]
    terms = [
        f"(type=={i})*{factor - 1.0:.10g}"
        for i, factor in enumerate(factors, start=1)
        if factor != 1.0
    ]
    if not terms:
        return []
    scale = "+".join(["1", *terms]).replace("+(type", " &\n    +(type")
    return [
        "# each atom keeps its kinetic energy with its new mass",
        f'variable        scale atom "{scale}"',
        *(f"variable        scaled_{v} atom {v}*v_scale" for v in ("vx", "vy", "vz")),
        "velocity        all set v_scaled_vx v_scaled_vy v_scaled_vz",
    ]


def draws(plan: Plan, number: int) -> bool:
    """Tell whether a stage begins with velocities of its own."""
    return plan.stages[number].draw_velocities or not (number or plan.velocities)


def _reports(plan: Plan, number: int, step: int, last_frame: int) -> list[str]:
    """Step size, and all that is written every so many steps."""
    name, stage = plan.names[number], plan.stages[number]
    paths, states = paths_of(name), lammps_paths_of(name)
    trajectory = states["part"] if step else paths["trajectory"]
    table = f"{'append' if step else 'file'} {paths['energies']}"
    every = stage.record()["checkpoint_interval"]
    velocities = []
    if stage.velocity_interval:
        file = f"{stage.velocity_interval} {name}.velocities.gz"
        velocities = [f"#dump           velocities all custom {file} id vx vy vz"]
    return [
        f"timestep        {1e-3 * stage.timestep_fs:.10g}",
        f"thermo          {stage.report_interval}",
        *_frames(
            plan,
            f"dump            frames all xtc {stage.report_interval} {trajectory}",
            f"dump_modify     frames unwrap yes delay {last_frame + 1}",
        ),
        *velocities,
        *write_table(plan, stage, table),
        f"restart         {every} {states['restart_1']} {states['restart_2']}",
    ]


def _frames(plan: Plan, *commands: str) -> list[str]:
    """Commands of frames, as comments where there are none."""
    return [command if plan.frames else f"#{command}" for command in commands]


def _fix(name: str, rest: str) -> str:
    return f"fix             {name} {rest}"


def _run(part: Segment) -> str:
    first, last = part.temperatures
    ramp = f" start {part.start} stop {part.stop}" if first != last else ""
    return f"run             {part.stop} upto{ramp}"


def _end(plan: Plan, number: int, step: int, used: list[str]) -> list[str]:
    """Write the state of the end, after all that comes before it."""
    name = plan.names[number]
    paths, states = paths_of(name), lammps_paths_of(name)
    lines = [
        "restart         0",
        "unfix           table",
        *_frames(plan, "undump          frames"),
        *(
            ["#undump         velocities"]
            if plan.stages[number].velocity_interval
            else []
        ),
        f"write_restart   {states['restart']}",
        *(f"unfix           {fix}" for fix in reversed(used)),
    ]
    if step and plan.frames:
        part, whole = states["part"], paths["trajectory"]
        lines.append(f'shell           "cat {part} >> {whole} && rm {part}"')
    return lines


def _seed(seed: int, *place: int) -> int:
    """Seed of random forces, others in each part of a ramp and after each restart."""
    if any(place):
        seed = zlib.crc32(" ".join(map(str, (seed, *place))).encode())
    return seed if 0 < seed <= _SEEDS else seed % _SEEDS + 1
