# SPDX-License-Identifier: MIT
"""The input of LAMMPS that does what ``simulate`` does, in words that a user reads."""

import math
import textwrap
import zlib
from pathlib import Path

from .._version import __version__
from ..runs.names import lammps_paths_of, paths_of
from ..simulate.integrators import choose_integrator, start_temperature
from ..simulate.settings import Stage
from ..units import EV_TO_KJ_PER_MOL
from .ensembles import Segment, fixes, remarks, segments
from .output import DATA, INPUT, LOG, part_name, restart_names
from .plan import Begin, Plan

# Of ``simulate``: an RMS of 1000 kJ/mol/nm in all components, and iterations.
_LARGEST_FORCE, _ITERATIONS = 1000.0 / EV_TO_KJ_PER_MOL / 10.0, 200
# Fix langevin takes no larger seed, and adds the number of the process.
_SEEDS = 800_000_000
_HEADERS = (
    *("Step", "Time (ps)", "Potential Energy (kJ/mole)"),
    *("Kinetic Energy (kJ/mole)", "Total Energy (kJ/mole)", "Temperature (K)"),
)
_COLUMNS = (
    *("$(step)", "$(v_time:%.12g)", "$(v_potential:%.15g)", "$(v_kinetic:%.15g)"),
    *("$(v_total:%.15g)", "$(temp:%.9g)"),
)
_VOLUME = "Box Volume (nm^3)", "$(v_volume:%.12g)"
_DENSITY = "Density (g/mL)", "$(density:%.9g)"
_SPEED = "Speed (ns/day)", "$(v_speed:%.3g)"


def input_text(plan: Plan, folder: Path, begin: Begin | None = None) -> str:
    """Write the input of all stages from one on.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Folder of the run, in which LAMMPS is to work.
    begin : Begin, optional
        The data file and the first stage by default.

    Returns
    -------
    str
        Contents of ``in.lammps``.
    """
    begin = begin or Begin()
    lines = [
        *_head(plan, folder),
        *_guard(plan, folder, begin),
        *_system(plan, begin),
        *_interactions(plan),
        *_quantities(plan),
    ]
    for number in range(begin.stage, len(plan.stages)):
        step = begin.step if number == begin.stage else 0
        lines += _stage(plan, number, step, begin)
    return "\n".join([*lines, ""])


def _head(plan: Plan, folder: Path) -> list[str]:
    path = folder.resolve()
    return [
        f"# {plan.title} in LAMMPS, written by openmm-allegro {__version__}",
        f"#   mpirun -np 4 lmp -in {path / INPUT}",
        "# Each stage does what `openmm-allegro simulate` does with its settings,",
        "# but for what the lines above it say. Units: A, ps, eV, bar.",
        "",
        *_title("Files"),
        f'shell           cd "{path}"',
        "log             lammps.log append",
    ]


def _guard(plan: Plan, folder: Path, begin: Begin) -> list[str]:
    """Stop rather than write over a run that has come further than this input.

    ``resume`` leaves the restart file that it begins with as the second one, and no
    frames apart from the trajectory.
    """
    files = [lammps_paths_of(name) for name in plan.names[begin.stage :]]
    names = [str(path) for paths in files for path in paths.values()]
    names = [name for name in names if name != begin.restart]
    there = " || ".join(f"$(is_file({name}))" for name in names)
    remedy = f"openmm-allegro lammps {folder.resolve()} --resume"
    return [
        f'if "{there}" then &',
        "    \"print 'expected a run that has not begun, found restart files of it; &",
        f"type {remedy}, then the same line again'\" &",
        '    "quit 1"',
    ]


def _system(plan: Plan, begin: Begin) -> list[str]:
    boundary = "p p p" if plan.periodic else "s s s"
    lines = [
        *_title(f"System: {plan.atoms:,} atoms"),
        "units           metal",
        "atom_style      atomic",
        f"boundary        {boundary}",
    ]
    if begin.restart:
        return [*lines, f"read_restart    {begin.restart}"]
    lines.append(f"read_data       {DATA}")
    if plan.replicate != (1, 1, 1):
        lines.append("replicate       " + " ".join(map(str, plan.replicate)))
    return lines


def _interactions(plan: Plan) -> list[str]:
    lines = _title("Model")
    if plan.plugin:
        lines.append(f"plugin          load {plan.plugin}")
    check = "yes" if plan.skin else "no"
    elements = " ".join(one.element for one in plan.types)
    return [
        *lines,
        "pair_style      allegro",
        f"pair_coeff      * * {' '.join(plan.models)} {elements}",
        f"neighbor        {plan.skin:.6g} bin",
        f"neigh_modify    every 1 delay 0 check {check}",
    ]


def _quantities(plan: Plan) -> list[str]:
    """Variables in the units of the CSV."""
    lines = [
        *_title("Quantities of the tables, in units of OpenMM"),
        "variable        time      equal step*dt",
        *(
            f"variable        {name:9s} equal {keyword}*{EV_TO_KJ_PER_MOL:.10f}"
            for name, keyword in (
                ("potential", "pe"),
                ("kinetic", "ke"),
                ("total", "etotal"),
            )
        ),
        "variable        speed     equal 86.4*elapsed*dt/(cpu+1e-9)",
    ]
    if plan.periodic:
        lines.append("variable        volume    equal vol*0.001")
    box = " press vol density" if plan.periodic else ""
    return [
        *lines,
        f"thermo_style    custom step time temp pe ke etotal{box} spcpu",
        "thermo_modify   flush yes",
    ]


def _stage(plan: Plan, number: int, step: int, begin: Begin) -> list[str]:
    """Commands of a stage from a step on."""
    name, stage = plan.names[number], plan.stages[number]
    lines = [*_title(f"Stage {name}: {_describe(stage)}")]
    lines += _comments(remarks(stage))
    if _masses_change(plan, number, begin):
        lines += [
            f"mass            {i} {one.masses[number]:.10g}  # {one.element}"
            for i, one in enumerate(plan.types, start=1)
        ]
    if not step:
        lines += _start(plan, number)
    if not stage.steps:
        return [*lines, f"write_restart   {lammps_paths_of(name)['restart']}"]
    last_frame = begin.last_frame if step else 0
    lines += _reports(plan, number, step, last_frame)
    for part in segments(stage):
        if part.stop > step or part.stop == stage.steps:  # perhaps of no steps
            lines += _segment(plan, number, part, step)
    return [*lines, *_end(plan, number, step)]


def _masses_change(plan: Plan, number: int, begin: Begin) -> bool:
    """Whether masses are others than what LAMMPS has when the stage begins."""
    before = max(number - 1, 0)
    if begin.restart and number == begin.stage:
        before = number if begin.step else before
    return any(one.masses[number] != one.masses[before] for one in plan.types)


def _start(plan: Plan, number: int) -> list[str]:
    """Minimise and draw velocities, as a stage does before its first step."""
    stage, lines = plan.stages[number], []
    if stage.minimize:
        norm = _LARGEST_FORCE * math.sqrt(3 * plan.atoms)
        lines += [
            "# until forces are of thermal size, root mean square 1.04 eV/A",
            f"thermo          {_ITERATIONS // 10}",
            "min_style       cg",
            f"minimize        0.0 {norm:.6g} {_ITERATIONS} {10 * _ITERATIONS}",
        ]
    if stage.draw_velocities or not (number or plan.velocities):
        kelvin = start_temperature(stage.temperature_k)
        seed = plan.seed + number
        lines.append(f"velocity        all create {kelvin:.10g} {seed} mom yes")
    return [*lines, "reset_timestep  0"]


def _reports(plan: Plan, number: int, step: int, last_frame: int) -> list[str]:
    name, stage = plan.names[number], plan.stages[number]
    interval, paths = stage.report_interval, paths_of(name)
    picked = list(zip(_HEADERS, _COLUMNS, strict=True))
    if plan.periodic:
        picked.append(_VOLUME)
    if stage.has_barostat:
        picked.append(_DENSITY)
    picked.append(_SPEED)
    header = "#" + ",".join(f'"{column}"' for column, _ in picked)
    file, states = "append" if step else "file", lammps_paths_of(name)
    every = stage.record()["checkpoint_interval"]
    trajectory = states["part"] if step else paths["trajectory"]
    dump = [
        f"dump            frames all xtc {interval} {trajectory}",
        f"dump_modify     frames unwrap yes delay {last_frame + 1}",
    ]
    if not plan.frames:
        dump = [
            *_comments([f"no frames: {plan.atoms:,} atoms are too many to analyse"]),
            *(f"#{line}" for line in dump),
        ]
    row = ",".join(column for _, column in picked)
    stride = f"stride({interval},{stage.steps + interval},{interval})"
    return [
        f"timestep        {1e-3 * stage.timestep_fs:.10g}",
        f"thermo          {interval}",
        *dump,
        # not at the step that it begins with
        f"variable        report equal {stride}",
        f'fix             table all print v_report "{row}" &',
        f"                {file} {paths['energies']} screen no title '{header}'",
        f"restart         {every} {states['restart_1']} {states['restart_2']}",
    ]


def _segment(plan: Plan, number: int, part: Segment, step: int) -> list[str]:
    """Fixes and steps of a part of a ramp, of which some may be done."""
    seed = _seed(plan.seed + number, part.number, step)
    lines = [
        f"fix             {name:7s} {rest}"
        for name, rest in fixes(plan.stages[number], part, seed)
    ]
    run = f"run             {part.stop} upto"
    if part.temperatures[0] != part.temperatures[1]:
        run += f" start {part.start} stop {part.stop}"
    return [*lines, run]


def _end(plan: Plan, number: int, step: int) -> list[str]:
    name, stage = plan.names[number], plan.stages[number]
    used = [fix for fix, _ in fixes(stage, segments(stage)[0], 1)]
    states, paths = lammps_paths_of(name), paths_of(name)
    # the state of the end comes after all that was written before it
    lines = ["restart         0", "unfix           table"]
    if plan.frames:
        lines.append("undump          frames")
    lines.append(f"write_restart   {states['restart']}")
    lines += [f"unfix           {fix}" for fix in reversed(used)]
    if step and plan.frames:
        part, whole = states["part"], paths["trajectory"]
        lines.append(f'shell           "cat {part} >> {whole} && rm {part}"')
    return lines


def _seed(seed: int, *place: int) -> int:
    """Seed of random forces, others in each part of a ramp and after each restart."""
    if any(place):
        seed = zlib.crc32(" ".join(map(str, (seed, *place))).encode())
    return seed % _SEEDS + 1 if seed > _SEEDS else max(seed, 1)


def _describe(stage: Stage) -> str:
    time = stage.steps * stage.timestep_fs * 1e-3
    kelvin = " to ".join(f"{value:g}" for value in stage.temperature_k)
    bath = choose_integrator(stage.integrator, stage.ensemble)
    text = f"{stage.steps:,} steps of {stage.timestep_fs:g} fs ({time:g} ps), "
    text += f"{stage.ensemble} at {kelvin} K"
    if stage.has_barostat:
        text += f" and {stage.pressure_bar:g} bar"
    text += f", {bath}"
    if stage.ensemble != "nve":
        text += f" ({stage.friction_per_ps:g} / ps)"
    return text


def _title(text: str) -> list[str]:
    return ["", *textwrap.wrap(f"# ---- {text}", 88, subsequent_indent="#      ")]


def _comments(sentences: list[str]) -> list[str]:
    return [
        line
        for text in sentences
        for line in textwrap.wrap(
            f"# * {text}", 88, subsequent_indent="#   ", break_on_hyphens=False
        )
    ]
