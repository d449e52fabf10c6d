# SPDX-License-Identifier: MIT
"""Register the package's forces when OpenMM reads a System that has one.

That takes torch, openmm-torch and the operators of the fused kernel: seconds that
``import openmm_allegro`` should not cost those who do without. So OpenMM's readers are
watched, and the import follows where the text holds a TorchForce. A PythonForce needs
no watching: its function is unpickled by ``forces``, which registers the operators.
"""

import contextlib
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .utils.after_import import after_import

# Every way to read XML in OpenMM's Python layer ends in one of these: the deserializer,
# unpickling a System or a Force, and app.Simulation with the names of files.
_READERS = ("deserializeSystem", "_deserializeForce")


def register() -> None:
    """Make the package's operators known to torch, and TorchForce to OpenMM.

    It is called when OpenMM reads a System that needs them. Code that reads a module
    with ``torch.jit.load`` has to call it before. Where openmm-torch is not installed,
    there are the operators alone.
    """
    from .forces import register_operators, register_torch_force

    register_operators()
    with contextlib.suppress(ImportError):
        register_torch_force()


def register_when_needed() -> None:
    """Watch OpenMM's readers, now or once it is imported, to call ``register``."""
    after_import("openmm", _watch_readers)


def _watch_readers(openmm: ModuleType) -> None:
    for name in _READERS:
        reader = getattr(openmm.XmlSerializer, name, None)
        if reader is not None and not hasattr(reader, "__wrapped__"):
            watched = staticmethod(_registering(reader))
            setattr(openmm.XmlSerializer, name, watched)


def _registering(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    @functools.wraps(reader)
    def read(inputString: str) -> Any:
        if "TorchForce" in inputString:
            _register_all()
        return reader(inputString)

    return read


def _register_all() -> None:
    """Register as ``register``, or raise what the import of openmm-torch raised.

    Without it, OpenMM would only report a force that it does not know.
    """
    from .forces import register_operators, register_torch_force

    register_operators()
    register_torch_force()
