# SPDX-License-Identifier: MIT
"""Import modules by the names they had before they moved into subpackages.

Code of users, the README's imports and pickles inside serialized Systems name modules
by path. Each former name stands for the module that took its place, the same object, or
for the names of several modules that it was divided into.
"""

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

PACKAGE = __name__.partition(".")[0]
# From the former name to the present one, both below the package.
FORMER = {
    "analysis.angles": "analysis.structure.angles",
    # A tuple of one, where a function of the package has the name, too.
    "analysis.conductivity": ("analysis.dynamics.conductivity",),
    "analysis.contacts": ("analysis.dynamics.contacts",),
    "analysis.coordination": "analysis.structure.coordination",
    "analysis.correlation": "analysis.dynamics.correlation",
    "analysis.errors": "analysis.statistics",
    "analysis.extrapolation": "analysis.dynamics.extrapolation",
    "analysis.kinetics": "analysis.dynamics.kinetics",
    "analysis.plots": (
        "analysis.figures.structure",
        "analysis.figures.traces",
        "analysis.figures.dynamics",
    ),
    "analysis.rdf": ("analysis.structure.rdf",),
    "analysis.speciation": ("analysis.structure.speciation",),
    "analysis.structure_factor": ("analysis.structure.structure_factor",),
    "analysis.transport": "analysis.dynamics.transport",
    "analysis.unwrap": ("analysis.dynamics.unwrap",),
    "analysis.van_hove": "analysis.dynamics.van_hove",
    "analysis.velocities": "analysis.dynamics.velocities",
    "baseline": "classical.baseline",
    "checkpoint": "simulate.checkpoint",
    "committee": ("potential.committee", "potential.committee_module"),
    "compiled": "training.compiled",
    "config": "utils.config",
    "dataset": (
        "training.samples",
        "training.data",
        "training.statistics",
        "model.elements",
    ),
    "deploy": "potential.module",
    "dispersion": "classical.dispersion",
    "ensembles": "simulate.system",
    "evaluate": ("training.evaluate", "training.parity", "training.predict"),
    "fingerprint": "classical.fingerprint",
    "hydrogen_mass": "simulate.masses",
    "integrators": "simulate.integrators",
    "kernels.fold": ("kernels.inference.fold", "kernels.inference.program"),
    "kernels.fused": ("kernels.inference.operator", "kernels.library"),
    "kernels.sparse": "kernels.training.sparse",
    "lightning_module": ("training.module", "training.record"),
    "link_atoms": ("mixing.link_atoms", "mixing.capped_module"),
    "model.file": (
        "model.model",
        "modelfile.read",
        "modelfile.write",
        "modelfile.header",
    ),
    "model.header": "modelfile.header",
    "optimizers": "training.optimizers",
    "output": ("runs.names", "utils.files"),
    "process": ("simulate.platform", "utils.process"),
    "protocol": "simulate.protocol",
    "protocol_file": ("simulate.protocol_file", "simulate.system_config"),
    "simulate.coordinates": "inputs.coordinates",
    "structure.extxyz": "topology.extxyz",
    "train": "training.train",
    "train_config": ("training.config", "training.data"),
    "watchdog_limits": "simulate.watchdogs.limits",
    "watchdog_settings": "simulate.watchdogs.settings",
    "watchdogs": "simulate.watchdogs",
}


class _Finder:
    """Find a module under its former name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != PACKAGE or name not in FORMER:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        places = FORMER[spec.name.partition(".")[2]]
        if not isinstance(places, str):
            return _joined(spec.name, places)
        module = importlib.import_module(f"{PACKAGE}.{places}")
        # The import system is about to set the spec of the module that it is given.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__.loader_state is not None:
            module.__spec__ = module.__spec__.loader_state


def _joined(name: str, places: Sequence[str]) -> ModuleType:
    """A module with the names of several others, each imported when it is needed."""

    def list_names() -> list[str]:
        modules = (importlib.import_module(f"{PACKAGE}.{place}") for place in places)
        return sorted({n for m in modules for n in dir(m) if not n.startswith("_")})

    def find(attribute: str) -> Any:
        if attribute == "__all__":
            return list_names()
        for place in () if attribute.startswith("__") else places:
            module = importlib.import_module(f"{PACKAGE}.{place}")
            if hasattr(module, attribute):
                return getattr(module, attribute)
        raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__getattr__ = find  # type: ignore[method-assign]
    module.__dir__ = list_names  # type: ignore[method-assign]
    return module


def keep_former_names() -> None:
    """Let modules be imported by their former names, in this process.

    An import would set the module as an attribute of its package. Where that is to stay
    a function, as ``analysis.rdf``, the module counts as imported already.
    """
    for name, places in FORMER.items():
        if not isinstance(places, str) and len(places) == 1:
            full = f"{PACKAGE}.{name}"
            sys.modules.setdefault(full, _joined(full, places))
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
