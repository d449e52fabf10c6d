# SPDX-License-Identifier: MIT
"""Register the package's forces when OpenMM reads a System that has one.

That takes torch, openmm-torch and the operators of the fused kernel: seconds that
``import openmm_allegro`` should not cost those who do without. So OpenMM's readers are
watched, and the import follows where the text holds a TorchForce. A PythonForce needs
no watching: its function is unpickled by ``forces``, which registers the operators.
"""

import contextlib
import functools
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

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
    if sys.modules.get("openmm") is not None:
        _watch_readers(sys.modules["openmm"])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Have the other finders find OpenMM, and watch its readers once it is executed."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "openmm":
            return None
        specs = (
            finder.find_spec(fullname, path, target)
            for finder in sys.meta_path
            if finder is not self and hasattr(finder, "find_spec")
        )
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._watch_after(spec.loader)
        return spec

    def _watch_after(self, loader: importlib.abc.Loader) -> None:
        execute = loader.exec_module

        def execute_and_watch(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                _watch_readers(module)

        loader.exec_module = execute_and_watch


def _watch_readers(openmm: ModuleType) -> None:
    for name in _READERS:
        reader = getattr(openmm.XmlSerializer, name, None)
        if reader is not None and not hasattr(reader, "__wrapped__"):
            watched = staticmethod(_registering(reader))
            setattr(openmm.XmlSerializer, name, watched)


def _registering(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    @functools.wraps(reader)
    def read(inputString: str) -> Any:
        # what is no text is left to OpenMM, which says so
        if isinstance(inputString, str):
            if "TorchForce" in inputString:
                _register_all()
            if "AllegroForce" in inputString:
                from .plugin.library import plugin

                plugin()
        return reader(inputString)

    return read


def _register_all() -> None:
    """Register as ``register``, or raise what the import of openmm-torch raised.

    Without it, OpenMM would only report a force that it does not know.
    """
    from .forces import register_operators, register_torch_force

    register_operators()
    register_torch_force()
