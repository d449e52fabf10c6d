# SPDX-License-Identifier: MIT
"""The user's handle on a trained model: from a topology to an OpenMM System."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app

from ..classical.bonds import bond_markers
from ..classical.fingerprint import check_baseline, fingerprint
from ..forces import make_force
from ..mixing.checks import check_region, check_system
from ..mixing.link_atoms import find_caps
from ..mixing.region import mixed_system
from ..model.file import Model, load_model
from ..structure import topology_symbols
from .checks import check_total, is_periodic
from .committee import Uncertainty, check_members, committee_module, uncertainty

EMBEDDINGS = ("mechanical",)
# Name of the force that tells OpenMM what the molecules are.


class AllegroPotential:
    """A trained Allegro model, or a committee, ready to be put into OpenMM Systems.

    Parameters
    ----------
    model : path or Model, or a sequence of them
        A model file (``*.safetensors``) or what ``load_model`` or ``train`` returned.
        Several, trained with other seeds say, are a committee: energies and forces are
        their mean, at the cost of their sum.

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
        self, model: str | Path | Model | Sequence[str | Path | Model]
    ) -> None:
        given = [model] if isinstance(model, str | Path | Model) else model
        self.models = tuple(m if isinstance(m, Model) else load_model(m) for m in given)
        check_members(self.models)

    @property
    def model(self) -> Model:
        """The model, where there is one.

        Raises
        ------
        ValueError
            If there is a committee, which ``models`` has the members of.
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
        backend: str = "torchforce",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        periodic: bool | None = None,
        remove_cm_motion: bool = True,
        rigid_molecules: bool = True,
    ) -> openmm.System:
        """An ordinary System in which the model is the only interaction.

        It holds the elements' masses, the topology's box, one Allegro force, the
        topology's bonds as a HarmonicBondForce of zero strength (OpenMM takes molecules
        from bonds, and barostats move molecules), and a CMMotionRemover. A barostat
        needs positions in which molecules are whole, not wrapped around the box; that
        is seen to by ``run``.

        Parameters
        ----------
        topology : openmm.app.Topology
            Every atom must be of an element that the model knows.
        backend : str
            "torchforce" or "pythonforce".
        precision : str
            "single", "double", or "mixed": distances, radial functions and spherical
            harmonics in double, the network in single. Sums are always in double.
        kernel : str
            "fused" (compiled, on the CPU), "plain" (torch), or "auto": fused where it
            was built. A System with the fused kernel needs ``import openmm_allegro`` in
            each process that uses it.
        skin : float, optional
            By how much (Å) the pair list reaches beyond the cutoff; by default a fifth
            of the cutoff, at most 1 Å. 0 finds the pairs at every step.
        two_body : str
            "exact", or "table": the fused kernel interpolates what depends on the
            distance alone, see ``potential.module.force_module``.
        periodic : bool, optional
            Whether atoms interact with periodic images; by default, whether the
            topology has a box.
        remove_cm_motion : bool
            Whether to add a CMMotionRemover.
        rigid_molecules : bool
            Whether the volume moves of a barostat shift molecules, as the topology's
            bonds define them, as a whole. False leaves the bonds out, and atoms move
            as atoms: for solids, and where bonds form and break.

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
        check_total(self.models[0], "create_system")
        symbols = topology_symbols(topology)
        periodic = is_periodic(self.models, topology, periodic)
        module = committee_module(
            self.models,
            symbols,
            periodic=periodic,
            precision=precision,
            kernel=kernel,
            skin=skin,
            two_body=two_body,
        )

        system = openmm.System()
        for atom in topology.atoms():
            system.addParticle(atom.element.mass)
        if topology.getPeriodicBoxVectors() is not None:
            system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
        system.addForce(make_force(module, backend=backend, periodic=periodic))
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
        backend: str = "torchforce",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        force_group: int = 0,
    ) -> openmm.System:
        """A System in which the model replaces a force field inside a region (ML/MM).

        Its energy is E_MM(all) - E_MM(region) + E_ML(region), both of the latter in
        vacuum: with all other atoms, with their own periodic images and with an
        implicit solvent the region's atoms interact as the force field has it.
        Arguments are not changed.

        Bonded terms whose particles are all in the region are dropped; of those at a
        cut bond, terms with at least one atom outside stay. Pairs in the region become
        exceptions and exclusions. Corrections for the cutoff stay. Positions that are
        right for ``mm_system`` are right here; in a region of several molecules the
        nearest images of atoms count, so it should be smaller than half the box.

        Parameters
        ----------
        topology : openmm.app.Topology
            Atoms of the region must be of elements that the model knows.
        mm_system : openmm.System
            The force field's, with the topology's atoms. Biases and restraints go into
            the mixed System: here, those inside the region would be dropped.
        atoms : iterable of int
            The region.
        embedding : str
            "mechanical": atoms of the region have the force field's charges.
        interpolate : bool
            Whether a global parameter ``lambda_interpolate`` takes the energy linearly
            from the force field's (0) to the mixed one (1, the default).
        remove_constraints : bool
            Whether to remove constraints inside the region.
        link : str
            "error": the border of the region may cut no bond. "cap": cut bonds end in
            hydrogens for the model, see ``link_atoms``.
        backend, precision, kernel, skin, two_body
            As ``create_system``.
        force_group : int
            Of what is added: the Allegro force (or what it is part of, with
            ``interpolate``) and the region's bonds without strength.

        Returns
        -------
        openmm.System
            The forces of ``mm_system`` in their order, and those that are added.

        Raises
        ------
        ValueError
            If ``atoms`` are no indices, repeated, none, out of range, of unknown
            elements or virtual sites; if a constraint crosses the border, or a bond
            does that is not to be capped or cannot be; if ``mm_system`` has other atoms
            than the topology, forces of unknown kind, or a box of less than two cutoffs
            of the model; if the model is a correction to a force field (kind delta); or
            if an option is unknown.
        ImportError
            If the backend's package is missing.
        """
        check_total(self.models[0], "create_mixed_system")
        if embedding not in EMBEDDINGS:
            raise ValueError(f"expected embedding of {EMBEDDINGS}, found {embedding!r}")
        atoms = check_region(topology, mm_system, atoms)
        caps = find_caps(topology, atoms, link)
        check_system(mm_system, atoms, max(m.config.cutoff for m in self.models))
        periodic = mm_system.usesPeriodicBoundaryConditions()
        behind = range(topology.getNumAtoms(), topology.getNumAtoms() + len(caps))
        module = committee_module(
            self.models,
            [*topology_symbols(topology, atoms), *["H"] * len(caps)],
            atoms=[*atoms, *behind],
            caps=caps,
            periodic=periodic,
            precision=precision,
            kernel=kernel,
            skin=skin,
            two_body=two_body,
        )
        return mixed_system(
            mm_system,
            atoms,
            make_force(module, backend=backend, periodic=periodic),
            bond_markers(topology, periodic),
            interpolate=interpolate,
            remove_constraints=remove_constraints,
            force_group=force_group,
        )

    def add_to_system(
        self,
        topology: app.Topology,
        mm_system: openmm.System,
        *,
        backend: str = "torchforce",
        precision: str = "mixed",
        kernel: str = "auto",
        skin: float | None = None,
        two_body: str = "exact",
        periodic: bool | None = None,
    ) -> openmm.System:
        """A copy of a classical System with a model of kind delta: E_MM + E_Allegro.

        The force field must be the one that the model was trained around (see
        ``fingerprint``); how many of its molecules there are, its box, constraints,
        barostats and the rest are free. (A System that ``ForceField`` makes with
        constraints lacks the bonds' terms unless ``flexibleConstraints=True``.) The
        topology's bonds are added without strength, for barostats, as in
        ``create_system``.

        Parameters
        ----------
        topology : openmm.app.Topology
            Every atom must be of an element that the model knows.
        mm_system : openmm.System
            With the topology's atoms; not changed.
        backend, precision, kernel, skin, two_body
            As ``create_system``.
        periodic : bool, optional
            Whether atoms of the model interact with periodic images; by default,
            whether the System is periodic.

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
        if self.models[0].kind != "delta":
            raise ValueError(
                "add_to_system: expected a model of kind delta, found kind "
                f"{self.models[0].kind}: it has the whole energy, which a force field "
                "would be added to twice (create_system)"
            )
        symbols = topology_symbols(topology)
        trained = self.models[0].provenance.get("baseline")
        check_baseline(trained, fingerprint(mm_system, symbols), "mm_system")
        if periodic is None:
            periodic = mm_system.usesPeriodicBoundaryConditions()
        module = committee_module(
            self.models,
            symbols,
            periodic=periodic,
            precision=precision,
            kernel=kernel,
            skin=skin,
            two_body=two_body,
        )
        system = copy.deepcopy(mm_system)
        system.addForce(make_force(module, backend=backend, periodic=periodic))
        markers = bond_markers(topology, periodic)
        if markers.getNumBonds():
            system.addForce(markers)
        return system

    def uncertainty(
        self,
        topology: app.Topology,
        positions: Any,
        *,
        precision: str = "mixed",
        kernel: str = "auto",
        periodic: bool | None = None,
    ) -> Uncertainty:
        """Mean and standard deviation over a committee, of energies and forces.

        Of the models alone: for models of kind delta, of what they add to the force
        field. ``reporters.UncertaintyReporter`` writes them in a simulation.

        Parameters
        ----------
        topology : openmm.app.Topology
            With the box, if any.
        positions : [N, 3] Quantity, or array in nm
        precision, kernel, periodic
            As ``create_system``.

        Returns
        -------
        Uncertainty
            In eV and eV/Å, as errors of models are given.

        Raises
        ------
        ValueError
            If there is a single model, positions do not fit, or as ``create_system``.
        """
        return uncertainty(
            self.models,
            topology,
            positions,
            precision=precision,
            kernel=kernel,
            periodic=periodic,
        )
