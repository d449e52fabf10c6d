# SPDX-License-Identifier: MIT
"""Make an ``openmm.Force`` of a scripted module: the one place that knows backends.

Systems that were serialized name ``_Computation`` by this module's path.
"""

import contextlib
import copy
import ctypes
import functools
import io
import pickle
import re
import threading
from collections.abc import Callable
from importlib import metadata
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openmm
import torch
from openmm import unit

from .utils.compatibility import installed_known_bad, warn_of_known_bad_versions
from .utils.quiet import quiet

BACKENDS = ("torchforce", "pythonforce")
FORCE_NAME = "Allegro"
# Forces have their classes' names again when they are copied or serialized.
NAMES = (FORCE_NAME, "TorchForce", "PythonForce")


def make_force(
    module: torch.jit.ScriptModule,
    *,
    backend: str,
    periodic: bool,
    device: str | torch.device | None = None,
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


def python_force(function: Callable[[openmm.State], Any]) -> openmm.Force:
    """Make a PythonForce of a function that pickles.

    Raises
    ------
    ImportError
        If OpenMM is too old to have it.
    """
    if not hasattr(openmm, "PythonForce"):
        raise ImportError(
            f"a PythonForce expects openmm >= 8.5, found {openmm.__version__}"
        )
    return openmm.PythonForce(function)


def python_function(force: openmm.Force) -> Any:
    """Copy the function of a PythonForce.

    Python cannot read what ``getPickledFunction`` returns, but it can read the XML. The
    function was pickled by this process, or unpickled when the user read the System.
    """
    xml = ElementTree.fromstring(openmm.XmlSerializer.serialize(force))
    return pickle.loads(bytes.fromhex(xml.attrib["function"]))


def default_backend() -> str:
    """Choose the backend of Systems that others may copy, as OpenMM-ML does.

    Returns
    -------
    str
        "torchforce" where openmm-torch is installed and known to work. "pythonforce"
        elsewhere, and beside openmm 8.6 and later: 8.6 crashes the process when it
        copies or deserializes a System that holds a TorchForce.
    """
    version = tuple(int(part) for part in openmm.__version__.split(".")[:2])
    if version < (8, 6) and not installed_known_bad():
        with contextlib.suppress(ImportError):
            register_torch_force()
            return "torchforce"
    return "pythonforce"


def check_copy(system: openmm.System) -> None:
    """Refuse to copy a System that would crash the process.

    Raises
    ------
    ImportError
        With openmm 8.6, if the System holds a TorchForce.
    """
    if installed_known_bad():
        TorchForce = register_torch_force()
        if any(TorchForce.isinstance(force) for force in system.getForces()):
            raise ImportError(installed_known_bad()[0])


def copy_system(system: openmm.System) -> openmm.System:
    """Copy a System; OpenMM's own copies lose the names of plugins' forces.

    Raises
    ------
    ImportError
        As ``check_copy``.
    """
    check_copy(system)
    copied = copy.deepcopy(system)
    for force, other in zip(system.getForces(), copied.getForces(), strict=True):
        other.setName(force.getName())
    return copied


def with_variables(system: openmm.System) -> list[openmm.Force]:
    """Forces of a System, and those that are variables of others."""
    forces = list(system.getForces())
    for force in system.getForces():
        if isinstance(force, openmm.CustomCVForce):
            count = force.getNumCollectiveVariables()
            forces += [force.getCollectiveVariable(i) for i in range(count)]
    return forces


def allegro_module(force: openmm.Force) -> torch.jit.ScriptModule | None:
    """Get the module of an Allegro force, or None for another force."""
    if force.getName() not in NAMES:
        return None
    if type(force).__name__ == "PythonForce":
        function = python_function(force)
        return function.module if isinstance(function, _Computation) else None
    module = register_torch_force().cast(force).getModule()
    ours = hasattr(module, "atoms") or hasattr(module, "ratio")  # of a CappedModule
    return module if ours else None


def own_copy(
    module: torch.jit.ScriptModule, context: openmm.Context
) -> torch.jit.ScriptModule:
    """Copy a force's module to the device on which a Context computes."""
    on_cuda = context.getPlatform().getName() == "CUDA" and torch.cuda.is_available()
    return copy.deepcopy(module).to("cuda" if on_cuda else "cpu")


def register_operators() -> None:
    """Make the operators and classes known to torch that an archive may name."""
    import vesin_torch  # noqa: F401  registers its list of pairs

    from .kernels.inference import operator

    operator.register()


@functools.cache
def register_torch_force() -> Any:
    """Get the TorchForce class, and make its kernels and its XML known to OpenMM.

    OpenMM loads its plugins when it is imported. Those of openmm-torch need torch's
    libraries, so they fail if torch was not imported before, and are loaded here.

    Raises
    ------
    ImportError
        If openmm-torch cannot be imported.

    Warns
    -----
    RuntimeWarning
        If the installed versions are known not to work together.
    """
    warn_of_known_bad_versions()
    _load_nvrtc()
    try:
        with quiet("openmmtorch"):
            from openmmtorch import TorchForce
    except ImportError as error:
        raise ImportError(
            "backend='torchforce' expects openmm-torch, found that it cannot be "
            f"imported ({error}). Install the extra: "
            "pip install 'openmm-allegro[torchforce]' (conda: openmm-torch), or use "
            "backend='pythonforce', which needs no more than OpenMM"
        ) from error
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


class _Computation:
    """Function of a PythonForce; pickles its module as a TorchScript archive."""

    def __init__(
        self,
        module: torch.jit.ScriptModule,
        periodic: bool,
        device: str | torch.device | None,
    ) -> None:
        self.module, self.periodic = module, periodic
        # All Contexts of a System share the module, whose list of pairs changes.
        self.lock = threading.Lock()
        # Pickled as it was given: None is the best device of the machine that reads it.
        self.given_device = None if device is None else str(device)
        self.device = _present_device(device)
        self.module.to(self.device)

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        arguments = [torch.tensor(positions, dtype=torch.float64, device=self.device)]
        if self.periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(
                unit.nanometer
            )
            arguments.append(torch.tensor(box, dtype=torch.float64, device=self.device))
        with self.lock:
            energy, forces = self.module(*arguments)
        return energy.item(), forces.cpu().numpy()

    def __getstate__(self) -> dict[str, Any]:
        buffer = io.BytesIO()
        torch.jit.save(self.module, buffer)
        return {
            "module": buffer.getvalue(),
            "periodic": self.periodic,
            "device": self.given_device,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        register_operators()
        module = torch.jit.load(io.BytesIO(state["module"]), map_location="cpu")
        # Systems that were written before there was a device lack it.
        self.__init__(module, state["periodic"], state.get("device"))


def _present_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"expected a device cpu, cuda or cuda:N, found {device!r}")
    present = torch.cuda.device_count()
    if chosen.type == "cuda" and (chosen.index or 0) >= present:
        raise ValueError(
            f"expected a device that is present, found {str(chosen)!r} with {present} "
            "CUDA devices visible to torch"
        )
    return chosen
