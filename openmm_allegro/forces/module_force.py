# SPDX-License-Identifier: MIT
"""Forces over a module of torch: TorchForce and PythonForce."""

import copy
import sys
from typing import TYPE_CHECKING

import openmm

from ..plugin.engine import is_native
from .functions import _Computation, python_force, python_function
from .systems import FORCE_NAME, NAMES
from .torch_force import register_torch_force

if TYPE_CHECKING:
    import torch

BACKENDS = ("torchforce", "pythonforce")


def make_force(
    module: "torch.jit.ScriptModule",
    *,
    backend: str,
    periodic: bool,
    device: "str | torch.device | None" = None,
) -> openmm.Force:
    """Make a force that calls ``module(positions[, boxvectors]) -> energy, forces``.

    Parameters
    ----------
    module : ScriptModule
        In nm and kJ/mol, see ``potential.module.ForceModule``.
    backend : str
        "torchforce" (openmm-torch) or "pythonforce" (OpenMM alone, any torch).
    periodic : bool
        Whether OpenMM hands the box over.
    device : str or torch.device, optional
        Where PythonForce runs the module: "cpu", "cuda" or "cuda:N"; by default CUDA
        if there is any. TorchForce runs it where the Platform runs.

    Raises
    ------
    ImportError
        If the backend's package is missing.
    ValueError
        If the backend is unknown, or the device is unknown, absent or given to
        TorchForce.
    """
    if backend == "torchforce":
        if device is not None:
            raise ValueError(
                "backend='torchforce': expected no device, because the module runs "
                f"where the OpenMM Platform runs, found device={str(device)!r}; choose "
                "the Platform and its DeviceIndex, or use backend='pythonforce'"
            )
        force = register_torch_force()(module)
        force.setOutputsForces(True)
    elif backend == "pythonforce":
        force = python_force(_Computation(module, periodic, device))
    else:
        raise ValueError(f"expected backend of {BACKENDS}, found {backend!r}")
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName(FORCE_NAME)
    return force


def allegro_module(force: openmm.Force) -> "torch.jit.ScriptModule | None":
    """Get the module of an Allegro force, or None of a native or another force."""
    if force.getName() not in NAMES or is_native(force):
        return None
    if type(force).__name__ == "PythonForce":
        function = python_function(force)
        return function.module if isinstance(function, _Computation) else None
    # No process has a TorchForce that has not imported its package.
    if "openmmtorch" not in sys.modules:
        return None
    TorchForce = register_torch_force()
    if not TorchForce.isinstance(force):
        return None
    module = TorchForce.cast(force).getModule()
    ours = hasattr(module, "atoms") or hasattr(module, "ratio")  # of a CappedModule
    return module if ours else None


def own_copy(
    module: "torch.jit.ScriptModule", context: openmm.Context
) -> "torch.jit.ScriptModule":
    """Copy a force's module to the device on which a Context computes."""
    import torch

    on_cuda = context.getPlatform().getName() == "CUDA" and torch.cuda.is_available()
    return copy.deepcopy(module).to("cuda" if on_cuda else "cpu")
