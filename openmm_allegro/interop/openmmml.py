# SPDX-License-Identifier: MIT
"""OpenMM-ML's entry point: ``MLPotential("allegro", modelPath="model.safetensors")``.

OpenMM-ML loads this module through the entry point ``openmmml.potentials``. Nothing in
the package imports it. Names are OpenMM-ML's (camelCase).
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openmm
from openmm import app

from ..classical.bonds import bond_markers
from ..model.model import Model
from ..potential.checks import check_topology_box, check_total, is_periodic
from ..potential.force import images_in_vacuum, model_force
from ..potential.options import ForceOptions
from ..potential.potential import AllegroPotential
from ..structure import check_atoms, topology_symbols

if TYPE_CHECKING:
    import torch

_OPTIONS = (*(f.name for f in dataclasses.fields(ForceOptions)), "device", "periodic")


# The class stands before the import of openmmml, and without its base class, because
# openmmml looks it up at the end of its own import. If this module was imported first,
# that happens during the import of openmmml below.
class AllegroPotentialImplFactory:
    """Factory that OpenMM-ML calls for ``MLPotential("allegro", ...)``."""

    def createImpl(
        self,
        name: str,
        modelPath: str | Path | Model | Sequence[str | Path | Model] | None = None,
        **args: Any,
    ) -> "AllegroPotentialImpl":
        """Load the model.

        Parameters
        ----------
        name : str
            "allegro".
        modelPath : path, Model or sequence of them
            A model file (``*.safetensors``) of kind total; several are a committee, see
            ``AllegroPotential``.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not a model file, the model is a correction to a force field (kind
            delta), or an option is missing or unknown.
        """
        _refuse_unknown(args, ("modelPath",), f"MLPotential({name!r})")
        if modelPath is None:
            raise ValueError(
                f"MLPotential({name!r}): expected modelPath, the path of a model file "
                "(*.safetensors), found none"
            )
        return AllegroPotentialImpl(AllegroPotential(modelPath))


from openmmml.mlpotential import MLPotentialImpl  # noqa: E402  see above

# Where a model reaches beyond its cutoff, OpenMM-ML 1.8 takes the force field's charges
# of the region out with all their periodic images; 1.7 leaves the images in.
_HAS_LONG_RANGE = hasattr(MLPotentialImpl, "getMLLongRange")
# 1.8 and later also pass these options of its embedding to the potential. 1.7 does not
# know them, so there they are mistakes.
_EMBEDDING_OPTIONS = ("mlLongRange", "linkAtomDistances") if _HAS_LONG_RANGE else ()


class AllegroPotentialImpl(MLPotentialImpl):
    """Potential that puts an Allegro model into the Systems that OpenMM-ML makes.

    Options of ``MLPotential.createSystem`` and ``createMixedSystem``:

    precision, kernel, two_body, skin, total_charge
        As in ``ForceOptions``; of a mixed System, the total charge is the region's.
    backend : str
        As in ``ForceOptions``, by default "auto". OpenMM-ML copies the Systems that it
        interpolates, and openmm 8.6 crashes when it copies a TorchForce; "auto" is
        another there.
    device : str or torch.device
        "cpu", "cuda" or "cuda:N", only with PythonForce; by default CUDA if there is
        any. TorchForce runs on the device of the OpenMM Platform.
    periodic : bool
        Whether atoms of the model interact with their periodic images. By default they
        do if the topology has a box or the System is periodic. With
        ``interpolate=True`` OpenMM-ML shows only the topology, so a topology without a
        box needs ``periodic=True`` if its System is periodic.

    Examples
    --------
    >>> potential = MLPotential("allegro", modelPath="model.safetensors")
    >>> system = potential.createSystem(topology, precision="double")
    >>> mixed = potential.createMixedSystem(topology, mm_system, ligand)
    """

    def __init__(self, potential: AllegroPotential) -> None:
        check_total(potential.models[0], "MLPotential")
        self.potential = potential

    def addForces(
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        backend: str | None = None,
        device: "str | torch.device | None" = None,
        periodic: bool | None = None,
        **args: Any,
    ) -> None:
        """Add the Allegro force and bonds without strength; OpenMM-ML calls this.

        OpenMM finds molecules by bonds, and barostats move molecules. A System of the
        model alone has no bonds, and OpenMM-ML removes those inside the model's region
        of a mixed System.

        Parameters
        ----------
        topology : openmm.app.Topology
        system : openmm.System
            Modified. To prepare an interpolation, OpenMM-ML passes one without
            particles.
        atoms : iterable of int, optional
            The atoms of the model; all by default. The model must know their elements.
        forceGroup : int
        backend, device, periodic
            See the class.
        **args
            Other options of the class. OpenMM-ML adds those of its embedding.

        Raises
        ------
        ValueError
            If an option or an element is unknown, atoms are no indices, repeated or
            out of range, or the box is missing or degenerate.
        ImportError
            If the backend's package is missing.
        """
        known = _OPTIONS if atoms is None else _OPTIONS + _EMBEDDING_OPTIONS
        _refuse_unknown(args, known, "allegro")
        options = ForceOptions(
            backend="auto" if backend is None else backend,
            **{name: value for name, value in args.items() if name in _OPTIONS},
        )
        if periodic not in (None, True, False):
            raise ValueError(f"allegro: expected periodic of bool, found {periodic!r}")
        models = self.potential.models
        if atoms is None:
            symbols = topology_symbols(topology)
            periodic = is_periodic(models, topology, periodic)
        else:
            atoms = check_atoms(atoms, topology.getNumAtoms())
            symbols = topology_symbols(topology, atoms)
            # Here a model trained on periodic structures alone may be used without a
            # box: the force field describes the surroundings in either case.
            check_topology_box(topology)
            if periodic is None:
                periodic = (
                    topology.getPeriodicBoxVectors() is not None
                    or system.usesPeriodicBoundaryConditions()
                )
        markers = bond_markers(topology, periodic, atoms)
        has_all = atoms is None or _HAS_LONG_RANGE
        images = "all" if has_all else images_in_vacuum(markers, atoms)
        force = model_force(
            models,
            symbols,
            options,
            atoms=atoms,
            periodic=periodic,
            images=images,
            device=device,
        )
        for added in (force, markers):
            added.setForceGroup(forceGroup)
        system.addForce(force)
        if markers.getNumBonds():
            system.addForce(markers)

    def getMLLongRange(self) -> bool:
        """Tell if energies reach beyond the cutoff: those of models with charges do."""
        return self.potential.models[0].config.is_charged


def _refuse_unknown(options: dict[str, Any], known: Sequence[str], where: str) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"{where}: expected options of {list(known)}, found {', '.join(unknown)}"
        )
