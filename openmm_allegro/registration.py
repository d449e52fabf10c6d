# SPDX-License-Identifier: MIT
"""Register the package's forces when OpenMM reads a System that has one.

That takes torch, openmm-torch and the operators of the fused kernel: seconds that
``import openmm_allegro`` should not cost those who do without. So OpenMM's readers are
watched, and the import follows where the text holds a TorchForce. A PythonForce needs
no watching: its function is unpickled by ``forces``, which registers the operators.
"""

import contextlib
import functools
import importlib.machinery
import importlib.util
import re
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
    there are the operators alone, and where torch is not, nothing is to be registered.
    """
    if importlib.util.find_spec("torch") is None:
        return
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


class _Finder:
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

    def _watch_after(self, loader: Any) -> None:
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
            if _has_force("TorchForce", inputString):
                _register_all()
            if _has_force("AllegroForce", inputString):
                _load_plugin()
            if _has_force("PythonForce", inputString):
                _check_python_force(inputString)
        return reader(inputString)

    return read


def _has_force(kind: str, text: str) -> bool:
    """Tell if XML holds a force of a class; the reasons of forces name some, too."""
    # most texts lack the word, which is found at once
    return kind in text and bool(re.search(rf"""\btype\s*=\s*["']{kind}["']""", text))


def _load_plugin() -> None:
    """Load the plugin, or raise an ImportError that says what is missing."""
    from .plugin.library import plugin

    try:
        plugin()
    except ImportError as error:
        raise ImportError(
            f"the System has a native AllegroForce, and {error}"
        ) from error


def _check_python_force(text: str) -> None:
    """Refuse a PythonForce where OpenMM is too old to know it, and ours without torch.

    An error while OpenMM unpickles a function would end the process.
    """
    import openmm

    if not hasattr(openmm, "PythonForce"):
        raise ImportError(
            "the System has a PythonForce, which expects openmm >= 8.5, found "
            f"{openmm.__version__}; install that, or make the System again with "
            "backend='native'"
        )
    if b"_Computation".hex() in text:
        from .forces import register_operators

        register_operators("the System's PythonForce of a model")


def _register_all() -> None:
    """Register as ``register``, or raise an ImportError that says what is missing.

    Without openmm-torch, OpenMM would only report a force that it does not know. Beside
    an OpenMM that it was not built for, the process would crash.
    """
    from .forces import register_operators, register_torch_force
    from .utils.compatibility import installed_known_bad

    crash = next((r for r in installed_known_bad() if "deserialized" in r), None)
    if crash:
        raise ImportError(f"{crash}, or the System made again with backend='native'")
    register_torch_force()
    register_operators("a System's TorchForce")
