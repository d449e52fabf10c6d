# SPDX-License-Identifier: MIT
"""Integrators of quantum nuclei, and the Systems that they take."""

from typing import Any

import openmm

from ..classical.bonds import BOND_MARKERS
from ..classical.parameters import WITHOUT_ENERGY
from ..forces import NAMES, masses_of
from ..plugin.engine import is_native
from .choices import QTB, RPMD
from .ring_polymer import RingPolymerIntegrator

_GROUPS = 32
_NEVER = 2**31 - 1  # steps


def check_nuclei_of(values: dict[str, Any], system: openmm.System) -> None:
    """Refuse a System that an integrator of quantum nuclei cannot take.

    Parameters
    ----------
    values : dict
        From ``RunSettings.record``.
    system : openmm.System

    Raises
    ------
    ValueError
        If it has constraints, or classical_beads is given and there are no forces
        beside the model's.
    """
    name = values["integrator"]
    if name not in (RPMD, QTB):
        return
    if system.getNumConstraints():
        raise ValueError(
            f"integrator {name!r}: expected a System without constraints, found "
            f"{system.getNumConstraints()}; a bond that is held has no quantum motion "
            "(constraints=None, rigidWater=False)"
        )
    if values.get("classical_beads"):
        _split(system)


def prepare_ring_polymer(system: openmm.System, values: dict[str, Any]) -> None:
    """Give contracted forces groups of their own; the integrator stops drift instead.

    Parameters
    ----------
    system : openmm.System
        Modified.
    values : dict
        From ``RunSettings.record``.
    """
    for force in system.getForces():
        if isinstance(force, openmm.CMMotionRemover):
            force.setFrequency(_NEVER)
    if not values.get("classical_beads"):
        return
    models, others = _split(system)
    taken = {force.getForceGroup() for force in models}
    used = {force.getForceGroup() for force in [*models, *others]}
    free = max(set(range(_GROUPS)) - used, default=None)
    for force in others:
        if force.getForceGroup() in taken:
            if free is None:
                raise ValueError(
                    "classical_beads: expected a force group that no force is in, "
                    f"found all {_GROUPS} used"
                )
            force.setForceGroup(free)


def make_ring_polymer(
    system: openmm.System, values: dict[str, Any], kelvin: float, seed: int
) -> RingPolymerIntegrator:
    """Make the integrator of a System from ``prepare_ring_polymer``.

    Its thermostat is PILE-L (Ceriotti et al., doi:10.1063/1.3489925): white noise, at
    critical damping for modes within the ring, and with the friction for the centroid.
    In "nve" there is none.
    """
    contractions = {}
    if values.get("classical_beads"):
        for force in _split(system)[1]:
            groups = [force.getForceGroup()]
            if isinstance(force, openmm.NonbondedForce):
                groups.append(force.getReciprocalSpaceForceGroup())
            for group in groups:
                if group >= 0:
                    contractions[group] = values["classical_beads"]
    ring = RingPolymerIntegrator(
        values["beads"],
        kelvin,
        values["friction_per_ps"],
        values["timestep_fs"] * 1e-3,
        contractions,
    )
    ring.setApplyThermostat(values["ensemble"] != "nve")
    ring.setRandomNumberSeed(seed)
    ring.stops_drift = any(
        isinstance(force, openmm.CMMotionRemover) for force in system.getForces()
    )
    return ring


def make_thermal_bath(
    system: openmm.System, values: dict[str, Any], kelvin: float, seed: int
) -> openmm.QTBIntegrator:
    """Make an adaptive quantum thermal bath.

    See Mauger et al., doi:10.1021/acs.jpclett.1c01722. Atoms of one mass are of one
    type: their noise is adapted together.
    """
    bath = openmm.QTBIntegrator(
        kelvin, values["friction_per_ps"], values["timestep_fs"] * 1e-3
    )
    bath.setSegmentLength(values["qtb_segment_ps"])
    bath.setCutoffFrequency(values["qtb_cutoff_per_ps"])
    bath.setDefaultAdaptationRate(values["qtb_adaptation"])
    bath.setRandomNumberSeed(seed)
    masses = masses_of(system)
    types = {mass: number for number, mass in enumerate(sorted(set(masses)))}
    for index, mass in enumerate(masses):
        bath.setParticleType(index, types[mass])
    return bath


def _split(system: openmm.System) -> tuple[list[openmm.Force], list[openmm.Force]]:
    """Forces that hold a model, and all others that have energy."""
    models, others = [], []
    for force in system.getForces():
        if force.getName() in (BOND_MARKERS, *WITHOUT_ENERGY):
            continue
        (models if _has_model(force) else others).append(force)
    if not models or not others:
        raise ValueError(
            "classical_beads: expected a System of an Allegro force and others, found "
            f"{[force.getName() for force in system.getForces()]}"
        )
    return models, others


def _has_model(force: openmm.Force) -> bool:
    parts = [force]
    if isinstance(force, openmm.CustomCVForce):
        count = force.getNumCollectiveVariables()
        parts += [force.getCollectiveVariable(i) for i in range(count)]
    return any(is_native(part) or part.getName() in NAMES for part in parts)
