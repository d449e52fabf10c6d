# SPDX-License-Identifier: MIT
"""Records of a run in LAMMPS, under the names that analyses and reports know."""

from pathlib import Path
from typing import Any

from .._version import __version__
from ..runs.names import LAMMPS, PROTOCOL, VELOCITIES_DRAWN, paths_of
from ..simulate.integrators import is_stochastic
from ..simulate.protocol import describe_stages
from ..utils.files import read_record, write_record
from .plan import Plan
from .stages import draws

# Monte Carlo moves, and frames that LAMMPS does not write.
_NOT_DONE = "barostat_interval", "velocity_interval"


def write_records(folder: Path, plan: Plan, notes: dict[str, Any]) -> None:
    """Write the record of the protocol and of each stage.

    Parameters
    ----------
    folder : Path
    plan : Plan
    notes : dict
        Models, their hashes and options.
    """
    protocol = describe_stages(plan.names, plan.stages, plan.seed)
    write_record(folder / PROTOCOL, protocol | {"engine": LAMMPS})
    for number, (name, stage) in enumerate(zip(plan.names, plan.stages, strict=True)):
        values = stage.record()
        for other in _NOT_DONE:
            values.pop(other, None)
        record = notes | {"atoms": plan.atoms} | values | {"seed": plan.seed + number}
        record |= {
            "engine": LAMMPS,
            "package_version": __version__,
            "minimized": stage.minimize,
            VELOCITIES_DRAWN: draws(plan, number),
            "stochastic_thermostat": is_stochastic(
                values["integrator"], values["ensemble"]
            ),
            "replicate": list(plan.replicate),
        }
        if plan.charges is not None:
            record["total_charge"] = plan.charges.total
        write_record(paths_of(folder / name)["record"], record)


def check_engine(path: Path) -> None:
    """Refuse the record of a run that OpenMM has put in the place of one in LAMMPS.

    Raises
    ------
    ValueError
    """
    if path.is_file() and read_record(path).get("engine") != LAMMPS:
        raise ValueError(
            f"expected the record of a run in LAMMPS at {path}, found that of a run in "
            "OpenMM, which openmm-allegro simulate continues"
        )


def write_steps(folder: Path, plan: Plan) -> None:
    """Write the steps of the last stage, which have changed, into the records."""
    steps, path = plan.stages[-1].steps, paths_of(folder / plan.names[-1])["record"]
    write_record(path, read_record(path) | {"steps": steps})
    protocol = read_record(folder / PROTOCOL)
    protocol["settings"][-1]["steps"] = steps
    write_record(folder / PROTOCOL, protocol)
