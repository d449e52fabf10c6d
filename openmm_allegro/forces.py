# SPDX-License-Identifier: MIT
"""From a scripted module to an ``openmm.Force``; only here are force classes named."""

import contextlib
import ctypes
import functools
import io
import logging
import re
from importlib import metadata
from typing import Any

import numpy as np
import openmm
import torch
from openmm import unit

BACKENDS = ("torchforce", "pythonforce")


def make_force(
    module: torch.jit.ScriptModule, *, backend: str, periodic: bool
) -> openmm.Force:
    """A force that calls ``module(positions[, boxvectors]) -> (energy, forces)``.

    Parameters
    ----------
    module : ScriptModule
        In nm and kJ/mol, see ``deploy.ForceModule``.
    backend : str
        "torchforce" (openmm-torch) or "pythonforce" (OpenMM alone, any torch).
    periodic : bool
        Whether OpenMM hands the box over.

    Raises
    ------
    ImportError
        If the backend's package is missing.
    ValueError
        If the backend is unknown.
    """
    if backend == "torchforce":
        force = register_torch_force()(module)
        force.setOutputsForces(True)
    elif backend == "pythonforce":
        if not hasattr(openmm, "PythonForce"):
            raise ImportError(
                "backend='pythonforce' expects openmm >= 8.5, found "
                f"{openmm.__version__}"
            )
        force = openmm.PythonForce(_Computation(module, periodic))
    else:
        raise ValueError(f"expected backend of {BACKENDS}, found {backend!r}")
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName("Allegro")
    return force


@functools.cache
def register_torch_force() -> Any:
    """The TorchForce class, with its kernels and its serialization known to OpenMM.

    OpenMM loads its plugins when it is imported. Those of openmm-torch need torch's
    libraries, so they fail if torch was not imported before, and are loaded here.

    Raises
    ------
    ImportError
        If openmm-torch cannot be imported.
    """
    _load_nvrtc()
    # openmmtorch 1.5 imports simtk.openmm, which tells the root logger that it is old.
    root = logging.getLogger()
    root.addFilter(_is_not_about_simtk)
    try:
        from openmmtorch import TorchForce
    except ImportError as error:
        raise ImportError(
            "backend='torchforce' expects openmm-torch, found that it cannot be "
            f"imported ({error}). Install the extra: "
            "pip install 'openmm-allegro[torchforce]' (conda: openmm-torch), or use "
            "backend='pythonforce', which needs no more than OpenMM"
        ) from error
    finally:
        root.removeFilter(_is_not_about_simtk)
    for failure in openmm.Platform.getPluginLoadFailures():
        library = re.search(r"\S*OpenMMTorch\w*\.\w+", failure)
        if library:
            # Platforms that this machine lacks fail again, and are not needed.
            with contextlib.suppress(openmm.OpenMMException):
                openmm.Platform.loadPluginLibrary(library[0])
    return TorchForce


def _load_nvrtc() -> None:
    """Load the CUDA 13 nvrtc where it is installed, for openmmtorch on Python 3.13.

    That wheel of openmmtorch 1.5 is linked to it, while torch 2.9 brings CUDA 12 and
    puts only its own libraries where the loader finds them.
    """
    with contextlib.suppress(metadata.PackageNotFoundError, OSError):
        for file in metadata.distribution("nvidia-cuda-nvrtc").files or []:
            if file.name == "libnvrtc.so.13":
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)


def _is_not_about_simtk(record: logging.LogRecord) -> bool:
    return "simtk.openmm" not in record.getMessage()


class _Computation:
    """What PythonForce calls. Pickles as a TorchScript archive, as TorchForce does."""

    def __init__(self, module: torch.jit.ScriptModule, periodic: bool) -> None:
        self.module, self.periodic = module, periodic
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module.to(self.device)

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        arguments = [torch.tensor(positions, dtype=torch.float64, device=self.device)]
        if self.periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(
                unit.nanometer
            )
            arguments.append(torch.tensor(box, dtype=torch.float64, device=self.device))
        energy, forces = self.module(*arguments)
        return energy.item(), forces.cpu().numpy()

    def __getstate__(self) -> dict[str, Any]:
        buffer = io.BytesIO()
        torch.jit.save(self.module, buffer)
        return {"module": buffer.getvalue(), "periodic": self.periodic}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import vesin_torch  # noqa: F401  registers the classes the archive refers to

        module = torch.jit.load(io.BytesIO(state["module"]), map_location="cpu")
        self.__init__(module, state["periodic"])
