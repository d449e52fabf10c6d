# SPDX-License-Identifier: MIT
"""Systems with this package's forces can be read wherever it has been imported.

Reading needs torch, openmm-torch and the operators of the fused kernel, which take
seconds to import and which most that import the package do without. So they are
imported when they are needed: by OpenMM's deserializer where the text holds a
TorchForce. A PythonForce brings its own function, ``forces``, which does the same.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .utils.after_import import after_import

# All ways to read XML in openmm's Python layer end in one of these: XmlSerializer's
# own, unpickling, and app.Simulation with the names of files.
_READERS = ("deserializeSystem", "_deserializeForce")


def register() -> None:
    """Make the package's operators known to torch, and TorchForce to OpenMM.

    OpenMM does so by itself when it reads a System that needs them. What reads
    TorchScript archives with ``torch.jit.load`` calls this before.

    Raises
    ------
    ImportError
        If openmm-torch cannot be imported.
    """
    from .forces import register_operators, register_torch_force

    register_operators()
    register_torch_force()


def register_when_needed() -> None:
    """Have OpenMM, now or when it will be imported, call ``register`` if it must."""
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
        if 'type="TorchForce"' in inputString:
            register()
        return reader(inputString)

    return read
