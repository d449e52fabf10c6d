# SPDX-License-Identifier: MIT
"""PythonForces: made of functions, and the function that runs a module of torch."""

import io
import pickle
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import openmm
from openmm import unit

from .torch_force import register_operators

if TYPE_CHECKING:
    import torch


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


class _Computation:
    """Function of a PythonForce; pickles its module as a TorchScript archive."""

    def __init__(
        self,
        module: "torch.jit.ScriptModule",
        periodic: bool,
        device: "str | torch.device | None",
    ) -> None:
        self.module, self.periodic = module, periodic
        # All Contexts of a System share the module, whose list of pairs changes.
        self.lock = threading.Lock()
        # Pickled as it was given: None is the best device of the machine that reads it.
        self.given_device = None if device is None else str(device)
        self.device = _present_device(device)
        self.module.to(self.device)

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        import torch

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
        import torch

        buffer = io.BytesIO()
        torch.jit.save(self.module, buffer)
        return {
            "module": buffer.getvalue(),
            "periodic": self.periodic,
            "device": self.given_device,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        register_operators("the PythonForce of a model")
        import torch

        module = torch.jit.load(io.BytesIO(state["module"]), map_location="cpu")
        # Systems that were written before there was a device lack it.
        self.__init__(module, state["periodic"], state.get("device"))


# Serialized Systems name the package, whatever module of it has the class.
_Computation.__module__ = __package__


def _present_device(device: "str | torch.device | None") -> "torch.device":
    import torch

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
