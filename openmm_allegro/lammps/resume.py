# SPDX-License-Identifier: MIT
"""Continue a run in LAMMPS that was killed or stopped, from its last restart file."""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runs.names import lammps_paths_of, paths_of
from ..runs.restarts import read_restart
from ..utils.files import lock_output, replace_file
from .input import input_text
from .output import INPUT, check_ended
from .plan import Begin, Plan, read_plan, write_plan
from .records import check_engine, write_steps
from .reports import Written, cut_frames, cut_table, read_written

# Files of a stage that LAMMPS appends to.
_GROWING = ("trajectory", "part", "energies")
_STATES = "restart_1", "restart_2", "restart"
_NOT_READY = "openmm-allegro lammps --resume was interrupted; let it end first"


class Resumed(NamedTuple):
    """A run that was made ready to be continued.

    Attributes
    ----------
    folder : Path
    plan : Plan
    begin : Begin or None
        Where it begins; None if it is finished.
    reached : int
        Last step that was written of the stage it begins with, which is cut to it.
    """

    folder: Path
    plan: Plan
    begin: Begin | None
    reached: int = 0

    @property
    def message(self) -> str:
        """Say where the run goes on."""
        if self.begin is None:
            return f"all stages of {self.folder} are finished"
        stage = self.plan.stages[self.begin.stage]
        name, step = self.plan.names[self.begin.stage], self.begin.step
        where = f"{name} begins"
        if step:
            where = f"{name} continues at step {step:,} of {stage.steps:,}"
        if self.reached > step:
            where += f"; steps up to {self.reached:,} are taken again"
        return where


def resume(folder: str | Path, steps: int | None = None) -> Resumed:
    """Make a run ready to be continued: its files agree, and its input begins there.

    Each stage that is finished has all its frames in one file afterwards. The stage
    that was interrupted is cut to its last restart file that is whole and has all
    frames and lines before it. To do so again changes nothing.

    Parameters
    ----------
    folder : path
        That ``prepare_run`` wrote.
    steps : int, optional
        Steps of the last stage, if it is to become longer.

    Returns
    -------
    Resumed

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run in the folder, files of it are missing or damaged, or the
        last stage cannot have as many steps.
    RuntimeError
        If LAMMPS is still running there, on this machine.
    """
    folder = Path(folder)
    plan = read_plan(folder)
    with lock_output(folder / "lammps"):
        check_ended(folder, plan.names)
        for name in plan.names:
            check_engine(paths_of(folder / name)["record"])
        if steps is not None:
            plan = _longer(plan, steps)
        begin = find_begin(folder, plan)
        first = len(plan.names) if begin is None else begin.stage
        reached = _written(folder, plan.names[first]).last if begin else 0
        if steps is not None:
            write_plan(folder, plan)
            write_steps(folder, plan)
        # until all is done, nothing may run from files that are in between
        replace_file(folder / INPUT, _stop(_NOT_READY, 1))
        for name, stage in zip(plan.names[:first], plan.stages, strict=False):
            every = stage.report_interval
            _cut(folder, name, stage.steps, stage.steps // every * every)
        later = plan.names[first:]
        if begin is not None and begin.step:
            _cut(folder, later[0], begin.step, begin.last_frame)
            begin = _keep_restart(folder, later[0], begin)
            later = later[1:]
        for name in later:
            _remove(folder, name)
        replace_file(folder / INPUT, _text(plan, folder, begin))
    return Resumed(folder, plan, begin, reached)


def _longer(plan: Plan, steps: int) -> Plan:
    """Give the last stage more steps."""
    name, stage = plan.names[-1], plan.stages[-1]
    if steps < stage.steps:
        raise ValueError(
            f"expected at least the {stage.steps} steps that {name} has, found {steps}"
        )
    if len(stage.temperature_k) > 1 and steps > stage.steps:
        raise ValueError(
            f"expected the {stage.steps} steps of {name}, because its temperature is a "
            f"ramp over all of them, found {steps}"
        )
    last = dataclasses.replace(stage, steps=steps)
    return dataclasses.replace(plan, stages=(*plan.stages[:-1], last))


def find_begin(folder: Path, plan: Plan) -> Begin | None:
    """Find where a run goes on, and change nothing.

    Returns
    -------
    Begin or None
        With the restart file as it is now; None if the run is finished.

    Raises
    ------
    ValueError
        If restart files are missing that there must have been, or frames or lines are
        missing before each of them.
    """
    begin = Begin()
    for number in reversed(range(len(plan.names))):
        name, stage = plan.names[number], plan.stages[number]
        end = lammps_paths_of(folder / name)["restart"]
        state = read_restart(end)
        if state is not None and state.step == stage.steps:
            begin = Begin(number + 1, 0, end.name)
            break
        within = _last_state(folder, plan, number)
        if within is not None:
            return within
    if begin.stage == len(plan.names):
        return None
    _check_new(folder, plan, begin.stage)
    return begin


def _last_state(folder: Path, plan: Plan, number: int) -> Begin | None:
    """Find the last restart file within a stage that all was written before."""
    name, stage = plan.names[number], plan.stages[number]
    paths = lammps_paths_of(folder / name)
    # the end of a stage that is longer now is one of them
    whole = {kind: read_restart(paths[kind]) for kind in _STATES}
    states = sorted(
        (state.step, paths[kind].name)
        for kind, state in whole.items()
        if state is not None and 0 < state.step <= stage.steps
    )
    if not states:
        return None
    written = _written(folder, name)
    for step, file in reversed(states):
        expected = np.arange(stage.report_interval, step + 1, stage.report_interval)
        frames, lines = (steps[steps <= step] for steps in written)
        # the frame of the step itself is in the restart file too
        enough = not plan.frames or np.array_equal(
            frames[frames < step], expected[expected < step]
        )
        if enough and np.array_equal(lines, expected):
            last_frame = int(max([0, *frames[-1:]]))
            return Begin(number, step, file, last_frame)
    raise ValueError(
        f"expected all frames and lines of energies of {name} up to step "
        f"{states[-1][0]}, which {states[-1][1]} has, found whole ones up to "
        f"{' and '.join(str(max([0, *x])) for x in written)}; bring the files back, or "
        f"remove {', '.join(f for _, f in states)} to run the stage from its start"
    )


def _check_new(folder: Path, plan: Plan, first: int) -> None:
    """Refuse to run stages from their start that had been saved already.

    Raises
    ------
    ValueError
    """
    stages = list(zip(plan.names, plan.stages, strict=True))
    for name, stage in stages[first:]:
        last = _written(folder, name).last
        if last > stage.record()["checkpoint_interval"]:
            paths = _paths(folder, name)
            raise ValueError(
                f"expected {paths['restart_1']} or {paths['restart_2']} of a stage "
                f"that has {last} steps, found none that is whole; bring them back, or "
                f"remove {paths['energies']} and {paths['trajectory']} to run the "
                "stage from its start"
            )


def _paths(folder: Path, name: str) -> dict[str, Path]:
    return paths_of(folder / name) | lammps_paths_of(folder / name)


def _written(folder: Path, name: str) -> Written:
    return read_written(*(_paths(folder, name)[kind] for kind in _GROWING))


def _cut(folder: Path, name: str, step: int, last_frame: int) -> None:
    paths = _paths(folder, name)
    cut_frames(paths["trajectory"], paths["part"], last_frame)
    cut_table(paths["energies"], step)


def _keep_restart(folder: Path, name: str, begin: Begin) -> Begin:
    """Keep a restart file alone, as the second, since LAMMPS begins with the first."""
    paths = lammps_paths_of(folder / name)
    if begin.restart != paths["restart_2"].name:
        os.replace(folder / str(begin.restart), paths["restart_2"])
    for kind in ("restart_1", "restart"):
        paths[kind].unlink(missing_ok=True)
    return begin._replace(restart=paths["restart_2"].name)


def _remove(folder: Path, name: str) -> None:
    """Remove what is there of a stage that begins anew."""
    paths = _paths(folder, name)
    for kind in (*_GROWING, *lammps_paths_of(name)):
        paths[kind].unlink(missing_ok=True)


def _text(plan: Plan, folder: Path, begin: Begin | None) -> str:
    """Input that begins there, or says that nothing is left to do."""
    text = input_text(plan, folder, begin)
    if begin is not None:
        return text
    return _stop(f"all stages of {folder.resolve()} are finished", 0) + f"\n{text}"


def _stop(text: str, code: int) -> str:
    """Input that says something and ends."""
    return f'print           "{text}"\nquit            {code}\n'
