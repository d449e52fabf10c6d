# SPDX-License-Identifier: MIT
"""The user's handle on a trained model: it makes OpenMM Systems of topologies."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app

from ..classical.bonds import bond_markers
from ..classical.fingerprint import check_baseline, fingerprint
from ..model.model import Model
from ..modelfile import load_model
from ..structure import topology_symbols
from .charges import topology_charges
from .checks import check_total, is_periodic, topology_box, warn_of_vacuum
from .committee import Uncertainty, check_members, uncertainty
from .force import model_force
from .mixed import make_mixed_system
from .options import ForceOptions, refuse_options


class AllegroPotential:
    """A trained Allegro model, or a committee, to be put into OpenMM Systems.

    Parameters
    ----------
    model : path or Model, or a sequence of them
        A model file (``*.safetensors``), or the Model that ``load_model`` or ``train``
        returned. Several, trained with other seeds say, are a committee: energies and
        forces are their mean, at the cost of their sum.

    Attributes
    ----------
    models : tuple of Model

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or is not a model file, or members of a committee are of
        different kinds or corrections to different force fields.

    Examples
    --------
    >>> potential = AllegroPotential("systems/nacl_aq/nacl_aq.safetensors")
    >>> pdb = openmm.app.PDBFile("systems/nacl_aq/nacl_aq.pdb")
    >>> system = potential.create_system(pdb.topology)
    """

    def __init__(
        self, model: str | Path | Model | Sequence[str | Path | Model], **options: Any
    ) -> None:
        refuse_options(options)
        given = [model] if isinstance(model, str | Path | Model) else model
        self.models = tuple(m if isinstance(m, Model) else load_model(m) for m in given)
        check_members(self.models)

    @property
    def model(self) -> Model:
        """The only model.

        Raises
        ------
        ValueError
            If there is a committee; its members are in ``models``.
        """
        if len(self.models) > 1:
            raise ValueError(
                f"expected a single model, found a committee of {len(self.models)}"
            )
        return self.models[0]

    def create_system(
        self,
        topology: app.Topology,
        *,
        backend: str = "auto",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        total_charge: float = 0.0,
        periodic: bool | None = None,
        remove_cm_motion: bool = True,
        rigid_molecules: bool = True,
        backend_reason: str = "",
    ) -> openmm.System:
        """Make an ordinary System in which the model is the only interaction.

        It holds the elements' masses, the topology's box, one Allegro force, the
        topology's bonds as a HarmonicBondForce of zero strength (OpenMM takes molecules
        from bonds, and barostats move molecules), and a CMMotionRemover. A barostat
        needs positions in which molecules are whole, not wrapped around the box;
        ``run`` sees to that.

        Parameters
        ----------
        topology : openmm.app.Topology
            Every atom must be of an element that the model knows.
        backend, precision, kernel, skin, two_body, total_charge
            As ``ForceOptions``.
        periodic : bool, optional
            Whether atoms interact with periodic images; by default, whether the
            topology has a box.
        remove_cm_motion : bool
            Whether to add a CMMotionRemover.
        rigid_molecules : bool
            Whether a barostat's volume moves shift the molecules that the topology's
            bonds define as a whole. With False the bonds are left out and atoms move
            one by one: for solids, and where bonds form and break.
        backend_reason : str
            Why ``backend`` was chosen, for records, where the caller did so.

        Returns
        -------
        openmm.System

        Raises
        ------
        ValueError
            If an element is unknown, the box is missing or degenerate, the model is a
            correction to a force field (kind delta), or an option is unknown.
        ImportError
            If the backend's package is missing.
        """
        options = ForceOptions(backend, precision, kernel, two_body, skin, total_charge)
        check_total(self.models[0], "create_system")
        symbols = topology_symbols(topology)
        periodic = is_periodic(self.models, topology, periodic)
        force = model_force(
            self.models, symbols, options, periodic=periodic, reason=backend_reason
        )
        system = openmm.System()
        for atom in topology.atoms():
            system.addParticle(atom.element.mass)
        if topology_box(topology) is not None:
            system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
        system.addForce(force)
        if rigid_molecules:
            system.addForce(bond_markers(topology, periodic))
        if remove_cm_motion:
            system.addForce(openmm.CMMotionRemover())
        return system

    def create_mixed_system(
        self,
        topology: app.Topology,
        mm_system: openmm.System,
        atoms: Iterable[int],
        *,
        embedding: str = "mechanical",
        interpolate: bool = False,
        remove_constraints: bool = True,
        link: str = "error",
        backend: str = "auto",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        total_charge: float | None = None,
        screened_charges: bool = False,
        force_group: int = 0,
        backend_reason: str = "",
    ) -> openmm.System:
        """Make a System in which the model replaces a force field in a region (ML/MM).

        Its energy is E_MM(all) - E_MM(region) + E_ML(region), the last two in vacuum:
        the force field rules how the region interacts with all other atoms, with its
        own periodic images and with an implicit solvent. Bonded terms of the region
        alone are dropped; at a cut bond, terms with an atom outside stay. Pairs in the
        region become exceptions and exclusions; corrections for the cutoff stay.
        Positions that are right for ``mm_system`` are right here. Arguments are not
        changed.

        Parameters
        ----------
        topology : openmm.app.Topology
            Atoms of the region must be of elements that the model knows.
        mm_system : openmm.System
            The force field's, with the topology's atoms. Add biases and restraints to
            the mixed System: here, those inside the region would be dropped, which is
            logged.
        atoms : iterable of int
            The region; smaller than half the box if it has several molecules.
        embedding : str
            "mechanical": atoms of the region have the force field's charges for all
            others; those of a model act inside the region. "electrostatic": they have
            the model's charges, for all others, too.
        interpolate : bool
            Whether a global parameter ``lambda_interpolate`` takes the energy linearly
            from the force field's (0) to the mixed one (1, the default). Bonds in the
            region then need their terms: create ``mm_system`` with
            ``flexibleConstraints=True``, or without constraints there.
        remove_constraints : bool
            Whether to remove constraints inside the region.
        link : str
            "error": the region's border may cut no bond. "cap": cut bonds end in
            hydrogens for the model (``mixing.link_atoms``, ``mixing.shifted_charges``).
        backend, precision, kernel, skin, two_body
            As ``ForceOptions``.
        total_charge : float, optional
            Charge (e) of the region, caps included, for a model with charges; by
            default that of the force field, rounded to an integer.
        screened_charges : bool
            Whether to embed charges that were trained without labels of charges or
            dipoles, which are too small in condensed matter.
        force_group : int
            Group of the Allegro force (or of the force that holds it, with
            ``interpolate``) and of the region's bonds without strength.
        backend_reason : str
            As ``create_system``.

        Returns
        -------
        openmm.System
            The forces of ``mm_system`` in their order, and those that are added.

        Raises
        ------
        ValueError
            If ``atoms`` are no indices, repeated, none, out of range, of unknown
            elements or virtual sites; a constraint crosses the border, or a bond that
            may not or cannot be capped; ``mm_system`` has other atoms than the
            topology, forces of unknown kind, or a box of less than two cutoffs; the
            model is a correction (kind delta), or cannot be embedded; or an option is
            unknown.
        ImportError
            If the backend's package is missing.
        """
        check_total(self.models[0], "create_mixed_system")
        options = {"backend": backend, "precision": precision, "kernel": kernel}
        options |= {"two_body": two_body, "skin": skin}
        return make_mixed_system(
            self.models,
            topology,
            mm_system,
            atoms,
            options,
            embedding=embedding,
            total_charge=total_charge,
            screened_charges=screened_charges,
            interpolate=interpolate,
            remove_constraints=remove_constraints,
            link=link,
            force_group=force_group,
            reason=backend_reason,
        )

    def add_to_system(
        self,
        topology: app.Topology,
        mm_system: openmm.System,
        *,
        backend: str = "auto",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        total_charge: float = 0.0,
        periodic: bool | None = None,
        backend_reason: str = "",
    ) -> openmm.System:
        """Copy a classical System and add a model of kind delta: E_MM + E_Allegro.

        The force field must be the one that the model was trained around (see
        ``fingerprint``); the number of its molecules, its box, constraints, barostats
        and the rest are free. (A System that ``ForceField`` makes with constraints
        lacks the bonds' terms unless ``flexibleConstraints=True``.) The topology's
        bonds are added without strength, for barostats, as in ``create_system``.

        Parameters
        ----------
        topology : openmm.app.Topology
            Every atom must be of an element that the model knows.
        mm_system : openmm.System
            With the topology's atoms; not changed.
        backend, precision, kernel, skin, two_body, total_charge
            As ``ForceOptions``.
        periodic : bool, optional
            Whether atoms of the model interact with periodic images; by default,
            whether the System is periodic.
        backend_reason : str
            As ``create_system``.

        Returns
        -------
        openmm.System

        Raises
        ------
        ValueError
            If the model is of kind total, the System has other atoms than the topology
            or is another force field than that of the training, an element is
            unknown, or an option is.
        ImportError
            If the backend's package is missing.
        """
        options = ForceOptions(backend, precision, kernel, two_body, skin, total_charge)
        model = self.models[0]
        if model.kind != "delta":
            raise ValueError(
                f"add_to_system: expected a model of kind delta, found kind "
                f"{model.kind}: it has the whole energy, which a force field would be "
                "added to twice (create_system)"
            )
        symbols = topology_symbols(topology)
        trained = model.provenance.get("baseline")
        check_baseline(trained, fingerprint(mm_system, symbols), "mm_system")
        if periodic is None:
            periodic = mm_system.usesPeriodicBoundaryConditions()
            warn_of_vacuum(self.models, periodic)
        force = model_force(
            self.models, symbols, options, periodic=periodic, reason=backend_reason
        )
        system = copy.deepcopy(mm_system)
        system.addForce(force)
        markers = bond_markers(topology, periodic)
        if markers.getNumBonds():
            system.addForce(markers)
        return system

    def uncertainty(
        self,
        topology: app.Topology,
        positions: Any,
        *,
        backend: str = "auto",
        precision: str = "mixed",
        kernel: str = "auto",
        total_charge: float = 0.0,
        periodic: bool | None = None,
    ) -> Uncertainty:
        """Compute mean and standard deviation over a committee, of energies and forces.

        Only the models count: with models of kind delta, that is the correction without
        the force field. ``reporters.UncertaintyReporter`` writes them in a simulation.

        Parameters
        ----------
        topology : openmm.app.Topology
            With the box, if any.
        positions : [N, 3] Quantity, or array in nm
        backend, precision, kernel, total_charge, periodic
            As ``create_system``.

        Returns
        -------
        Uncertainty
            In eV and eV/Å, like the errors of models.

        Raises
        ------
        ValueError
            If there is a single model, positions do not fit, or as ``create_system``.
        """
        options = ForceOptions(
            backend=backend,
            precision=precision,
            kernel=kernel,
            skin=0.0,
            total_charge=total_charge,
        )
        return uncertainty(self.models, topology, positions, options, periodic=periodic)

    def charges(
        self,
        topology: app.Topology,
        positions: Any,
        *,
        backend: str = "auto",
        precision: str = "mixed",
        kernel: str = "auto",
        total_charge: float = 0.0,
        periodic: bool | None = None,
    ) -> np.ndarray:
        """Compute the charges that a model gives to atoms, those of a committee's mean.

        Parameters, and errors beside those of models without charges, as
        ``uncertainty``.

        Returns
        -------
        ndarray [N], e
        """
        options = ForceOptions(
            backend=backend,
            precision=precision,
            kernel=kernel,
            skin=0.0,
            total_charge=total_charge,
        )
        return topology_charges(
            self.models, topology, positions, options, periodic=periodic
        )
