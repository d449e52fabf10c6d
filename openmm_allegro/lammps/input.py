# SPDX-License-Identifier: MIT
"""The input of LAMMPS that does what ``simulate`` does, in words that a user reads."""

import shlex
from pathlib import Path

from .._version import __version__
from ..runs.names import lammps_paths_of, paths_of
from .charges import charge_lines, total_charge
from .data import atom_style
from .ensembles import remarks
from .output import DATA, LOG, is_plain, run_line
from .plan import Begin, Plan
from .stages import comments, stage_lines, title
from .table import define_quantities


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
    begin, folder = begin or Begin(), folder.resolve()
    lines = [
        *_head(plan, folder),
        *_differences(plan, begin),
        *_folder(plan, folder, begin),
        *_system(plan, begin),
        *_model(plan),
        *title("Quantities of the table, in OpenMM's units"),
        *define_quantities(plan),
    ]
    for number in range(begin.stage, len(plan.stages)):
        lines += stage_lines(plan, number, begin)
    return "\n".join([*lines, ""])


def _head(plan: Plan, folder: Path) -> list[str]:
    path = shlex.quote(str(folder))
    prefix = shlex.quote(str(folder / plan.names[-1]))
    lines = [
        f"# {plan.title}: what `openmm-allegro simulate` runs, in LAMMPS.",
        f"# Written by openmm-allegro {__version__}.",
        "# LAMMPS needs its packages PLUGIN, and EXTRA-DUMP for frames in XTC.",
        "#",
        f"#   run       {run_line(folder)}",
        f"#   continue  openmm-allegro lammps {path} --resume",
        "#             (it writes this file anew, without your changes), and run again",
        f"#   analyse   openmm-allegro analyze rdf {prefix}",
    ]
    return [line.encode("ascii", "replace").decode() for line in lines]


def _differences(plan: Plan, begin: Begin) -> list[str]:
    """Say what differs from simulate, each difference once."""
    stages = [stage for stage in plan.stages[begin.stage :] if stage.steps]
    sentences = dict.fromkeys(text for stage in stages for text in remarks(stage))
    lines = ["#", "# Units are those of `units metal`: A, ps, eV, bar, K, Da."]
    if sentences:
        lines.append("# What differs from simulate:")
    return [*lines, *comments([f"* {text}" for text in sentences])]


def _folder(plan: Plan, folder: Path, begin: Begin) -> list[str]:
    """Work in the folder, unless a run in it has begun what this input does.

    ``resume`` leaves the restart file that it begins with as the second one, no frames
    apart from the trajectory, and nothing of a stage that begins.
    """
    name = plan.names[begin.stage]
    paths = [*lammps_paths_of(name).values()]
    if not begin.step:
        paths.append(paths_of(name)["energies"])
    files = [str(path) for path in paths if str(path) != begin.restart]
    condition = " || &\n    ".join(f"$(is_file({name}))" for name in files)
    lines = [
        *title("Folder: if it is moved or copied, continue (above) writes this anew"),
        f'shell           cd "{folder}"',
    ]
    if not is_plain(folder):
        lines = title("Run LAMMPS in this folder: it cannot read the folder's path")
    return [
        *lines,
        f"log             {LOG} append",
        f'if "{condition}" then &',
        "    \"print 'expected a run that has not come further than this input, &",
        "found files of it; openmm-allegro lammps --resume continues it'\" &",
        '    "quit 1"',
    ]


def _system(plan: Plan, begin: Begin) -> list[str]:
    lines = [
        *title(f"System: {plan.atoms:,} atoms"),
        "units           metal",
        f"atom_style      {atom_style(plan.charges is not None)}",
    ]
    if not plan.periodic:
        lines += comments(["no box: it follows the atoms, without periodic images"])
    lines.append(f"boundary        {'p p p' if plan.periodic else 's s s'}")
    if begin.restart:
        return [*lines, f"read_restart    {begin.restart}"]
    lines.append(f"read_data       {DATA}")
    if plan.replicate != (1, 1, 1):
        lines.append("replicate       " + " ".join(map(str, plan.replicate)))
    return lines


def _model(plan: Plan) -> list[str]:
    lines = title("Model")
    if plan.plugin:
        lines.append(f"plugin          load ./{plan.plugin}")
    elements = " ".join(one.element for one in plan.types)
    lines += [
        f"pair_style      allegro{total_charge(plan)}",
        f"pair_coeff      * * {' '.join(plan.models)} {elements}",
        f"neighbor        {plan.skin:.6g} bin",
        f"neigh_modify    every 1 delay 0 check {'yes' if plan.skin else 'no'}",
    ]
    lines += charge_lines(plan)
    if len(plan.models) > 1:
        lines += comments(
            ["forces are means; c_deviation is the largest deviation of one, eV/A"]
        )
        lines += [
            "#fix            deviation all pair 1 allegro deviation 1",
            "#compute        deviation all reduce max f_deviation",
        ]
    if plan.frames:
        lines += comments(["all frames up to a restart file are written before it"])
        lines.append("fix             flush all allegro/flush")
    return lines
