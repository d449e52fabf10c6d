# SPDX-License-Identifier: MIT
"""Choose the backend of a model's force, and say why."""

import importlib.util
import os
import re
from typing import NamedTuple

import openmm

from ..plugin.card import PLATFORMS, obstacle_on
from ..plugin.library import plugin
from ..utils.compatibility import installed_known_bad, installed_version
from .torch_force import register_torch_force

AUTO = "auto"
CLASSES = {"torchforce": "TorchForce", "pythonforce": "PythonForce", "native": "native"}
# Platforms of the processor.
ON_PROCESSOR = ("CPU", "Reference")
_SOONER = (
    "on the Platform {} it starts in seconds, and TorchForce, the other choice "
    "(backend='torchforce'), in most of a minute, for steps that are as fast"
)
_LATER = (
    ", which takes most of a minute to start; the native force starts in seconds, but "
    "cannot be used ({})"
)


class Choice(NamedTuple):
    """A backend, and the reason for it in words that begin with its name."""

    backend: str
    reason: str


class PlannedRun(NamedTuple):
    """What is known of the run that a force is made for; "auto" depends on it.

    Attributes
    ----------
    platform : str
        Name of its OpenMM Platform; empty if it is not known.
    recorded : str
        Backend with which it began, if it is to be resumed.
    """

    platform: str = ""
    recorded: str = ""


UNKNOWN = PlannedRun()


def choose_backend(
    asked: str = AUTO,
    *,
    device: object = None,
    not_native: str = "",
    not_on_card: str = "",
    run: PlannedRun = UNKNOWN,
) -> Choice:
    """Choose the backend that "auto" stands for; others are taken as they are.

    A run that is resumed keeps the backend that it began with, if it is there. A run
    on a Platform of the processor takes the native force, if there is one for the
    model: its steps take as long as TorchForce's, its start seconds rather than most
    of a minute.

    In all other cases it is TorchForce where openmm-torch is installed and works with
    this OpenMM, else the native force, else PythonForce. Where OpenMM would use a card
    and the native force has no kernels for its Platform, but torch can use CUDA,
    PythonForce comes first.

    Parameters
    ----------
    asked : str
        "auto", or a backend.
    device : str or torch.device, optional
        Device that is asked for, which PythonForce alone takes.
    not_native : str
        Why the native force cannot compute the model; empty if it can.
    not_on_card : str
        Why it cannot on a card; empty if it can where it has kernels.
    run : PlannedRun
        The run, where it is known before the force.

    Raises
    ------
    ImportError
        If there is no backend; the message says what to install.
    """
    if asked != AUTO:
        return Choice(asked, f"{CLASSES[asked]}, as asked for")
    if device is not None:
        return Choice("pythonforce", f"PythonForce: device={str(device)!r} asked for")
    if run.recorded in CLASSES and not _obstacle_of(run.recorded, not_native):
        began = f"{CLASSES[run.recorded]}, with which the run began"
        return Choice(run.recorded, began)
    no_native = ""
    if run.platform in ON_PROCESSOR:
        no_native = _obstacle_of("native", not_native)
        if not no_native:
            other = _obstacle_by_versions()  # torch is not loaded for that
            return Choice("native", f"native: {other or _SOONER.format(run.platform)}")
    no_torch_force = _obstacle_of_torch_force()
    if not no_torch_force:
        version = installed_version("openmmtorch") or ""
        reason = f"TorchForce of openmm-torch {version}".rstrip()
        return Choice("torchforce", reason + (no_native and _LATER.format(no_native)))
    no_python_force = _obstacle_of_python_force()
    no_native = not_native or _obstacle_of_native()
    platform = _card_platform()
    no_card = no_native or not_on_card or (platform and obstacle_on(platform))
    if platform and not no_card:
        where = f"it has kernels for the card of OpenMM's Platform {platform}"
        return Choice("native", f"native: {no_torch_force}; {where}")
    if platform == "CUDA" and not no_python_force and _torch_has_cuda():
        reason = f"PythonForce: {no_torch_force}; the native force would leave the GPU"
        return Choice("pythonforce", f"{reason} idle ({no_card})")
    if not no_native:
        return Choice("native", f"native: {no_torch_force}")
    if not no_python_force:
        return Choice(
            "pythonforce",
            f"PythonForce: {no_torch_force}, and there is no native force ({no_native})"
            ", so it needs torch's memory; starts, steps and volume moves are slower",
        )
    raise ImportError(
        "backend='auto' expects a native force, openmm-torch or torch, found none: "
        f"{no_native}; {no_torch_force}; {no_python_force}; pip install "
        "'openmm-allegro[torchforce]' brings two of them"
    )


def _obstacle_of(backend: str, not_native: str) -> str:
    """Why a backend cannot compute a model, which the native force may be unable to."""
    if backend == "torchforce":
        return _obstacle_of_torch_force()
    if backend == "pythonforce":
        return _obstacle_of_python_force()
    return not_native or _obstacle_of_native()


def _obstacle_by_versions() -> str:
    """Why openmm-torch cannot work, as far as that is known without loading it."""
    if importlib.util.find_spec("openmmtorch") is None:
        return "openmm-torch is not installed"
    version = installed_version("openmmtorch") or ""
    # Of any openmm-torch that was built before: see utils.compatibility.
    is_old = tuple(int(n) for n in openmm.__version__.split(".")[:2]) < (8, 6)
    if not is_old and (not version or version.startswith("1.5")):
        return (
            f"openmm-torch {version} crashes with OpenMM {openmm.__version__} when "
            "Systems are copied or read"
        )
    return next(iter(installed_known_bad()), "")


def _obstacle_of_torch_force() -> str:
    obstacle = _obstacle_by_versions()
    if obstacle:
        return obstacle
    try:
        register_torch_force()
    except ImportError as error:
        return f"openmm-torch cannot be used ({error.__cause__ or error})"
    return ""


def _obstacle_of_native() -> str:
    try:
        plugin()
    except ImportError as error:
        text = str(error).splitlines()[0]
        return re.sub("^backend='native' ", "the plugin ", text)
    return ""


def _obstacle_of_python_force() -> str:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    if not hasattr(openmm, "PythonForce"):
        return f"OpenMM {openmm.__version__} has no PythonForce, which 8.5 brought"
    return ""


def _card_platform() -> str:
    """Platform with a card that OpenMM uses unless it is told otherwise, or nothing."""
    count = openmm.Platform.getNumPlatforms()
    names = {openmm.Platform.getPlatform(i).getName() for i in range(count)}
    cards = [name for name in PLATFORMS if name in names]  # the fastest first
    wanted = os.environ.get("OPENMM_DEFAULT_PLATFORM")
    if wanted in names:
        return wanted if wanted in cards else ""
    return cards[0] if cards else ""


def _torch_has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
