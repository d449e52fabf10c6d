# SPDX-License-Identifier: MIT
"""Systems of a model alone, of a model in a region, and of a correction."""

import copy
from collections.abc import Iterable, Sequence

import openmm
from openmm import app

from ..classical.bonds import bond_markers
from ..classical.fingerprint import check_baseline, fingerprint
from ..forces import make_force
from ..mixing.checks import check_region, check_system
from ..mixing.link_atoms import find_caps
from ..mixing.region import mixed_system
from ..model.file import Model
from ..structure import topology_symbols
from .checks import check_total, is_periodic
from .committee import committee_module
from .options import ForceOptions

EMBEDDINGS = ("mechanical",)


def total_system(
    models: Sequence[Model],
    topology: app.Topology,
    options: ForceOptions,
    *,
    periodic: bool | None,
    remove_cm_motion: bool,
    rigid_molecules: bool,
) -> openmm.System:
    """Make the System of ``AllegroPotential.create_system``."""
    check_total(models[0], "create_system")
    symbols = topology_symbols(topology)
    periodic = is_periodic(models, topology, periodic)
    module = committee_module(models, symbols, options, periodic=periodic)

    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    if topology.getPeriodicBoxVectors() is not None:
        system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    system.addForce(make_force(module, backend=options.backend, periodic=periodic))
    if rigid_molecules:
        system.addForce(bond_markers(topology, periodic))
    if remove_cm_motion:
        system.addForce(openmm.CMMotionRemover())
    return system


def region_system(
    models: Sequence[Model],
    topology: app.Topology,
    mm_system: openmm.System,
    atoms: Iterable[int],
    options: ForceOptions,
    *,
    embedding: str,
    interpolate: bool,
    remove_constraints: bool,
    link: str,
    force_group: int,
) -> openmm.System:
    """Make the System of ``AllegroPotential.create_mixed_system``."""
    check_total(models[0], "create_mixed_system")
    if embedding not in EMBEDDINGS:
        raise ValueError(f"expected embedding of {EMBEDDINGS}, found {embedding!r}")
    atoms = check_region(topology, mm_system, atoms)
    caps = find_caps(topology, atoms, link)
    check_system(mm_system, atoms, max(m.config.cutoff for m in models))
    periodic = mm_system.usesPeriodicBoundaryConditions()
    # caps come after all particles, as atoms of the model alone
    count = topology.getNumAtoms()
    module = committee_module(
        models,
        [*topology_symbols(topology, atoms), *["H"] * len(caps)],
        options,
        atoms=[*atoms, *range(count, count + len(caps))],
        caps=caps,
        periodic=periodic,
    )
    return mixed_system(
        mm_system,
        atoms,
        make_force(module, backend=options.backend, periodic=periodic),
        bond_markers(topology, periodic),
        interpolate=interpolate,
        remove_constraints=remove_constraints,
        force_group=force_group,
    )


def corrected_system(
    models: Sequence[Model],
    topology: app.Topology,
    mm_system: openmm.System,
    options: ForceOptions,
    *,
    periodic: bool | None,
) -> openmm.System:
    """Make the System of ``AllegroPotential.add_to_system``."""
    if models[0].kind != "delta":
        raise ValueError(
            f"add_to_system: expected a model of kind delta, found kind "
            f"{models[0].kind}: it has the whole energy, which a force field would be "
            "added to twice (create_system)"
        )
    symbols = topology_symbols(topology)
    trained = models[0].provenance.get("baseline")
    check_baseline(trained, fingerprint(mm_system, symbols), "mm_system")
    if periodic is None:
        periodic = mm_system.usesPeriodicBoundaryConditions()
    module = committee_module(models, symbols, options, periodic=periodic)
    system = copy.deepcopy(mm_system)
    system.addForce(make_force(module, backend=options.backend, periodic=periodic))
    markers = bond_markers(topology, periodic)
    if markers.getNumBonds():
        system.addForce(markers)
    return system
