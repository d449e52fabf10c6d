# SPDX-License-Identifier: MIT
"""The hardware of a run: an OpenMM platform, threads, and their record."""

import contextlib
from collections.abc import Iterator

import openmm
import torch

from ..utils.process import processor_name

# Fastest first. OpenCL is left out: openmm-torch does not run there.
_PLATFORMS = ("CUDA", "HIP", "CPU", "Reference")


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
    """Describe what a Context computes on, for the record of a run."""
    chosen = context.getPlatform()
    names = chosen.getPropertyNames()
    hardware: dict[str, str | int] = {"processor": processor_name()}
    if "DeviceName" in names:
        hardware["device"] = chosen.getPropertyValue(context, "DeviceName")
    if "Threads" in names:
        hardware["threads"] = int(chosen.getPropertyValue(context, "Threads"))
    hardware["torch_threads"] = torch.get_num_threads()
    return hardware


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Give torch, and so the fused kernel, this many threads; as before if None."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
