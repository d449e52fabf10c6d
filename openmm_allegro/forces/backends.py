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


class Choice(NamedTuple):
    """A backend, and the reason for it in words that begin with its name."""

    backend: str
    reason: str


def choose_backend(
    asked: str = AUTO,
    *,
    device: object = None,
    not_native: str = "",
    not_on_card: str = "",
) -> Choice:
    """Choose the backend that "auto" stands for; others are taken as they are.

    It is TorchForce where openmm-torch is installed and works with this OpenMM, else
    the native force, else PythonForce. Where OpenMM would use a card and the native
    force has no kernels for its Platform, but torch can use CUDA, PythonForce comes
    first.

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

    Raises
    ------
    ImportError
        If there is no backend; the message says what to install.
    """
    if asked != AUTO:
        return Choice(asked, f"{CLASSES[asked]}, as asked for")
    if device is not None:
        return Choice("pythonforce", f"PythonForce: device={str(device)!r} asked for")
    no_torch_force = _obstacle_of_torch_force()
    if not no_torch_force:
        version = installed_version("openmmtorch") or ""
        return Choice("torchforce", f"TorchForce of openmm-torch {version}".rstrip())
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


def _obstacle_of_torch_force() -> str:
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
    reasons = installed_known_bad()
    if reasons:
        return reasons[0]
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
