# SPDX-License-Identifier: MIT
"""The hardware of a run: an OpenMM platform, threads, and their record."""

import contextlib
import os
import sys
from collections.abc import Iterator

import openmm

from ..forces.systems import with_variables
from ..plugin.card import PLATFORMS
from ..plugin.engine import is_native
from ..plugin.library import obstacle_of_last_context
from ..utils.process import processor_name

# Fastest first. OpenCL is left out: openmm-torch does not run there.
_PLATFORMS = ("CUDA", "HIP", "CPU", "Reference")
_VARIABLE = "OPENMM_CPU_THREADS"


def choose_platform(
    name: str | None, threads: int | None = None
) -> tuple[openmm.Platform, dict[str, str]]:
    """Get an OpenMM platform by its name, or the fastest that is present.

    Parameters
    ----------
    name : str, optional
    threads : int, optional
        Threads of the platform, if it has that property.

    Returns
    -------
    platform : openmm.Platform
    properties : dict
        Properties of a Context on it.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    count = openmm.Platform.getNumPlatforms()
    present = [openmm.Platform.getPlatform(i).getName() for i in range(count)]
    if name is None:
        name = next(p for p in _PLATFORMS if p in present)
    if name not in present:
        raise ValueError(f"expected a platform of {present}, found {name!r}")
    chosen = openmm.Platform.getPlatformByName(name)
    if threads is None or "Threads" not in chosen.getPropertyNames():
        return chosen, {}
    return chosen, {"Threads": str(threads)}


def describe_hardware(context: openmm.Context) -> dict[str, str | int]:
    """Describe what a Context, the one made last, computes on, for a run's record."""
    chosen = context.getPlatform()
    names = chosen.getPropertyNames()
    hardware: dict[str, str | int] = {"processor": processor_name()}
    if "DeviceName" in names:
        hardware["device"] = chosen.getPropertyValue(context, "DeviceName")
    if "Threads" in names:
        hardware["threads"] = int(chosen.getPropertyValue(context, "Threads"))
    forces = with_variables(context.getSystem())
    if chosen.getName() in PLATFORMS and any(map(is_native, forces)):
        obstacle = obstacle_of_last_context()
        hardware["native_force"] = f"processor: {obstacle}" if obstacle else "device"
    if torch := sys.modules.get("torch"):
        hardware["torch_threads"] = torch.get_num_threads()
    return hardware


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Give models this many threads, in torch if it is loaded; as before if None.

    Forces that run in torch have loaded it. Native ones have the threads of the CPU
    platform, and on others those of a variable of the environment.
    """
    torch = sys.modules.get("torch")
    before = os.environ.get(_VARIABLE), torch.get_num_threads() if torch else 0
    if count is not None:
        os.environ[_VARIABLE] = str(count)
        if torch:
            torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before[1])
        if before[0] is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before[0]
