# SPDX-License-Identifier: MIT
"""The table of energies that LAMMPS writes, as OpenMM's StateDataReporter would."""

from ..runs.table import ENERGY_COLUMNS, SPEED
from ..simulate.settings import Stage
from ..units import EV_TO_KJ_PER_MOL
from .plan import Plan

# By names of ENERGY_COLUMNS: what LAMMPS evaluates when it writes a line. The drift of
# the energy of many atoms is in the last digits.
_VALUES = {
    "step": "$(step)",
    "time": "$(v_time:%.12g)",
    "potential": "$(v_potential:%.15g)",
    "kinetic": "$(v_kinetic:%.15g)",
    "total": "$(v_total:%.15g)",
    "temperature": "$(temp:%.9g)",
    "volume": "$(v_volume:%.12g)",
    "density": "$(density:%.9g)",
}
_SPEED = SPEED, "$(v_speed:%.3g)"
# Columns on the first of the two lines that they take in the input.
_FIRST = 4


def define_quantities(plan: Plan) -> list[str]:
    """Commands that define quantities in OpenMM's units, and the log's columns."""
    energies = {"potential": "pe", "kinetic": "ke", "total": "etotal"}
    lines = [
        "variable        time      equal step*dt",
        *(
            f"variable        {name:9s} equal {keyword}*{EV_TO_KJ_PER_MOL:.10f}"
            for name, keyword in energies.items()
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


def write_table(plan: Plan, stage: Stage, file: str) -> list[str]:
    """Commands that write lines of the table, but none for step 0.

    Parameters
    ----------
    plan : Plan
    stage : Stage
    file : str
        "file" or "append", and the name.
    """
    columns = [
        (ENERGY_COLUMNS[name], value)
        for name, value in _VALUES.items()
        if (name != "volume" or plan.periodic)
        and (name != "density" or stage.has_barostat)
    ]
    columns.append(_SPEED)
    values = [value for _, value in columns]
    header = "#" + ",".join(f'"{name}"' for name, _ in columns)
    every, last = stage.report_interval, stage.steps + stage.report_interval
    return [
        f"variable        report equal stride({every},{last},{every})",
        "fix             table all print v_report &",
        f'    "{",".join(values[:_FIRST])},&',
        f'{",".join(values[_FIRST:])}" &',
        f"    {file} screen no &",
        f"    title '{header}'",
    ]
